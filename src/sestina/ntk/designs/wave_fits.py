"""Fitting a sum of sinusoids to a kernel, exactly where that is possible.

The activation A cos(ωz) has only even Hermite coefficients, b_k² = A² e^{−ω²} ω^{2k}/k!, and
A sin(ωz) the same at odd degrees. So a kernel tells for each parity whether one frequency makes it,
and which: the kernel of ½ sin 6z gives back amplitude ½ and frequency 6. Other kernels are fitted:
frequencies start as the harmonics of an interval that holds nearly every unit, amplitudes by least
squares to the ideal activation; then bias² + variance/width is minimised.

Axes: a angle, i term, k degree, g grid point, j degree of φ².
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from sestina.ntk.designs.forms import SinusoidSum
from sestina.ntk.designs.signs import magnitudes
from sestina.ntk.designs.variance import ERROR_COSINES
from sestina.ntk.gaussian.series import HalfGrid, evaluate, hermite_blocks
from sestina.ntk.kernels.coefficients import AskedCoefficients
from sestina.ntk.pairs import Kind

__all__ = ["sinusoid_sum"]

Floats = NDArray[np.float64]

_TERMS = 12
_EXACT = 1e-9
"""A kernel is a sinusoid's if its coefficients agree to this fraction of K(1)."""
_DEGREES = 64
_EVALUATIONS = 40


def sinusoid_sum(
    asked: AskedCoefficients,
    target_a: Floats,
    series_k: Floats,
    limit: float,
    kind: Kind,
    *,
    terms: int | None,
    width: int,
) -> SinusoidSum:
    """The sum of sinusoids whose network of that width comes closest to the kernel.

    Args:
        asked: the kernel's coefficients.
        target_a: the kernel at `ERROR_COSINES`.
        series_k: the ideal activation's series, signs included.
        limit: where the ideal activation becomes linear.
        kind: which kernel.
        terms: sinusoids; default 12, or as many as an exact solution has.
        width: of the network.
    """
    exact = _exact(asked, kind)
    if exact is not None:
        return exact
    count = _TERMS if terms is None else terms
    return _fitted(target_a, series_k, limit, kind, terms=count, width=width)


def _exact(asked: AskedCoefficients, kind: Kind) -> SinusoidSum | None:
    """One sinusoid per parity, plus offset and slope, if the kernel is of that kind."""
    energy_k = magnitudes(asked.a_k, kind) ** 2
    if asked.tail > _EXACT * asked.total or energy_k.size < 3:
        return None
    cosine = _one_frequency(energy_k, 0, kind, asked.total)
    sine = _one_frequency(energy_k, 1, kind, asked.total)
    if cosine is None or sine is None:
        return None
    (even, even_frequency, offset), (odd, odd_frequency, slope) = cosine, sine
    if even and odd and abs(even_frequency - odd_frequency) < _EXACT * odd_frequency:
        amplitude, phase = math.hypot(even, odd), math.atan2(even, odd)
        return SinusoidSum([amplitude], [odd_frequency], [phase], offset, slope)
    waves = [(even, even_frequency, math.pi / 2), (odd, odd_frequency, 0.0)]
    present = [wave for wave in waves if wave[0]]
    if not present:
        return None
    amplitudes, frequencies, phases = zip(*present, strict=True)
    return SinusoidSum(amplitudes, frequencies, phases, offset, slope)


def _one_frequency(
    energy_k: Floats, parity: int, kind: Kind, total: float
) -> tuple[float, float, float] | None:
    """(amplitude, frequency, affine coefficient) of one parity; amplitude 0 if nothing waves.

    The lowest degree, 0 or 1, is left to the offset or slope; the others must be a sinusoid's.
    """
    k = np.arange(parity, energy_k.size, 2)
    energy = energy_k[parity::2]
    waving = energy[1:]
    if waving.size == 0 or not waving.any():
        return 0.0, 0.0, math.sqrt(float(energy[0])) if energy.size else 0.0
    top = 1 + int(waving.argmax())
    other = top + 1 if top + 1 < energy.size and energy[top + 1] > 0 else top - 1
    low, high = min(top, other), max(top, other)
    if low == 0 or energy[low] <= 0:
        return None
    # b²_{k+2}/b²_k = ω⁴/((k+1)(k+2))
    power4 = float(energy[high] / energy[low]) * (k[low] + 1) * (k[low] + 2)
    frequency = power4**0.25
    logs = np.array([math.lgamma(int(degree) + 1) for degree in k])
    shape = np.exp(2 * k * math.log(frequency) - frequency**2 - logs)
    amplitude = math.sqrt(float(energy[top] / shape[top]))
    weights = np.ones_like(shape) if kind == "nngp" else 1.0 + k
    if np.abs((energy - amplitude**2 * shape) * weights)[1:].max() > _EXACT * total:
        return None
    affine = math.sqrt(float(energy[0])) - amplitude * math.sqrt(float(shape[0]))
    return amplitude, frequency, affine if abs(affine) > 1e-6 * math.sqrt(total) else 0.0


def _fitted(
    target_a: Floats, series_k: Floats, limit: float, kind: Kind, *, terms: int, width: int
) -> SinusoidSum:
    grid = HalfGrid.up_to(7.0, 0.02)
    problem = _Waves(grid, kind)

    def residuals(parameters: Floats) -> Floats:
        bias_a = (problem.kernel(parameters) - target_a) / math.sqrt(target_a.size)
        return np.concatenate([bias_a, problem.spread(parameters) / math.sqrt(width)])

    start = _harmonics(series_k, limit, grid, kind, terms)
    best = least_squares(residuals, start, x_scale="jac", max_nfev=_EVALUATIONS).x
    frequencies, sines, cosines, offset, slope = _Waves.split(best)
    return SinusoidSum(
        np.hypot(sines, cosines), frequencies, np.arctan2(cosines, sines), offset, slope
    )


def _harmonics(series_k: Floats, limit: float, grid: HalfGrid, kind: Kind, terms: int) -> Floats:
    """Parameters of the harmonics nearest to the ideal activation in the kernel's norm."""
    parts = evaluate(series_k, np.minimum(grid.z_g, limit)).beyond(limit, grid.z_g)
    z_g = np.concatenate([grid.z_g, -grid.z_g])
    root_g = np.sqrt(np.tile(grid.weights_g, 2) / 2)
    # Of an interval in which all but one unit in 10⁴ lie.
    frequencies = math.pi / 4 * np.arange(1, terms + 1)
    sine, cosine = np.sin(z_g[:, None] * frequencies), np.cos(z_g[:, None] * frequencies)
    one, none = np.ones_like(z_g), np.zeros_like(z_g)
    rows = np.column_stack([sine, cosine, one, z_g]) * root_g[:, None]
    values = np.concatenate([parts.even_g + parts.odd_g, parts.even_g - parts.odd_g]) * root_g
    if kind == "ntk":
        turned = (frequencies * cosine, -frequencies * sine, none, one)
        rows = np.vstack([rows, np.column_stack(turned) * root_g[:, None]])
        slope_plus = parts.odd_slope_g + parts.even_slope_g
        slope_minus = parts.odd_slope_g - parts.even_slope_g
        values = np.concatenate([values, np.concatenate([slope_plus, slope_minus]) * root_g])
    solution = np.linalg.lstsq(rows, values, rcond=1e-10)[0]
    return np.concatenate([frequencies, solution])


class _Waves:
    """Kernel and spread of Σ (sᵢ sin ωᵢz + cᵢ cos ωᵢz) + offset + slope·z."""

    def __init__(self, grid: HalfGrid, kind: Kind) -> None:
        self.grid = grid
        self.kind = kind
        j = np.arange(0, _DEGREES, 2)
        hermite_kg = np.concatenate(
            [now.copy() for _, now, _ in hermite_blocks(grid.z_g, _DEGREES)]
        )
        rows = hermite_kg[0::2] * grid.weights_g
        power_j = (ERROR_COSINES ** np.append(j, _DEGREES)[:, None]).mean(1)
        factor_j = power_j[:-1] * (1 if kind == "nngp" else 1 + j / 2)
        self.value_rows = rows * np.sqrt(factor_j)[:, None]
        self.slope_rows = rows * np.sqrt(3 * power_j[1:])[:, None]

    @staticmethod
    def split(parameters: Floats) -> tuple[Floats, Floats, Floats, float, float]:
        """Frequencies, sine and cosine amplitudes, offset and slope."""
        frequencies, sines, cosines = np.split(parameters[:-2], 3)
        return frequencies, sines, cosines, float(parameters[-2]), float(parameters[-1])

    def kernel(self, parameters: Floats) -> Floats:
        """K at `ERROR_COSINES`, in closed form."""
        w, s, c, offset, slope = self.split(parameters)
        damp = np.exp(-(w**2) / 2)
        # E[sin ωu sin νv] = e^{−(ω²+ν²)/2} sinh(ωνρ), E[cos cos] with cosh, E[sin cos] = 0.
        product = np.outer(w, w)
        grow = np.exp(product * ERROR_COSINES[:, None, None] - (w[:, None] ** 2 + w**2) / 2)
        shrink = np.exp(-product * ERROR_COSINES[:, None, None] - (w[:, None] ** 2 + w**2) / 2)
        odd, even = (grow - shrink) / 2, (grow + shrink) / 2
        value_a = odd @ s @ s + even @ c @ c
        value_a += offset**2 + 2 * offset * (c @ damp)
        value_a += ERROR_COSINES * (slope**2 + 2 * slope * (s * w) @ damp)
        if self.kind == "nngp":
            return value_a
        slope_a = even @ (s * w) @ (s * w) + odd @ (c * w) @ (c * w)
        slope_a += slope**2 + 2 * slope * (s * w) @ damp
        return value_a + ERROR_COSINES * slope_a

    def spread(self, parameters: Floats) -> Floats:
        """A vector of squared length mean σ² + mean K²; see `sestina.ntk.designs.signs`."""
        w, s, c, offset, slope = self.split(parameters)
        sine, cosine = np.sin(self.grid.z_g[:, None] * w), np.cos(self.grid.z_g[:, None] * w)
        square_g = (offset + cosine @ c) ** 2 + (slope * self.grid.z_g + sine @ s) ** 2
        values_j: Floats = self.value_rows @ square_g
        if self.kind == "nngp":
            return values_j
        slope_square_g = (sine @ (c * w)) ** 2 + (slope + cosine @ (s * w)) ** 2
        return np.concatenate([values_j, self.slope_rows @ slope_square_g])
