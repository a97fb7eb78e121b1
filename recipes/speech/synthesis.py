"""Sentences read by eSpeak NG in many voices, and the noise of the rooms they are heard in.

The voices of the test and tune sets, and one accent, appear nowhere in the training set.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sestina.decoding.samples import read_wav

__all__ = ["TEST_ACCENTS", "TEST_VOICES", "TRAIN_ACCENTS", "TRAIN_VOICES", "make_noisy", "speak"]

Waveform = NDArray[np.float32]

TRAIN_ACCENTS = ("en-gb", "en-us", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us-nyc")
TEST_ACCENTS = ("en-gb", "en-us", "en-gb-scotland")
TEST_VOICES = ("m5", "f3", "Michael", "Andrea", "linda", "rob")
TRAIN_VOICES = (
    *(
        "m1",
        "m2",
        "m3",
        "m4",
        "m6",
        "m7",
        "m8",
        "f1",
        "f2",
        "f4",
        "f5",
        "klatt",
        "klatt2",
        "klatt4",
    ),
    *("Alex", "Alicia", "Andy", "Annie", "Denis", "Gene", "Hugo", "Jacky", "Lee", "Marco", "Mike"),
    *("adam", "anika", "antonio", "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed"),
    *("edward", "grandma", "grandpa", "gustave", "iven", "john", "max", "michel", "miguel", "paul"),
    *(
        "norbert",
        "pablo",
        "pedro",
        "quincy",
        "robert",
        "sandro",
        "shelby",
        "steph",
        "travis",
        "zac",
    ),
)
RATE_HZ = 16_000


def speak(
    text: str, draw: random.Random, *, accents: tuple[str, ...], voices: tuple[str, ...]
) -> Waveform:
    """The sentence in a voice drawn at random, at a speed and pitch drawn at random."""
    voice = f"{draw.choice(accents)}+{draw.choice(voices)}"
    speed, pitch = draw.randint(110, 170), draw.randint(25, 75)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "spoken.wav")
        command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-w", str(path)]
        subprocess.run([*command, text], check=True)
        spoken = read_wav(path)
    loud = np.flatnonzero(np.abs(spoken) > 0.01 * np.abs(spoken).max())
    return spoken[loud[0] : loud[-1] + 1]


def make_noisy(
    clean: Waveform,
    babble: list[Waveform],
    rng: np.random.Generator,
    *,
    snr_db: tuple[float, float],
) -> Waveform:
    """The sentence with silence around it, in every other case in a room, and with noise.

    Args:
        clean: (num_samples,).
        babble: other sentences, mixed to a murmur in a third of the cases; the other noises are
            white and pink.
        rng: draws all of it.
        snr_db: the least and the most power of the speech over that of the noise.
    """
    before, after = rng.integers(0.1 * RATE_HZ, 0.4 * RATE_HZ, size=2)
    speech = np.pad(clean, (before, after))
    if rng.random() < 0.5:
        speech = _reverberant(speech, rng)
    kind = rng.integers(3)
    if kind == 0:
        noise = rng.standard_normal(speech.size, dtype=np.float32)
    elif kind == 1:
        noise = _pink(speech.size, rng)
    else:
        noise = sum((_tiled(rng, other, speech.size) for other in babble), np.zeros_like(speech))
    snr = 10 ** (rng.uniform(*snr_db) / 10)
    noise *= np.sqrt(_power(clean) / (_power(noise) * snr))
    mixed = speech + noise
    return mixed * np.float32(0.5 / np.abs(mixed).max())


def _power(waveform: Waveform) -> float:
    return float(np.square(waveform).mean())


def _reverberant(speech: Waveform, rng: np.random.Generator) -> Waveform:
    """Convolved with the direct sound and a tail of noise that falls by 60 dB in 0.1 to 0.5 s."""
    fall_s = rng.uniform(0.1, 0.5)
    times_s = np.arange(int(fall_s * RATE_HZ)) / RATE_HZ
    tail = rng.standard_normal(times_s.size) * 10 ** (-3 * times_s / fall_s)
    tail *= rng.uniform(0.2, 0.7) / np.sqrt(np.square(tail).sum())
    tail[0] = 1
    size = _fast_size(speech.size + tail.size)
    wet = np.fft.irfft(np.fft.rfft(speech, size) * np.fft.rfft(tail.astype(np.float32), size), size)
    return wet[: speech.size].astype(np.float32)


def _pink(size: int, rng: np.random.Generator) -> Waveform:
    fast = _fast_size(size)
    spectrum = np.fft.rfft(rng.standard_normal(fast, dtype=np.float32))
    spectrum /= np.sqrt(np.maximum(np.arange(spectrum.size), 1))
    return np.fft.irfft(spectrum, fast)[:size].astype(np.float32)


def _tiled(rng: np.random.Generator, other: Waveform, size: int) -> Waveform:
    start = rng.integers(other.size)
    repeated = np.resize(np.roll(other, -start), size)
    return repeated / np.float32(np.sqrt(_power(other)))


def _fast_size(size: int) -> int:
    """The least multiple of a sixteenth of a power of two: quick to transform."""
    step = max(1, (1 << (size - 1).bit_length()) // 16)
    return -(-size // step) * step
