"""An oracle of ReLU kernels' coefficients: arithmetic on power series in long double.

With asin ρ the integral of ρ'/√(1−ρ²), E[φφ] = q (√(1−ρ²) + ρ (π/2 + asin ρ)) / 2π and
E[φ'φ'] = (π/2 + asin ρ) / 2π become sums, products, roots and quotients of truncated series in the
cosine. Nothing is evaluated on a circle, as the package does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["IS_WIDER", "relu_series"]

LONG = np.longdouble
IS_WIDER = bool(np.finfo(LONG).eps < 1e-18)
"""Whether long double has more digits than float64 on this machine."""

Series = NDArray[Any]


def relu_series(
    depth: int, num_terms: int, *, weight: float = 2.0, bias: float = 0.01
) -> tuple[Series, Series]:
    """Coefficients of the NNGP and the NTK of a ReLU network with a plain readout.

    Args:
        depth: hidden layers.
        num_terms: coefficients of 1, c, c², …
        weight: σ_w².
        bias: σ_b².
    """
    w, b, pi = LONG(weight), LONG(bias), 4 * np.arctan(LONG(1))
    variance = w + b
    covariance = np.zeros(num_terms, LONG)
    covariance[:2] = [b, w][:num_terms]
    tangent = covariance
    for layer in range(depth):
        rho = covariance / variance
        square = -_times(rho, rho)
        square[0] += 1
        sine = _root(square)
        arcsine = _integral(_divided(_derivative(rho), sine))
        arcsine[0] = np.arcsin(rho[0])
        angle = arcsine.copy()  # π − acos ρ
        angle[0] += pi / 2
        value = variance * (sine + _times(rho, angle)) / (2 * pi)
        if layer == depth - 1:  # the readout: variance 1, no bias
            w, b = LONG(1), LONG(0)
        covariance = w * value
        covariance[0] += b
        tangent = covariance + w * _times(tangent, angle) / (2 * pi)
        variance = w * variance / 2 + b
    return covariance, tangent


def _times(left: Series, right: Series) -> Series:
    return np.convolve(left, right)[: len(left)]


def _root(square: Series) -> Series:
    out = np.zeros_like(square)
    out[0] = np.sqrt(square[0])
    for n in range(1, len(square)):
        out[n] = (square[n] - out[1:n] @ out[n - 1 : 0 : -1]) / (2 * out[0])
    return out


def _divided(top: Series, bottom: Series) -> Series:
    out = np.zeros_like(top)
    for n in range(len(top)):
        out[n] = (top[n] - out[:n] @ bottom[n:0:-1]) / bottom[0]
    return out


def _derivative(series: Series) -> Series:
    return np.append(series[1:] * np.arange(1, len(series), dtype=LONG), LONG(0))


def _integral(series: Series) -> Series:
    return np.append(LONG(0), series[:-1] / np.arange(1, len(series), dtype=LONG))
