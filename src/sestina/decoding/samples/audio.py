"""Sound files as the waveforms that the acoustic model takes: one channel at 16 kHz."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sestina.core.errors import (
    DtypeError,
    FileFormatError,
    InvalidValueError,
    NonFiniteError,
    ShapeError,
)

__all__ = ["SAMPLE_RATE_HZ", "check_waveform", "read_wav", "resample"]

SAMPLE_RATE_HZ = 16_000

_SLOWEST_HZ, _FASTEST_HZ = 1_000, 768_000
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_DTYPES = {(_PCM, 8): "u1", (_PCM, 16): "<i2", (_PCM, 24): "u1", (_PCM, 32): "<i4"}
_DTYPES |= {(_FLOAT, 32): "<f4", (_FLOAT, 64): "<f8"}
# Programs that write to a pipe can't know the length and put one of the largest there.
_UNKNOWN_SIZE = 0x7FFF_F000
_CONVERT = "convert it with: ffmpeg -i {path} -ac 1 -ar 16000 converted.wav"

# The low-pass filter of `resample`: zero crossings on each side, and its place below the limit.
_CROSSINGS = 24
_PASSED = 0.9
_BLOCK_ROWS = 1 << 14


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    dtype: str
    bits: int
    channels: int
    rate_hz: int

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.bits // 8


def read_wav(path: str | Path) -> NDArray[np.float32]:
    """The sound in a WAV file: (num_samples,), 16 kHz, in [-1, 1], its channels averaged.

    Reads integers of 8, 16, 24 and 32 bits and floats of 32 and 64, at any rate from 1 to 768 kHz
    (see `resample`).

    Raises:
        FileFormatError: if the file is no WAV file, damaged, cut short, empty, or compressed.
    """
    data = Path(path).read_bytes()
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise FileFormatError(
            path,
            f"it begins with {data[:12]!r}, expected b'RIFF', 4 bytes and b'WAVE' of a WAV file",
            remedy=_CONVERT.format(path=path),
        )
    sound = None
    for name, content in _chunks(path, data):
        if name == b"fmt ":
            sound = _format(path, content)
        elif name == b"data" and sound is not None:
            return resample(_mono(path, content, sound), sound.rate_hz)
    missing = "'fmt ' before 'data'" if sound is None else "'data'"
    raise FileFormatError(
        path,
        f"its {len(data)} bytes have no chunk {missing}, expected the samples there",
        remedy=_CONVERT.format(path=path),
    )


def resample(waveform: NDArray[np.floating], rate_hz: int) -> NDArray[np.float32]:
    """The waveform at 16 kHz: (⌈num_samples · 16000 / rate⌉,), by a windowed sinc.

    Up to 0.8 of the lower of the two half rates the gain is 1 within 1 %; what lies above that half
    rate, and would come back as another tone, is weakened by 40 dB at least.

    Args:
        waveform: (num_samples,), float32 or float64.
        rate_hz: its samples per second, 1,000 to 768,000.

    Raises:
        InvalidValueError: if the rate is out of range.
        DtypeError, ShapeError, NonFiniteError: if the waveform is no such array.

    Example:
        >>> import numpy as np
        >>> resample(np.ones(441, dtype=np.float32), 44_100).shape
        (160,)
    """
    samples = check_waveform(waveform)
    if not _SLOWEST_HZ <= rate_hz <= _FASTEST_HZ:
        raise InvalidValueError(
            "rate_hz",
            rate_hz,
            expected=f"{_SLOWEST_HZ} to {_FASTEST_HZ} samples per second",
            remedy="give the rate at which the sound was recorded",
        )
    if rate_hz == SAMPLE_RATE_HZ or not samples.size:
        return samples
    shared = math.gcd(rate_hz, SAMPLE_RATE_HZ)
    up, down = SAMPLE_RATE_HZ // shared, rate_hz // shared
    num_out = -(-samples.size * up // down)
    half = math.ceil(_CROSSINGS * max(1.0, down / up) / _PASSED)
    windows = sliding_window_view(np.pad(samples, half), 2 * half)
    resampled = np.empty(num_out, dtype=np.float32)
    # Output n stands at input n·down/up; all n with the same n mod up have the same filter.
    for phase in range(min(up, num_out)):
        first, fraction = divmod(phase * down, up)
        taps = _taps(half, fraction / up, cutoff=_PASSED * min(1.0, up / down))
        rows = windows[first + 1 :: down]
        for start in range(0, len(range(phase, num_out, up)), _BLOCK_ROWS):
            block = resampled[phase::up][start : start + _BLOCK_ROWS]
            block[:] = rows[start : start + len(block)] @ taps
    return resampled


def check_waveform(waveform: NDArray[np.floating]) -> NDArray[np.float32]:
    """The waveform as float32.

    Raises:
        DtypeError: if its elements are no floats.
        ShapeError: if it has not one axis.
        NonFiniteError: if it holds NaN or infinity.
    """
    array = np.asarray(waveform)
    if array.dtype not in {np.dtype(np.float32), np.dtype(np.float64)}:
        raise DtypeError(
            "waveform",
            array.dtype,
            expected="float32 or float64 in [-1, 1]",
            remedy="divide integers by their largest value, e.g. 16 bits by 32768.0",
        )
    if array.ndim != 1:
        raise ShapeError(
            "waveform",
            array.shape,
            expected="(num_samples,), one channel",
            remedy="average the channels, or give one of them",
        )
    with np.errstate(over="ignore"):
        samples = array.astype(np.float32, copy=False)
    finite = np.isfinite(samples)
    if not finite.all():
        raise NonFiniteError(
            "waveform",
            f"{(~finite).sum()} of {array.size} samples not finite, first at {finite.argmin()}",
            expected="finite numbers, of a float32's range",
            remedy="look at how the sound was read or computed",
        )
    return samples


def _chunks(path: str | Path, data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    while place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        rest = len(data) - place - 8
        if size > rest and not (name == b"data" and size >= _UNKNOWN_SIZE):
            raise FileFormatError(
                path,
                f"its chunk {name!r} at byte {place} is {size} bytes long, "
                f"expected at most the {rest} that are left: the file is cut short or damaged",
                remedy="copy or record it again",
            )
        yield name, data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def _format(path: str | Path, chunk: bytes) -> _Format:
    if len(chunk) < 16:
        raise FileFormatError(
            path,
            f"its chunk 'fmt ' has {len(chunk)} bytes, expected 16 or more",
            remedy=_CONVERT.format(path=path),
        )
    kind, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if kind == _EXTENSIBLE and len(chunk) >= 26:
        kind = struct.unpack_from("<H", chunk, 24)[0]
    if (kind, bits) not in _DTYPES:
        raise FileFormatError(
            path,
            f"its samples are of kind {kind} with {bits} bits, expected kind 1 (integers of 8, 16, "
            "24 or 32 bits) or 3 (floats of 32 or 64 bits)",
            remedy=_CONVERT.format(path=path),
        )
    if not channels or not _SLOWEST_HZ <= rate_hz <= _FASTEST_HZ:
        raise FileFormatError(
            path,
            f"it has {channels} channels at {rate_hz} Hz, expected one or more at "
            f"{_SLOWEST_HZ} to {_FASTEST_HZ} Hz",
            remedy=_CONVERT.format(path=path),
        )
    return _Format(dtype=_DTYPES[kind, bits], bits=bits, channels=channels, rate_hz=rate_hz)


def _mono(path: str | Path, content: bytes, sound: _Format) -> NDArray[np.float32]:
    num_frames = len(content) // sound.frame_bytes
    if not num_frames:
        raise FileFormatError(
            path,
            f"its samples take {len(content)} bytes, expected at least {sound.frame_bytes}",
            remedy="record it again",
        )
    samples = _decoded(content[: num_frames * sound.frame_bytes], sound)
    if not np.isfinite(samples).all():
        raise FileFormatError(
            path,
            f"sample {np.isfinite(samples).argmin()} is no finite float32, expected numbers",
            remedy="record or export it again",
        )
    mono: NDArray[np.float32] = samples.reshape(num_frames, -1).mean(axis=1, dtype=np.float32)
    return mono


def _decoded(content: bytes, sound: _Format) -> NDArray[np.float32]:
    raw = np.frombuffer(content, dtype=sound.dtype)
    if sound.bits == 24:
        # Three bytes become the upper three of four.
        wide = np.zeros((raw.size // 3, 4), dtype=np.uint8)
        wide[:, 1:] = raw.reshape(-1, 3)
        raw = wide.view("<i4").ravel()
    with np.errstate(over="ignore"):
        samples = raw.astype(np.float32)
    if raw.dtype.kind == "u":
        return (samples - np.float32(128)) / np.float32(128)
    return samples if raw.dtype.kind == "f" else samples / -np.float32(np.iinfo(raw.dtype).min)


def _taps(half: int, fraction: float, *, cutoff: float) -> NDArray[np.float32]:
    away = np.arange(1 - half, half + 1) - fraction
    taps = np.sinc(cutoff * away) * np.cos(np.pi / 2 * away / half) ** 2
    scaled: NDArray[np.float64] = taps / taps.sum()
    return scaled.astype(np.float32)
