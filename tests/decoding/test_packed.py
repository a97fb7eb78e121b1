"""What workers map: written once, opened anywhere, made again where it is missing."""

from __future__ import annotations

import pickle
import shutil
import threading

import numpy as np
import pytest

from sestina.core.errors import FileFormatError, InvalidValueError
from sestina.decoding import (
    Decoder,
    DecoderOptions,
    LanguageModel,
    Lexicon,
    Tokens,
    combine,
    read_lm,
)
from sestina.decoding.packed import default_cache, open_packed, pack
from sestina.decoding.reading import Problem
from tests.decoding.small_model import ARPA


@pytest.fixture
def decoder(tmp_path):
    # Something of its own in each file, for equal ones are shared within a process.
    own = tmp_path.name
    (tmp_path / "tokens.txt").write_text("-\n|\na\nb\n")
    (tmp_path / "lexicon.txt").write_text(f"ab a b |\nba b a |\n{own} b b |\n")
    (tmp_path / "lm.arpa").write_text(ARPA.replace("OWN", own))
    lexicon = Lexicon.read(tmp_path / "lexicon.txt", Tokens.read(tmp_path / "tokens.txt"))
    return Decoder(lexicon, read_lm(tmp_path / "lm.arpa"), DecoderOptions(beam_size=9))


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def emissions(seed=0):
    return np.random.default_rng(seed).normal(size=(20, 4)).astype(np.float32)


def found(native):
    return [(*scores, path.tolist()) for *scores, path in native.decode([emissions()], 9, 1)[0]]


def open_anew(packed):
    open_packed.cache_clear()
    return open_packed(packed)


def test_the_packed_decoder_finds_what_the_decoder_finds(decoder, cache):
    packed = pickle.loads(pickle.dumps(pack(decoder, cache)))
    assert found(open_anew(packed)) == found(decoder.native)
    assert len(pickle.dumps(packed)) < 3000
    assert {path.suffix for path in cache.iterdir()} == {".graph", ".lm"}


@pytest.mark.parametrize("options", [{"smearing": "none"}, {"log_add": True}, {"unk_score": -5.0}])
def test_options_cross(decoder, cache, options):
    other = Decoder(decoder.vocabulary, decoder.lm, DecoderOptions(**options))
    native = open_anew(pack(other, cache))
    assert found(native) == found(other.native)
    assert pickle.dumps(native.options) == pickle.dumps(other.native.options)


def test_a_decoder_without_a_model_is_packed(cache):
    decoder = Decoder(Lexicon.from_spellings({"ab": "a b"}, Tokens(["-", "|", "a", "b"])))
    packed = pack(decoder, cache)
    assert packed.files == (packed.graph,)
    assert found(open_anew(packed)) == found(decoder.native)


def test_the_same_decoder_is_opened_once(decoder, cache):
    packed = pack(decoder, cache)
    assert open_packed(packed) is open_packed(pickle.loads(pickle.dumps(packed)))


def test_what_is_there_is_not_written_again(decoder, cache):
    pack(decoder, cache)
    before = {path: path.stat().st_ino for path in cache.iterdir()}
    pack(decoder, cache)
    assert {path: path.stat().st_ino for path in cache.iterdir()} == before


def test_a_folder_that_was_emptied_is_filled_again(decoder, cache):
    packed = pack(decoder, cache)
    shutil.rmtree(cache)
    assert found(open_anew(packed)) == found(decoder.native)


def test_several_workers_that_miss_files_wait_for_one(decoder, cache):
    packed = pack(decoder, cache)
    shutil.rmtree(cache)
    ended = []

    def work():
        ended.append(found(open_packed.__wrapped__(packed)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [found(decoder.native)] * 4


@pytest.mark.parametrize("name", ["lexicon.txt", "lm.arpa"])
def test_a_missing_source_is_named_only_where_it_is_needed(decoder, cache, tmp_path, name):
    packed = pack(decoder, cache)
    del decoder
    (tmp_path / name).unlink()
    open_anew(packed)
    open_packed.cache_clear()
    shutil.rmtree(cache)
    with pytest.raises(FileFormatError, match=f"{name}: it is not there"):
        open_packed(packed)


def test_a_source_that_changed_is_named_before_anything_is_packed(decoder, cache, tmp_path):
    (tmp_path / "lm.arpa").write_text(ARPA)
    with pytest.raises(FileFormatError, match="was written after it was read"):
        pack(decoder, cache)
    assert not cache.exists()


def test_damaged_files_of_the_folder_are_written_again(decoder, cache):
    packed = pack(decoder, cache)
    for path in cache.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FileFormatError, match=r"ends too early|delete it|compile"):
        open_anew(packed)
    assert pack(decoder, cache) == packed
    assert found(open_anew(packed)) == found(decoder.native)


def test_a_model_that_was_read_from_no_file_says_so(decoder, cache):
    other = Decoder(decoder.vocabulary, LanguageModel(decoder.lm.native))
    with pytest.raises(InvalidValueError, match="expected a model that was read from a file"):
        pack(other, cache)


@pytest.mark.parametrize("name", ["lm3small.trie.bin", "lm3small.qtrie.bin"])
def test_binary_models_are_mapped_where_they_lie(shared_data, cache, name):
    path = shared_data / "decoding" / name
    tokens = Tokens.read(shared_data / "decoding" / "tokens.txt")
    lexicon = Lexicon.from_spellings({"the": "t h e |", "cat": "c a t |"}, tokens)
    decoder = Decoder(lexicon, read_lm(path))
    packed = pack(decoder, cache)
    assert packed.files == (packed.graph,)
    assert str(path.name).encode() in packed.recipe
    assert [path.suffix for path in cache.iterdir()] == [".graph"]
    scores = np.random.default_rng(1).normal(size=(30, len(tokens))).astype(np.float32)
    (one,), (other,) = (
        native.decode([scores], 1, 1)[0] for native in (open_anew(packed), decoder.native)
    )
    assert one[:3] == other[:3]


@pytest.mark.parametrize("kind", ["hotwords", "hotwords alone", "grammar", "transitions"])
def test_phrases_and_transitions_are_mapped_too(decoder, cache, kind):
    lexicon, lm = decoder.vocabulary, decoder.lm
    transitions = np.random.default_rng(5).normal(size=(len(lexicon.tokens),) * 2)
    other = {
        "hotwords": lambda: Decoder(lexicon, lm, hotwords={"ba": 3.0, "ab ab": -2.0}),
        "hotwords alone": lambda: Decoder(lexicon, hotwords={"ba": 3.0}),
        "grammar": lambda: Decoder(lexicon, lm, grammar=["ba", "ba ba"]),
        "transitions": lambda: Decoder(lexicon, lm, transitions=transitions),
    }[kind]()
    packed = pack(other, cache)
    assert packed.graph is not None
    assert found(open_anew(packed)) == found(other.native)
    if kind != "transitions" and other.lm is not None:
        assert found(open_anew(packed)) != found(decoder.native)
    shutil.rmtree(cache)
    assert found(open_anew(packed)) == found(other.native)


def test_phrases_go_with_the_parts_of_a_decoder_that_had_some(decoder):
    options, lm = decoder.native.options, decoder.lm.native
    block = np.frombuffer(decoder.native.pack(), np.uint8)
    other = Decoder(decoder.vocabulary, decoder.lm, hotwords={"ba": 3.0})
    with pytest.raises(ValueError, match="phrases go with"):
        type(decoder.native)(block, lm, options, other.make_phrases())
    with pytest.raises(ValueError, match="phrases go with"):
        type(decoder.native)(np.frombuffer(other.native.pack(), np.uint8), lm, options, None)


@pytest.mark.filterwarnings("ignore:the language model knows 0 of 3 tokens")
@pytest.mark.parametrize("kind", ["combined", "tokens"])
def test_models_are_mapped_where_the_rest_is_made_anew(decoder, cache, kind):
    lexicon, lm = decoder.vocabulary, decoder.lm
    other = {
        "combined": lambda: Decoder(lexicon, combine([(lm, 0.5), (lm, 0.1)])),
        "tokens": lambda: Decoder(lexicon.tokens, lm),
    }[kind]()
    packed = pack(other, cache)
    assert packed.graph is None
    assert [path.suffix for path in cache.iterdir()] == [".lm"]
    assert found(open_anew(packed)) == found(other.native)
    shutil.rmtree(cache)
    assert found(open_anew(packed)) == found(other.native)


def test_the_users_cache_is_where_the_system_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "sestina" / "decoding"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert str(default_cache()) == "/home/someone/.cache/sestina/decoding"


@pytest.mark.fuzz
@pytest.mark.parametrize("with_phrases", [False, True])
def test_damage_is_refused_or_searched(decoder, with_phrases):
    phrases = None
    if with_phrases:
        transitions = np.zeros((len(decoder.tokens),) * 2)
        decoder = Decoder(
            decoder.vocabulary, decoder.lm, hotwords={"ba": 3.0}, transitions=transitions
        )
        phrases = decoder.make_phrases()
    block = np.frombuffer(decoder.native.pack(), np.uint8)
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(1000):
        changed = block.copy()
        places = rng.integers(0, len(block), size=rng.integers(1, 4))
        changed[places] = rng.integers(0, 256, size=len(places))
        changed = changed[: rng.integers(1, len(block))] if rng.random() < 0.1 else changed
        try:
            found(type(decoder.native)(changed, decoder.lm.native, decoder.native.options, phrases))
        except Problem:
            refused += 1
    assert refused > 100
