"""A small acoustic model: from sound to log-probabilities of letters, in numpy.

Log-mel features, two convolutions that halve the rate, residual blocks of a depthwise convolution,
a layer norm and two linear maps with more channels between them, and a linear map to two frames of
token scores a step. It was trained by `recipes/speech.py` on synthesised speech from a small
vocabulary: made to try decoders on, not to recognise people.

Axes: s sample, f feature frame (10 ms), t step (40 ms), k tap, m mel band, c channel, n token.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload
from zipfile import BadZipFile

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sestina.core.errors import FileFormatError
from sestina.decoding.samples.audio import SAMPLE_RATE_HZ, check_waveform

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "FEATURES_PER_STEP",
    "FRAME_DURATION_S",
    "NUM_MELS",
    "TOKENS",
    "AcousticModel",
    "log_mel",
]

TOKENS = ("-", "|", "'", *"abcdefghijklmnopqrstuvwxyz")
NUM_MELS = 64
FEATURES_PER_STEP = 4
FRAME_DURATION_S = 0.02

_HOP = SAMPLE_RATE_HZ // 100
_WINDOW = 400
_FFT = 512
_BLOCK_FRAMES = 4096
_LOWEST_HZ, _HIGHEST_HZ = 20.0, 7600.0
# What is 50 dB below the mean power of a band counts as silence, so that digital silence is like
# that of a quiet room, whatever the volume.
_FLOOR = 1e-5
_TINY = 1e-20
_QUIETEST = 1e-30
_NORM_EPSILON = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class AcousticModel:
    """Called with a waveform, it gives the log-probabilities of tokens every 20 ms.

    Attributes:
        tokens: the token of each column; the first is the CTC blank, "|" ends a word.
        frame_duration_s: 0.02.
        sample_rate_hz: 16,000, the rate of the waveforms it takes.

    Example:
        >>> from sestina.decoding.samples import acoustic_model, read_wav, recordings
        >>> emissions_fn = acoustic_model()(read_wav(recordings()[0].path))
        >>> emissions_fn.dtype, emissions_fn.shape[1]
        (dtype('float32'), 29)
    """

    weights: Mapping[str, NDArray[np.float32]] = field(repr=False)
    tokens: tuple[str, ...] = TOKENS
    frame_duration_s: float = FRAME_DURATION_S
    sample_rate_hz: int = SAMPLE_RATE_HZ

    @classmethod
    def load(cls, path: str | Path) -> AcousticModel:
        """The model whose weights are in an .npz file.

        Raises:
            FileFormatError: if it is no such file.
        """
        try:
            with Path(path).open("rb") as file, np.load(file) as arrays:
                weights = {name: arrays[name].astype(np.float32) for name in arrays.files}
        except (ValueError, TypeError, AttributeError, EOFError, BadZipFile, zlib.error) as error:
            raise FileFormatError(
                path,
                f"it is no .npz file of arrays ({error}), expected a model's weights",
                remedy="make it with: python recipes/speech.py",
            ) from error
        if "head.bias" not in weights or weights["head.bias"].shape != (2 * len(TOKENS),):
            raise FileFormatError(
                path,
                f"its arrays are {sorted(weights)[:3]}…, expected head.bias of {2 * len(TOKENS)} "
                "and the other weights",
                remedy="make it with: python recipes/speech.py",
            )
        return cls(weights)

    @overload
    def __call__(self, waveform: NDArray[np.floating]) -> NDArray[np.float32]: ...
    @overload
    def __call__(self, waveform: Tensor) -> Tensor: ...
    def __call__(self, waveform: Any) -> Any:
        """The natural logarithms of the tokens' probabilities.

        Args:
            waveform: (num_samples,) or (batch, num_samples) at 16 kHz, float32 or float64, of NumPy
                or torch; its volume does not matter. Sentences that a batch has filled up with
                zeros go on in silence.

        Returns:
            (num_frames, num_tokens) or (batch, num_frames, num_tokens), float32, of the same
            library; one frame for each 20 ms begun. The rows' probabilities add up to 1.

        Raises:
            DtypeError, ShapeError, NonFiniteError: if the waveform is no such array.
        """
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(waveform, torch.Tensor):
            return torch.from_numpy(self(waveform.detach().cpu().numpy()))
        if np.ndim(waveform) == 2 and len(waveform):
            return np.stack([self._emissions(one) for one in waveform])
        return self._emissions(waveform)

    def _emissions(self, waveform: NDArray[np.floating]) -> NDArray[np.float32]:
        features_fm = log_mel(waveform)
        num_frames = -(-len(features_fm) // 2)
        if not num_frames:
            return np.zeros((0, len(self.tokens)), dtype=np.float32)
        x_fm = np.pad(features_fm, ((0, -len(features_fm) % FEATURES_PER_STEP), (0, 0)))
        w = self.weights
        x_fc = np.maximum(_convolved(x_fm, w["stem.weight"], stride=2) + w["stem.bias"], 0)
        x_tc = _depthwise(x_fc, w["halve.taps"])[::2] @ w["halve.weight"] + w["halve.bias"]
        for block in range(sum(name.endswith(".taps") for name in w) - 1):
            name = f"block{block}"
            y_tc = _layer_norm(_depthwise(x_tc, w[f"{name}.taps"]), w, f"{name}.norm")
            y_tc = np.maximum(y_tc @ w[f"{name}.expand.weight"] + w[f"{name}.expand.bias"], 0)
            x_tc = x_tc + y_tc @ w[f"{name}.contract.weight"] + w[f"{name}.contract.bias"]
        scores = _layer_norm(x_tc, w, "head.norm") @ w["head.weight"] + w["head.bias"]
        scores_fn = scores.reshape(-1, len(self.tokens))[:num_frames]
        below_fn = scores_fn - scores_fn.max(axis=1, keepdims=True)
        emissions_fn: NDArray[np.float32] = below_fn - np.log(
            np.exp(below_fn).sum(axis=1, keepdims=True)
        )
        return emissions_fn


def log_mel(waveform: NDArray[np.floating]) -> NDArray[np.float32]:
    """Log energies in 64 mel bands every 10 ms, each band with mean 0 and deviation 1.

    Args:
        waveform: (num_samples,) at 16 kHz, float32 or float64.

    Returns:
        (⌈num_samples / 160⌉, 64).

    Raises:
        DtypeError, ShapeError, NonFiniteError: if the waveform is no such array.
    """
    samples = check_waveform(waveform)
    num_frames = -(-samples.size // _HOP)
    if not num_frames:
        return np.zeros((0, NUM_MELS), dtype=np.float32)
    samples = samples / max(float(np.abs(samples).max()), _QUIETEST)
    margin = (_WINDOW - _HOP) // 2
    padded = np.pad(samples, (margin, margin + num_frames * _HOP - samples.size))
    windows = sliding_window_view(padded, _WINDOW)[::_HOP]
    energies_fm = np.empty((num_frames, NUM_MELS), dtype=np.float32)
    for start in range(0, num_frames, _BLOCK_FRAMES):
        block = windows[start : start + _BLOCK_FRAMES] * _HANN
        spectrum = np.fft.rfft(block, _FFT)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        energies_fm[start : start + len(block)] = power @ _MEL_FILTERS
    logs_fm = np.log(energies_fm + (_FLOOR * energies_fm.mean(axis=0) + _TINY))
    centred_fm = logs_fm - logs_fm.mean(axis=0)
    features_fm: NDArray[np.float32] = centred_fm / (centred_fm.std(axis=0) + np.float32(1e-3))
    return features_fm


def _mel_filters() -> NDArray[np.float32]:
    """(257, 64): triangles with corners evenly spaced on the mel scale 2595·log₁₀(1 + f/700)."""
    lowest, highest = (2595 * np.log10(1 + hz / 700) for hz in (_LOWEST_HZ, _HIGHEST_HZ))
    corners_hz = 700 * (10 ** (np.linspace(lowest, highest, NUM_MELS + 2) / 2595) - 1)
    bins_hz = np.arange(_FFT // 2 + 1)[:, None] * SAMPLE_RATE_HZ / _FFT
    low, peak, high = corners_hz[:-2], corners_hz[1:-1], corners_hz[2:]
    triangles = np.minimum((bins_hz - low) / (peak - low), (high - bins_hz) / (high - peak))
    return np.maximum(triangles, 0).astype(np.float32)


_MEL_FILTERS = _mel_filters()
_HANN = np.hanning(_WINDOW).astype(np.float32)


def _convolved(
    x_tm: NDArray[np.float32], weight_kmc: NDArray[np.float32], *, stride: int
) -> NDArray[np.float32]:
    num_taps, num_in, num_out = weight_kmc.shape
    padded = np.pad(x_tm, ((num_taps // 2, num_taps // 2), (0, 0)))
    windows_tmk = sliding_window_view(padded, num_taps, axis=0)[::stride]
    rows = windows_tmk.swapaxes(1, 2).reshape(-1, num_taps * num_in)
    convolved: NDArray[np.float32] = rows @ weight_kmc.reshape(-1, num_out)
    return convolved


def _depthwise(x_tc: NDArray[np.float32], taps_kc: NDArray[np.float32]) -> NDArray[np.float32]:
    half = len(taps_kc) // 2
    padded = np.pad(x_tc, ((half, half), (0, 0)))
    total = np.zeros_like(x_tc)
    for tap, weights_c in enumerate(taps_kc):
        total += padded[tap : tap + len(x_tc)] * weights_c
    return total


def _layer_norm(
    x_tc: NDArray[np.float32], weights: Mapping[str, NDArray[np.float32]], name: str
) -> NDArray[np.float32]:
    centred = x_tc - x_tc.mean(axis=1, keepdims=True)
    variance = np.square(centred).mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt(variance + np.float32(_NORM_EPSILON))
    normed: NDArray[np.float32] = scaled * weights[f"{name}.scale"] + weights[f"{name}.shift"]
    return normed
