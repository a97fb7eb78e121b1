"""Files of language models: told apart by what they hold, mapped or read, and damaged."""

import contextlib
import gzip
import random
import string
import struct
import subprocess
import sys

import numpy as np
import pytest

from sestina.core.errors import FileFormatError, InvalidValueError, NonFiniteError
from sestina.decoding import (
    Decoder,
    DecoderOptions,
    Lexicon,
    Tokens,
    compile_lm,
    read_arpa,
    read_lm,
)

ARPA = (
    "\\data\\\nngram 1=6\nngram 2=4\nngram 3=2\n\n\\1-grams:\n-1.3\t<unk>\n-99\t<s>\t-0.4\n"
    "-0.9\t</s>\n-0.5\tab\t-0.2\n-0.8\tba\t-0.6\n-1.1\tabba\n\n\\2-grams:\n-0.2\tab ba\t-0.1\n"
    "-0.3\t<s> abba\n-0.7\tba </s>\n-0.4\tab ab\t-0.3\n\n\\3-grams:\n-0.1\tab ba </s>\n"
    "-0.2\tab ab ba\n\n\\end\\\n"
)
SENTENCE = ["ab", "ab", "ba", "abba", "no", "such", "ab", "ba"]
# KenLM's header: 56 bytes of magic, 32 of test values, then order, table size, kind, version.
KIND_AT, VERSION_AT, ORDER_AT, COUNTS_AT = 96, 104, 88, 108


@pytest.fixture
def arpa(tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text(ARPA)
    return path


@pytest.fixture
def kenlm(shared_data):
    return (shared_data / "decoding" / "lm3small.qtrie.bin").read_bytes()


def changed(data, at, value):
    return data[:at] + value + data[at + len(value) :]


def test_what_a_file_holds_says_its_kind_and_not_its_name(arpa, tmp_path, shared_data):
    expected = read_arpa(arpa).scores(SENTENCE)
    packed, cache = tmp_path / "packed", tmp_path / "cache.gz"
    packed.write_bytes(gzip.compress(ARPA.encode()))
    compile_lm(arpa, cache)
    for path in (arpa, packed, cache):
        for load in ("memory", "mmap"):
            model = read_lm(path, load=load)
            assert model.scores(SENTENCE) == expected
            assert (model.order, model.counts) == (3, (6, 4, 2))
            assert "ab" in model
            assert "no" not in model
    binary = tmp_path / "lm.arpa.txt"
    binary.write_bytes((shared_data / "decoding" / "lm3small.trie.bin").read_bytes())
    assert read_lm(binary).order == 3


def test_an_unknown_way_to_load_is_an_error(arpa):
    with pytest.raises(InvalidValueError, match="load is 'mapped', expected memory or mmap"):
        read_lm(arpa, load="mapped")


@pytest.mark.parametrize("name", ["none", "."])
def test_a_path_that_cannot_be_read_is_named(name, tmp_path):
    with pytest.raises(OSError, match=str(tmp_path)):
        read_lm(tmp_path / name)


def test_a_compiled_file_is_compiled_again_to_the_same_bytes(arpa, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    compile_lm(arpa, one)
    compile_lm(read_lm(one, load="mmap"), other)
    assert one.read_bytes() == other.read_bytes()


def test_what_was_there_stays_if_compiling_fails(arpa, tmp_path):
    target = tmp_path / "cache"
    compile_lm(arpa, target)
    before = target.read_bytes()
    arpa.write_text(ARPA.replace("-0.2\tab ab ba", ""))
    with pytest.raises(FileFormatError, match="there are 1 n-grams of order 3"):
        compile_lm(arpa, target)
    assert target.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "lm.arpa"]


def test_a_damaged_compiled_file_is_an_error(arpa, tmp_path):
    path = tmp_path / "cache"
    compile_lm(arpa, path)
    data = path.read_bytes()
    damages = {
        "it has 100 bytes, which is less": data[:100],
        r"it has \d+ bytes, expected": data[:-1],
        "written by another version": changed(data, 16, b"\x09"),
        "its header is damaged": changed(data, 40, b"\xff"),
        "its contents are damaged": changed(data, len(data) - 20, b"\xff\xff\xff"),
    }
    for reason, damaged in damages.items():
        path.write_bytes(damaged)
        with pytest.raises(FileFormatError, match=reason + r".*compile the model again"):
            read_lm(path)


def test_no_mutation_of_a_compiled_file_crashes_or_leads_astray(arpa, tmp_path):
    path = tmp_path / "cache"
    compile_lm(arpa, path)
    data, expected, rng = path.read_bytes(), read_lm(path).scores(SENTENCE), random.Random(0)
    for _ in range(300):
        path.write_bytes(changed(data, rng.randrange(len(data)), bytes([rng.randrange(256)])))
        with contextlib.suppress(FileFormatError):
            assert read_lm(path).scores(SENTENCE) == expected
        with contextlib.suppress(FileFormatError):
            read_lm(path, load="mmap").scores(SENTENCE)  # not all checksums are looked at


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (34, b"format version 4\n", "it is of 'format version 4', expected 'format version 5'"),
        (34, b"incomplete\n", "marked as incomplete"),
        (56, b"\x01", "its test values are not those of a 64-bit little-endian machine"),
        (KIND_AT, b"\x01", "rest costs"),
        (KIND_AT, b"\x07", "its kind is 7, expected 0 to 5"),
        (VERSION_AT, b"\x02", "of version 2, expected 1"),
        (ORDER_AT, b"\x09", "its order is 9, expected 2 to 8"),
        (COUNTS_AT, b"\xff" * 8, "n-grams of order 1, expected at most"),
        (COUNTS_AT + 8, b"\xff\xff\xff\x0f", "bytes, but its counts ask for more"),
    ],
)
def test_a_kenlm_file_that_is_none_or_another_is_an_error(at, value, reason, kenlm, tmp_path):
    path = tmp_path / "lm.bin"
    path.write_bytes(changed(kenlm, at, value))
    for load in ("memory", "mmap"):
        with pytest.raises(FileFormatError, match=f"lm.bin: .*{reason}.*; "):
            read_lm(path, load=load)


@pytest.mark.parametrize("number", ["inf", "nan"])
def test_numbers_of_a_kenlm_file_that_are_none_are_errors_of_the_search(
    number, shared_data, tmp_path
):
    # Its numbers are read when they are needed. One beyond the others made the search crash.
    damaged = bytearray((shared_data / "decoding" / "lm3small.trie.bin").read_bytes())
    order, num_words = damaged[ORDER_AT], int.from_bytes(damaged[COUNTS_AT:][:8], "little")
    unigrams = (COUNTS_AT + 8 * order + 7) // 8 * 8 + 8 * (1 + num_words)
    for word in range(num_words):  # of each the score, the back-off weight and a pointer
        struct.pack_into("<f", damaged, unigrams + 16 * word + 4, float(number))
    path = tmp_path / "lm.bin"
    path.write_bytes(damaged)
    tokens = Tokens(["-", "|", *string.ascii_lowercase])
    lexicon = Lexicon.from_spellings(
        {word: f"{' '.join(word)} |" for word in ("the", "and", "he", "an")}, tokens
    )
    emissions_tn = np.log(np.random.default_rng(0).dirichlet(np.ones(len(tokens)), 30))
    for load in ("memory", "mmap"):
        model = read_lm(path, load=load)
        with pytest.raises(NonFiniteError, match="a score of the language model is"):
            Decoder(lexicon, model, DecoderOptions(beam_threshold=1e3)).decode(emissions_tn)


def test_a_cut_kenlm_file_is_an_error(kenlm, tmp_path):
    path = tmp_path / "lm.bin"
    for length in (40, 90, 130, 1000, len(kenlm) // 2, len(kenlm) - 1):
        path.write_bytes(kenlm[:length])
        with pytest.raises(FileFormatError, match=r"copy the whole file again|binary format"):
            read_lm(path)


def test_reading_models_loads_no_torch(arpa, tmp_path):
    compile_lm(arpa, tmp_path / "cache")
    code = (
        "import sys; from sestina.decoding import read_lm, read_arpa;"
        "read_arpa(sys.argv[1]); read_lm(sys.argv[2], load='mmap').scores(['ab']);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, arpa, tmp_path / "cache"], check=True)
