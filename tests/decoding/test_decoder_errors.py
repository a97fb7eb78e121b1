"""Errors in the middle of a search, hundreds of them: no memory stays, and decoders go on."""

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

from sestina.core.errors import SestinaError
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_arpa, samples

NUM_ERRORS = 300
SPARE_BYTES = 8 << 20  # what allocators may keep; one lost search an error would be far more


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.fixture
def sample():
    return samples.sample()


def decoder_of(sample):
    lexicon = Lexicon.read(sample.lexicon_path, Tokens.read(sample.tokens_path))
    return Decoder(lexicon, read_arpa(sample.arpa_path), DecoderOptions(beam_size=20))


def decode_nan(decoder, scores):
    decoder.decode(scores)


def decode_nan_in_a_batch(decoder, scores):
    decoder.decode_batch([scores[:5], scores], threads=2)


def step_nan(decoder, scores):
    stream = decoder.stream()
    stream.step(scores[: len(scores) // 2])
    stream.step(scores[len(scores) // 2 :])


@pytest.mark.parametrize("act", [decode_nan, decode_nan_in_a_batch, step_nan])
def test_bad_frames_leave_no_memory_and_the_decoder_as_it_was(act, sample):
    decoder, good = decoder_of(sample), sample.emissions[0]
    expected = decoder.decode(good)
    bad = np.array(good, np.float32)
    bad[-2, 1] = np.nan

    def fail(times):
        for _ in range(times):
            with pytest.raises(SestinaError):
                act(decoder, bad)

    fail(20)
    before = resident_bytes()
    fail(NUM_ERRORS)
    assert resident_bytes() - before < SPARE_BYTES
    assert decoder.decode(good) == expected


@pytest.mark.parametrize("act", [decode_nan, step_nan])
def test_after_an_error_nothing_holds_the_decoder_or_the_frames(act, sample):
    decoder, bad = decoder_of(sample), np.array(sample.emissions[0], np.float32)
    bad[-2, 1] = np.nan
    with pytest.raises(SestinaError):
        act(decoder, bad)
    held = [weakref.ref(decoder), weakref.ref(bad)]
    del decoder, bad
    gc.collect()
    assert [one() for one in held] == [None, None]
