"""Directories of saved decoders: of models' files of all kinds, and damaged."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from sestina.core.errors import FileFormatError
from sestina.decoding import compile_lm, read_lm
from sestina.decoding.compat.pyctcdecode import BeamSearchDecoderCTC, build_ctcdecoder

LABELS = [" ", "b", "g", "n", "s", "u", "y", ""]
LOGITS = np.random.default_rng(0).normal(size=(12, len(LABELS))) * 2.0


@pytest.fixture
def arpa(shared_data):
    return str(shared_data / "decoding" / "bugs_bunny_kenlm.arpa")


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("lm.arpa.gz", "lm.arpa"),
        ("lm.gz", "lm.arpa"),
        ("lm.txt", "lm.txt.arpa"),
        ("l.slm", "l.slm"),
    ],
)
def test_a_saved_decoder_loads_again_whatever_its_model_s_file_was_called(
    arpa, tmp_path, name, saved
):
    path, folder = tmp_path / name, tmp_path / "saved"
    if name.endswith(".slm"):
        compile_lm(read_lm(arpa), path)
    else:
        data = Path(arpa).read_bytes()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    decoder = build_ctcdecoder(LABELS, str(path), unigrams=["bugs", "bunny"])
    folder.mkdir()
    decoder.save_to_dir(folder)
    assert (folder / "language_model" / saved).exists()
    again = BeamSearchDecoderCTC.load_from_dir(folder)
    assert again.decode_beams(LOGITS) == decoder.decode_beams(LOGITS)
    if saved.endswith(".arpa"):
        assert (folder / "language_model" / saved).read_bytes() == Path(arpa).read_bytes()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("alphabet.json", b"", "labels, all of them texts, and is_bpe"),
        ("alphabet.json", b"\xff\xfe", "byte 0 is not UTF-8"),
        ("alphabet.json", b"[" * 100_000, "labels, all of them texts, and is_bpe"),
        ("alphabet.json", b'{"labels": [1, 2], "is_bpe": false}', "all of them texts"),
        ("alphabet.json", b'{"labels": "ab", "is_bpe": false}', "all of them texts"),
        ("alphabet.json", b'{"labels": ["a"], "is_bpe": 0}', "all of them texts"),
        ("language_model/attrs.json", b"", "expected JSON"),
        ("language_model/attrs.json", b"[" * 100_000, "expected JSON"),
        ("language_model/attrs.json", b"3", "it has 3, expected"),
        ("language_model/attrs.json", b"\xff", "byte 0 is not UTF-8"),
        (
            "language_model/attrs.json",
            b'{"alpha": NaN, "beta": 1, "unk_score_offset": -1, "score_boundary": true}',
            "alpha is nan, expected a finite number",
        ),
        ("language_model/unigrams.txt", b"caf\xe9", "byte 3 is not UTF-8"),
    ],
)
def test_a_damaged_file_of_a_saved_decoder_is_named(arpa, tmp_path, name, data, message):
    build_ctcdecoder(LABELS, arpa).save_to_dir(tmp_path)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FileFormatError, match=message) as caught:
        BeamSearchDecoderCTC.load_from_dir(tmp_path)
    assert str(tmp_path / name) in str(caught.value)
