"""What `sestina decode` reads: every layout of emissions, and what is said of a wrong file."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pytest

from sestina.cli.decoding.inputs import (
    Named,
    read_knowledge,
    read_references,
    read_utterances,
    unnormalised,
)
from sestina.core.errors import FileFormatError
from sestina.core.progress import silent
from sestina.decoding import DecoderOptions, Tokens
from sestina.decoding.samples import recordings, sample

TOKENS = Tokens(["-", "|", "a", "b"])
FRAMES_TN = np.log(np.random.default_rng(0).dirichlet(np.ones(4), 6)).astype(np.float32)


def read(*paths, are_logits=False, tokens=TOKENS):
    return read_utterances(paths, tokens, are_logits=are_logits, progress=silent)


def npz(folder, **arrays):
    path = folder / "e.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("name", ["emissions", "log_probs", "logits"])
def test_one_utterance_is_a_matrix(tmp_path, name):
    path = npz(tmp_path, **{name: FRAMES_TN})
    [one] = read(path)
    assert one.name == str(path)
    assert one.reference is None
    np.testing.assert_array_equal(one.emissions_tn, FRAMES_TN)


def test_several_are_padded_or_one_after_the_other(tmp_path):
    padded = np.stack([FRAMES_TN, FRAMES_TN[::-1]])
    for path in (
        npz(tmp_path, emissions=padded, lengths=[2, 4], references=["a", "b a"]),
        npz(
            tmp_path,
            emissions=np.concatenate([FRAMES_TN[:2], FRAMES_TN[::-1][:4]]),
            lengths=[2, 4],
            texts=["a", "b a"],
        ),
    ):
        first, second = read(path)
        assert (first.name, second.name) == (f"{path}:0", f"{path}:1")
        assert (first.reference, second.reference) == ("a", "b a")
        np.testing.assert_array_equal(first.emissions_tn, FRAMES_TN[:2])
        np.testing.assert_array_equal(second.emissions_tn, FRAMES_TN[::-1][:4])
    assert [len(one.emissions_tn) for one in read(npz(tmp_path, emissions=padded))] == [6, 6]


def test_other_matrices_are_utterances_of_their_names(tmp_path):
    path = npz(tmp_path, monday=FRAMES_TN, tuesday=FRAMES_TN[:1], rate=np.float32(20))
    assert [one.name for one in read(path)] == [f"{path}:monday", f"{path}:tuesday"]


def test_an_array_alone_is_one_or_several(tmp_path):
    path = tmp_path / "e.npy"
    np.save(path, FRAMES_TN)
    assert [one.name for one in read(path)] == [str(path)]
    np.save(path, np.stack([FRAMES_TN, FRAMES_TN]))
    assert [one.name for one in read(path)] == [f"{path}:0", f"{path}:1"]


def test_logits_are_normalised(tmp_path):
    path = npz(tmp_path, logits=(FRAMES_TN * 3 + 7))
    [one] = read(path, are_logits=True)
    np.testing.assert_allclose(np.exp(one.emissions_tn).sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.diff(one.emissions_tn), np.diff(FRAMES_TN * 3), atol=1e-5)
    whole = npz(tmp_path, logits=np.array([[1, 2, 3, 4]], dtype=np.int16))
    assert read(whole, are_logits=True)[0].emissions_tn.shape == (1, 4)


def test_sound_is_heard_by_the_bundled_model():
    bundled = sample()
    path = recordings()[0].path
    [one] = read(path, tokens=Tokens.read(bundled.tokens_path))
    assert one.name == str(path)
    np.testing.assert_allclose(np.exp(one.emissions_tn).sum(1), 1, rtol=1e-3)


def test_the_bundled_sets_are_such_files():
    bundled = sample()
    path = bundled.tokens_path.with_name("emissions_test.npz")
    found = read(path, tokens=Tokens.read(bundled.tokens_path))
    assert [one.reference for one in found] == list(bundled.references)
    np.testing.assert_array_equal(found[7].emissions_tn, bundled.emissions[7])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"emissions": FRAMES_TN[:, :3]}, r"\(6, 3\), expected \(frame, token\) with 4 tokens"),
        ({"emissions": FRAMES_TN[0]}, r"emissions has shape \(4,\), expected \(frame, token\)"),
        ({"emissions": np.zeros((2, 4), dtype=int)}, "dtype int64, expected floating-point"),
        ({"emissions": np.full((2, 4), np.nan)}, "nan, expected a number or minus infinity"),
        ({"emissions": FRAMES_TN, "lengths": [2, 5]}, r"in all 7, expected .* in all 6"),
        ({"emissions": FRAMES_TN, "lengths": [-2, 8]}, "expected the frames of each utterance"),
        ({"emissions": FRAMES_TN, "lengths": [0.5]}, "lengths has float64"),
        (
            {"emissions": FRAMES_TN, "lengths": np.array([2**63, 2**63, 6], np.uint64)},
            "in all 1844",
        ),
        ({"emissions": FRAMES_TN[None], "lengths": [7]}, r"lengths\[0\] is 7, expected 0 to 6"),
        ({"emissions": FRAMES_TN, "references": ["a", "b"]}, "2 references, expected 1"),
        ({"scale": np.float32(1)}, r"it holds scale \(\); expected an array `emissions`"),
        ({}, "it holds nothing"),
        ({"emissions": np.array([{}], dtype=object)}, "no .npz, .npy or .wav file"),
    ],
)
def test_a_wrong_file_is_named_with_what_it_holds(tmp_path, arrays, message):
    path = npz(tmp_path, **arrays)
    with pytest.raises(FileFormatError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_of_several_utterances_the_wrong_one_is_named(tmp_path):
    bad = FRAMES_TN.copy()
    bad[3, 1] = np.inf
    path = npz(tmp_path, emissions=np.stack([FRAMES_TN, bad]))
    with pytest.raises(FileFormatError, match=r"utterance 1: emissions\[3, 1\] is inf"):
        read(path)
    # One that is infinite as a logit has no probabilities.
    with pytest.raises(FileFormatError, match=r"utterance 1: emissions\[3, 0\] is nan"):
        read(path, are_logits=True)


@pytest.mark.fuzz
def test_damaged_files_are_errors_of_the_tree(tmp_path):
    generator = np.random.default_rng(0)
    whole = {}
    for name in ("e.npz", "e.npy"):
        path = tmp_path / name
        if name == "e.npz":
            np.savez_compressed(path, emissions=np.stack([FRAMES_TN] * 2), lengths=[3, 6])
        else:
            np.save(path, FRAMES_TN)
        whole[name] = path.read_bytes()
    for _ in range(300):
        name = str(generator.choice(list(whole)))
        data = bytearray(whole[name])
        for _ in range(int(generator.integers(1, 4))):
            data[int(generator.integers(len(data)))] = int(generator.integers(256))
        path = tmp_path / f"damaged{name[1:]}"
        path.write_bytes(data[: int(generator.integers(1, len(data) + 1))])
        try:
            read(path)
        except FileFormatError as error:
            assert str(path) in str(error)  # noqa: PT017 - most mutations raise, some do nothing


def test_references_are_lines(tmp_path):
    path = tmp_path / "said.txt"
    path.write_text("one two\n\nthree\n", encoding="utf-8")
    assert read_references(path, 3) == ["one two", "", "three"]
    with pytest.raises(FileFormatError, match="it has 3 lines, expected 4"):
        read_references(path, 4)
    path.write_bytes(b"caf\xe9\n")
    with pytest.raises(FileFormatError, match="byte 3 is not UTF-8"):
        read_references(path, 1)


def test_sound_has_a_lexicon_and_a_model_of_its_own(tmp_path):
    bundled = sample()
    sound, scores = [tmp_path / "a.WAV"], [tmp_path / "a.npz"]
    known = read_knowledge(Named(), sound)
    assert (known.is_bundled, len(known.tokens), known.lm is not None) == (True, 29, True)
    own = read_knowledge(Named(lexicon=bundled.lexicon_path), sound)
    assert (own.is_bundled, own.lm) == (False, None)
    with pytest.raises(click.UsageError, match="--tokens is missing"):
        read_knowledge(Named(lexicon=bundled.lexicon_path), scores)


def test_without_a_lexicon_the_tokens_are_searched():
    bundled = sample()
    known = read_knowledge(Named(tokens=bundled.tokens_path), [Path("a.npz")])
    assert known.vocabulary is known.tokens


def test_what_looks_like_logits_is_found(tmp_path):
    assert unnormalised(read(npz(tmp_path, emissions=FRAMES_TN.astype(np.float16)))) is None
    twice = np.concatenate([FRAMES_TN, FRAMES_TN + np.log(2)])
    assert unnormalised(read(npz(tmp_path, emissions=twice))) == pytest.approx(2)
    assert unnormalised([]) is None


def test_transitions_are_an_array(tmp_path):
    tokens, files = sample().tokens_path, [tmp_path / "a.npz"]
    np.save(tmp_path / "t.npy", np.zeros((29, 29), dtype=np.float32))
    known = read_knowledge(Named(transitions=tmp_path / "t.npy", tokens=tokens), files)
    assert known.decoder(DecoderOptions(criterion="asg")).options.criterion == "asg"
    with pytest.raises(FileFormatError, match="expected one array"):
        read_knowledge(Named(transitions=npz(tmp_path, t=FRAMES_TN), tokens=tokens), files)


def test_no_lengths_are_no_utterances(tmp_path):
    for lengths in (np.zeros(0, np.int64), []):
        assert read(npz(tmp_path, emissions=FRAMES_TN[:0], lengths=lengths)) == []
    assert read(npz(tmp_path, emissions=FRAMES_TN[None][:0], lengths=[])) == []
    path = npz(tmp_path, emissions=FRAMES_TN[:2], lengths=[0, 2, 0])
    assert [len(one.emissions_tn) for one in read(path)] == [0, 2, 0]
    (tmp_path / "said.txt").write_text("")
    assert read_references(tmp_path / "said.txt", 0) == []
