"""How far one finite network's kernel lies from its mean.

A network with one hidden layer of n units has the kernel (1/n) Σ Fᵢ(c), with for each unit

    NTK   F(c) = φ(u)φ(v) + c V² φ'(u)φ'(v)        NNGP   F(c) = φ(u)φ(v)

where (u, v) are standard normal with correlation c and V, its readout weight, is another one. So
the error at one cosine has standard deviation σ(c)/√n with σ² = Var F. With pⱼ and rⱼ the Hermite
coefficients of φ² and φ'², Mehler's formula gives it for every c at once:

    σ²(c) = Σⱼ cʲ [(1 + j/2) pⱼ² + 3c² rⱼ²] − K(c)²      (NNGP: Σⱼ cʲ pⱼ² − K(c)²)

since E[V⁴] = 3 and (φ²)' = 2φφ'. At c = 1 it is E[φ⁴ + 2φ²φ'² + 3φ'⁴] − K(1)².

Errors of kernels are measured throughout on `ERROR_COSINES`, at equidistant angles.
Axes: g grid point, j degree, c cosine, a angle.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sestina.ntk.gaussian.series import HalfGrid, Parts, project
from sestina.ntk.pairs import Kind

__all__ = ["ERROR_ANGLES", "ERROR_COSINES", "UnitVariance", "unit_variance", "variation"]

Floats = NDArray[np.float64]

ERROR_ANGLES: Floats = np.linspace(0, math.pi, 100)
"""Where kernel errors are measured: 100 angles from identical to opposite inputs."""
ERROR_COSINES: Floats = np.cos(ERROR_ANGLES)

_DEGREES = 2048
"""Hermite coefficients of φ² and φ'² that are computed; the rest acts as if at the next degree."""
_CURVE_ANGLES = np.linspace(0, math.pi, 397)
"""Of the tabulated σ: every fourth is one of `ERROR_ANGLES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitVariance:
    """The spread of one unit's contribution to the kernel."""

    angles_a: Floats
    """Angles between inputs, ascending from 0 to π."""
    sigma_a: Floats
    """σ at those angles."""
    rms: float
    """√(mean of σ² over `ERROR_ANGLES`)."""
    variation: float
    """(Standard deviation / mean) of a wide network's mean squared error over `ERROR_ANGLES`."""

    def at(self, cosine: float | Floats) -> Floats:
        """σ(c), interpolated linearly in the angle; exact at c = 1."""
        angle = np.arccos(np.clip(np.asarray(cosine, dtype=np.float64), -1, 1))
        return np.interp(angle, self.angles_a, self.sigma_a)

    @property
    def typical(self) -> float:
        """The mean over networks of the RMS error over angles, times √width.

        Below `rms`, since the mean of a root is below the root of the mean: the mean squared error
        of a network is nearly a gamma variable, whose root has this mean.
        """
        shape = 1 / self.variation**2
        return self.rms * math.exp(math.lgamma(shape + 0.5) - math.lgamma(shape)) / math.sqrt(shape)


def unit_variance(
    grid: HalfGrid,
    parts: Parts,
    kernel: Callable[[Floats], Floats],
    variation: float,
    kind: Kind,
) -> UnitVariance:
    """σ(c) of an activation by quadrature.

    Args:
        grid: points fine enough for products of four factors φ, φ'.
        parts: φ on the grid.
        kernel: its K(c), on arrays of cosines.
        variation: from `variation`.
        kind: "ntk" or "nngp".
    """
    cosines_c = np.cos(_CURVE_ANGLES)
    second_moment_c = _second_moment(grid, parts, cosines_c, kind)
    # Rounding may leave a tiny negative number where F is constant.
    variance_c = np.maximum(second_moment_c - kernel(cosines_c) ** 2, 0.0)
    return UnitVariance(
        angles_a=_CURVE_ANGLES,
        sigma_a=np.sqrt(variance_c),
        rms=math.sqrt(variance_c[::4].mean()),
        variation=variation,
    )


def _second_moment(grid: HalfGrid, parts: Parts, cosines_c: Floats, kind: Kind) -> Floats:
    """E[F(c)²]."""
    square_g, cross_g = parts.square_g, 2 * parts.even_g * parts.odd_g
    slope_square_g = parts.slope_square_g
    slope_cross_g = 2 * parts.even_slope_g * parts.odd_slope_g
    degrees = _DEGREES if kind == "ntk" else _DEGREES // 2
    p_even, p_odd = project(
        grid, np.stack([square_g, slope_square_g]), np.stack([cross_g, slope_cross_g]), degrees
    )
    # ½(φ²)' by parity: what Σ (j/2) pⱼ² comes to when all degrees are counted.
    half_odd_g = parts.even_g * parts.even_slope_g + parts.odd_g * parts.odd_slope_g
    half_even_g = parts.even_slope_g * parts.odd_g + parts.even_g * parts.odd_slope_g
    totals = (
        (grid.mean(square_g**2), grid.mean(cross_g**2)),
        (2 * grid.mean(half_odd_g**2), 2 * grid.mean(half_even_g**2)),
        (grid.mean(slope_square_g**2), grid.mean(slope_cross_g**2)),
    )
    result_c = np.zeros_like(cosines_c)
    for parity, coefficients in enumerate((p_even, p_odd)):
        j = np.arange(coefficients.shape[1]) * 2 + parity
        p_j, r_j = coefficients
        result_c += _power_series(j, p_j**2, totals[0][parity], cosines_c)
        if kind == "ntk":
            result_c += _power_series(j, j / 2 * p_j**2, totals[1][parity], cosines_c)
            result_c += 3 * cosines_c**2 * _power_series(j, r_j**2, totals[2][parity], cosines_c)
    return result_c


def _power_series(j: NDArray[np.int_], terms_j: Floats, total: float, cosines_c: Floats) -> Floats:
    """Σ terms cʲ, with the part of `total` that the terms leave out put at the next degree."""
    sizes_c, signs_c = np.abs(cosines_c), np.sign(cosines_c) ** (j[0] % 2)
    rest = max(total - float(terms_j.sum()), 0.0)
    all_terms = np.append(terms_j, rest)
    # Horner in c²: the degrees are equidistant.
    value_c = np.zeros_like(cosines_c)
    for term in all_terms[::-1]:
        value_c = value_c * sizes_c**2 + term
    result_c: Floats = value_c * sizes_c ** int(j[0]) * signs_c
    return result_c


def variation(function: Callable[[Floats], tuple[Floats, Floats]], kind: Kind) -> float:
    """The relative spread of a wide network's mean squared error over angles.

    The error curve of a wide network is a Gaussian process in the angle with covariance C/n; the
    mean square of one draw has variance 2 tr C²/(tr C)² relative to its mean. C is computed on
    rings |(u, w)| = const, around which the points of all angles are shifts of one another.

    Args:
        function: φ and φ' on an array of points.
        kind: "ntk" or "nngp".
    """
    num_points, num_angles = 400, 51  # around the ring; angles in steps of 4 points
    radius_r = np.arange(0.05, 8.5, 0.1)
    weights_r = 0.1 * radius_r * np.exp(-(radius_r**2) / 2) / num_points
    around_p = np.cos(2 * math.pi * np.arange(num_points) / num_points)
    value_rp, slope_rp = function(radius_r[:, None] * around_p)
    shifts_a = 4 * np.arange(num_angles)
    cosines_a = np.cos(2 * math.pi * shifts_a / num_points)
    root_rp = np.sqrt(weights_r)[:, None] * np.ones(num_points)
    first_xa = np.stack([value_rp * np.roll(value_rp, s, axis=1) * root_rp for s in shifts_a], -1)
    first_xa = first_xa.reshape(-1, num_angles)
    mean_a = root_rp.ravel() @ first_xa
    second_aa = first_xa.T @ first_xa
    if kind == "ntk":
        slopes_xa = np.stack(
            [
                c * slope_rp * np.roll(slope_rp, s, axis=1) * root_rp
                for s, c in zip(shifts_a, cosines_a, strict=True)
            ],
            -1,
        ).reshape(-1, num_angles)
        mean_a = mean_a + root_rp.ravel() @ slopes_xa
        both_xa = first_xa + slopes_xa
        # E[V²] = 1 for the mixed terms and E[V⁴] = 3 for the product of slopes.
        second_aa = both_xa.T @ both_xa + 2 * slopes_xa.T @ slopes_xa
    covariance_aa = second_aa - np.outer(mean_a, mean_a)
    trace = float(np.trace(covariance_aa))
    if trace <= 0:  # a constant kernel has no spread
        return math.sqrt(2)
    return math.sqrt(2 * float((covariance_aa**2).sum())) / trace
