"""Each instruction set finds the same, bit for bit; those this machine lacks are refused."""

from pathlib import Path

import numpy as np
import pytest

from sestina.core.errors import UnknownNameError
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens

LETTERS = "abcdefghijklmnopqrstuvwxyz"
TOKENS = Tokens(["-", "|", *LETTERS])


@pytest.fixture(scope="module")
def lexicon():
    rng = np.random.default_rng(5)
    words = {"".join(rng.choice(list(LETTERS), rng.integers(2, 6))) for _ in range(3000)}
    return Lexicon.from_spellings({word: " ".join(f"{word}|") for word in sorted(words)}, TOKENS)


def decode_all(lexicon, options, monkeypatch, level):
    monkeypatch.setenv("SESTINA_SIMD", level)
    decoder = Decoder(lexicon, options=options)
    rng = np.random.default_rng(6)
    emissions = [rng.normal(0, 3, (40, 28)).astype(np.float32) for _ in range(5)]
    return [decoder.decode(one, nbest=5) for one in emissions]


@pytest.mark.parametrize("level", ["avx2", "avx512"])
@pytest.mark.parametrize(
    "options",
    [
        DecoderOptions(beam_size=30),
        DecoderOptions(beam_size=30, log_add=True, beam_threshold=15),
        DecoderOptions(beam_size=30, beam_size_token=6, semantics="flashlight"),
    ],
)
def test_levels_find_the_same(lexicon, options, monkeypatch, level):
    # By the processor's own word: a level that was left out of the build is a failure.
    needed = {"avx2": "avx2", "avx512": "avx512bw"}[level]
    if needed not in Path("/proc/cpuinfo").read_text():
        pytest.skip(f"this processor has no {level}")
    portable = decode_all(lexicon, options, monkeypatch, "portable")
    assert decode_all(lexicon, options, monkeypatch, level) == portable


def test_an_unknown_level_is_named(lexicon, monkeypatch):
    with pytest.raises(UnknownNameError, match=r"SESTINA_SIMD is 'mmx'.*portable.*unset"):
        decode_all(lexicon, DecoderOptions(), monkeypatch, "mmx")
