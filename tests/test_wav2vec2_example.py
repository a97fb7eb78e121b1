"""`examples/wav2vec2.py` decodes with a checkpoint saved here: tiny, its weights random."""

from __future__ import annotations

import contextlib
import io
import json
import re
import runpy
import sys
import warnings
import wave
from dataclasses import dataclass

import numpy as np
import pytest

from sestina.decoding import samples

LETTERS = "ETAOINHSRDLUMWCFGYPBVK'XJQZ"
NAMES = ["<pad>", "<s>", "</s>", "<unk>", "|", *LETTERS]  # as facebook/wav2vec2-base-100h has them


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    folder = tmp_path_factory.mktemp("checkpoint")
    (folder / "vocab.json").write_text(json.dumps({name: n for n, name in enumerate(NAMES)}))
    transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(
        vocab_size=len(NAMES),
        pad_token_id=0,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    transformers.Wav2Vec2ForCTC(config).save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def run(root, *arguments):
    """The script's status and output; run in this process, where transformers loads but once."""
    path = root / "examples" / "wav2vec2.py"
    out, err = io.StringIO(), io.StringIO()
    status: str | int | None = 0
    with (
        pytest.MonkeyPatch.context() as patch,
        warnings.catch_warnings(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        warnings.simplefilter("default")  # those of transformers are its own affair
        patch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as stop:
            status = stop.code
    if isinstance(status, str):  # as the interpreter does
        return Done(1, out.getvalue(), f"{err.getvalue()}{status}\n")
    return Done(status or 0, out.getvalue(), err.getvalue())


def found(done):
    assert done.returncode == 0, done.stderr
    return re.findall(r"^  search: (.*)$", done.stdout, re.MULTILINE)


@pytest.fixture
def sound(tmp_path):
    path = tmp_path / "deep" / "noise.wav"
    path.parent.mkdir()
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        noise = np.random.default_rng(0).normal(0, 3000, 16_000)
        file.writeframes(noise.astype("<i2").tobytes())
    return path


def test_a_lexicon_in_the_other_case_gives_its_words_with_times(checkpoint, sound, tmp_path, root):
    words = {"ab", "sea", "tone"}
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("".join(f"{word} {' '.join(word)} |\n" for word in sorted(words)))
    done = run(root, checkpoint, sound, "--lexicon", lexicon, "--word-score", 1)
    [text] = found(done)
    assert text
    assert set(text.split()) <= words
    times = re.findall(r"^ +([\d.]+)–([\d.]+) s  (\w+)$", done.stdout, re.MULTILINE)
    assert [word for _, _, word in times] == text.split()
    bounds = [float(bound) for start, end, _ in times for bound in (start, end)]
    assert bounds == sorted(bounds)
    assert bounds[-1] <= 1.0  # the sound's length


def test_a_language_model_of_words_is_taken(checkpoint, root):
    bundled = samples.sample("tune")
    path = samples.recordings()[0].path
    options = ("--lexicon", bundled.lexicon_path, "--lm", bundled.arpa_path, "--beam-size", 20)
    [text] = found(run(root, checkpoint, path, *options))
    known = {line.split()[0] for line in bundled.lexicon_path.read_text().splitlines()}
    assert set(text.split()) <= known


def test_without_a_lexicon_letters_are_found_and_no_special_tokens(checkpoint, sound, root):
    done = run(root, checkpoint, sound.parent.parent)  # a folder: the file lies deep in it
    [text] = found(done)
    assert set(text) <= {*LETTERS, " "}
    assert str(sound) in done.stdout
    assert "<" not in done.stdout


def test_what_is_no_checkpoint_is_refused(sound, tmp_path, root):
    pytest.importorskip("transformers", reason="transformers is not installed")
    done = run(root, tmp_path, sound)
    assert done.returncode == 2
    assert f"{tmp_path} has no config.json" in done.stderr


def test_what_is_no_sound_is_refused(checkpoint, tmp_path, root):
    path = tmp_path / "text.wav"
    path.write_text("not a sound")
    done = run(root, checkpoint, path)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert str(path) in done.stderr
