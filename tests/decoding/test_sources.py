"""Parts of a decoder cross to other processes as paths and digests, and are shared there."""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
import weakref

import numpy as np
import pytest

from sestina.core.errors import FileFormatError, InvalidValueError
from sestina.decoding import Decoder, DecoderOptions, LanguageModel, Lexicon, Tokens, read_arpa
from sestina.decoding.sources import Source
from tests.decoding.small_model import ARPA


@pytest.fixture
def files(tmp_path):
    # Something of its own in each, for equal files are shared wherever they lie.
    own = tmp_path.name
    (tmp_path / "tokens.txt").write_text(f"-\n|\na A\nb {own}\n")
    (tmp_path / "lexicon.txt").write_text(f"ab a b |\nba b a |\nab A b |\n{own} b b |\n")
    (tmp_path / "lm.arpa").write_text(ARPA.replace("OWN", own))
    return tmp_path


def read_decoder(folder, **options):
    tokens = Tokens.read(folder / "tokens.txt")
    lexicon = Lexicon.read(folder / "lexicon.txt", tokens)
    return Decoder(lexicon, read_arpa(folder / "lm.arpa"), DecoderOptions(**options))


def emissions(num_frames=12, *, num_tokens=4, seed=0):
    scores = np.random.default_rng(seed).normal(size=(num_frames, num_tokens)).astype(np.float32)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def test_a_decoder_crosses_as_paths_and_digests(files):
    decoder = read_decoder(files, beam_size=7, lm_weight=0.5, log_add=True)
    pickled = pickle.dumps(decoder)
    assert len(pickled) < 2000
    for name in ("tokens.txt", "lexicon.txt", "lm.arpa"):
        assert hashlib.sha256((files / name).read_bytes()).hexdigest().encode() in pickled
    other = pickle.loads(pickled)
    assert other.options == decoder.options
    assert other.decode(emissions(), nbest=5) == decoder.decode(emissions(), nbest=5)
    assert [hypothesis.score for hypothesis in other.decode(emissions(), nbest=5)] == [
        hypothesis.score for hypothesis in decoder.decode(emissions(), nbest=5)
    ]


def test_paths_hold_from_other_working_directories(files, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(files)
    pickled = pickle.dumps(read_decoder(type(files)()))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert len(pickle.loads(pickled).vocabulary) == 3


def test_what_was_made_in_memory_crosses_by_its_content():
    tokens = Tokens(["-", "|", ["a", "A"], "b"])
    lexicon = Lexicon.from_spellings([("ab", "a b |"), ("b\udcff", "b |"), ("ab", "A b")], tokens)
    other = pickle.loads(pickle.dumps(Decoder(lexicon)))
    assert other.vocabulary.tokens.index("A") == 2
    assert [other.vocabulary.word(k) for k in range(2)] == ["ab", "b\udcff"]
    assert repr(other.vocabulary) == "Lexicon(2 words, 3 spellings)"
    assert other.decode(emissions(), nbest=9) == Decoder(lexicon).decode(emissions(), nbest=9)


def test_a_process_shares_what_it_unpickles_twice(files):
    pickled = [pickle.dumps(read_decoder(files)) for _ in range(2)]
    first, second = map(pickle.loads, pickled)
    assert first is second
    third = pickle.loads(pickle.dumps(read_decoder(files, beam_size=3)))
    assert third is not first
    assert third.vocabulary is first.vocabulary
    assert third.lm is first.lm


def test_what_is_used_no_more_is_let_go(files):
    pickled = pickle.dumps(read_decoder(files))
    first = pickle.loads(pickled).vocabulary
    number = id(first.native), first
    del first
    assert pickle.loads(pickled).vocabulary is number[1]
    del number
    gc.collect()
    (files / "lexicon.txt").unlink()
    with pytest.raises(FileFormatError, match="is not there"):
        pickle.loads(pickled)


@pytest.mark.parametrize("name", ["tokens.txt", "lexicon.txt", "lm.arpa"])
def test_a_file_that_changed_or_went_is_named(files, name):
    pickled = pickle.dumps(read_decoder(files))
    path = files / name
    before = path.read_bytes()
    path.write_bytes(before + b"\n")
    with pytest.raises(
        FileFormatError, match=r"its SHA-256 is .*, expected .*put the old file"
    ) as e:
        pickle.loads(pickled)
    assert e.value.path == path
    path.unlink()
    with pytest.raises(FileFormatError, match="is not there, expected the file that the decoder"):
        pickle.loads(pickled)
    path.write_bytes(before)
    assert len(pickle.loads(pickled).vocabulary) == 3


def test_a_decoder_that_is_used_no_more_is_let_go_at_once(files):
    decoder = read_decoder(files)
    best = decoder.decode(emissions())[0]
    gone = weakref.ref(decoder)
    gc.disable()
    try:
        del decoder
        assert gone() is None
    finally:
        gc.enable()
    assert best.text is not None


def test_a_file_that_changed_before_pickling_is_named(files):
    decoder = read_decoder(files)
    path = files / "lexicon.txt"
    path.write_text("ab b |\n")
    with pytest.raises(FileFormatError, match="was written after it was read"):
        pickle.dumps(decoder)


def test_a_digest_is_made_once(files):
    source = Source.of(files / "lm.arpa")
    digest = source.digest()
    os.truncate(files / "lm.arpa", 0)
    assert source.digest() == digest


def test_a_model_without_a_file_says_so(files):
    native = read_arpa(files / "lm.arpa").native
    with pytest.raises(InvalidValueError, match="expected a model that was read from a file"):
        pickle.dumps(LanguageModel(native))


def test_a_hypothesis_crosses_with_the_names_it_needs(files):
    best = read_decoder(files).decode(emissions(), nbest=3)
    pickled = pickle.dumps(best)
    assert len(pickled) < 2500
    other = pickle.loads(pickled)
    assert other == best
    assert [one.text for one in other] == [one.text for one in best]
    assert (other[0].acoustic_score, other[0].language_score) == (
        best[0].acoustic_score,
        best[0].language_score,
    )
    assert pickle.loads(pickle.dumps(other)) == best
