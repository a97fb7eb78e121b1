"""Errors in the middle of a search, hundreds of them: no memory stays, and decoders go on."""

import gc
import subprocess
import sys
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


INTERRUPTED = """
import os, signal, threading
import numpy as np
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, samples

signal.signal(signal.SIGINT, signal.default_int_handler)
bundled = samples.sample()
tokens = Tokens.read(bundled.tokens_path)
lexicon = Lexicon.read(bundled.lexicon_path, tokens)
decoder = Decoder(lexicon, options=DecoderOptions(beam_size=5000, beam_threshold=1e4))
emissions = np.concatenate([np.concatenate(bundled.emissions)] * 20)  # minutes of work
work = {
    "decode": lambda: decoder.decode(emissions),
    "batch": lambda: decoder.decode_batch([emissions, emissions], threads=2),
    "lattice": lambda: decoder.lattice(emissions),
    "stream": lambda: decoder.stream().step(emissions),
}
for name, run in work.items():
    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    try:
        run()
    except KeyboardInterrupt:
        print(name)
print(decoder.decode(bundled.emissions[0][:20])[0].score < 0)
"""


def test_ctrl_c_ends_long_work_and_leaves_the_decoder_usable():
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == ["decode", "batch", "lattice", "stream", "True"]
