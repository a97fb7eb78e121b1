"""Fitting a sum of ReLUs to a kernel, in closed form.

φ = Σ αⱼ relu(z − tⱼ) + offset + slope·z. Everything the fit needs is analytic, without a sample or
a truncated series:

- The kernel. For steps, E[1(u>s) 1(v>t)] at angle θ is an integral over θ of
  exp(−(s² − 2 s t cos θ + t²)/(2 sin²θ))/2π (Plackett, 1954); for ReLUs its integral over cos θ.
  One cumulative Gauss–Legendre sum gives all angles.
- The variance. φ'² is a step function, (φ²)'' = 2φ'² + 2φφ'', and with γ the Gaussian density
  E[1(z>t) h_j] = γ(t) h_{j−1}(t)/√j: so pⱼ and rⱼ of `designs.variance` are sums over kinks.

The start is the ideal activation, sampled: kinks where it bends most, weights by least squares.
Then bias² + variance/width is minimised over positions and weights together.

Axes: a angle, i and k kinks, j degree, g grid point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import ndtr

from sestina.ntk.designs.forms import ReLUSum
from sestina.ntk.designs.variance import ERROR_ANGLES, ERROR_COSINES
from sestina.ntk.gaussian.series import evaluate, hermite_blocks
from sestina.ntk.pairs import Kind

__all__ = ["relu_sum"]

Floats = NDArray[np.float64]

_TERMS = 8
_DEGREES = 64
"""Of φ² and φ'² in the variance; even ones only, since odd ones cancel in the mean over angles."""
_NODES = 6
"""Gauss–Legendre nodes between neighbouring angles."""
_ENDS = ERROR_ANGLES[1] / 2.0 ** np.arange(1, 8)
"""Finer edges near 0 and π, where kinks that lie close together are told apart."""
_EDGES: Floats = np.unique(np.concatenate([ERROR_ANGLES, _ENDS, math.pi - _ENDS]))
_AT_ANGLES = np.searchsorted(_EDGES, ERROR_ANGLES)
_REACH = 4.5
"""Kinks beyond this |z| would be felt by one unit in 10⁵."""
_CLOSEST = 0.03
"""Between kinks at the start."""
_EVALUATIONS = 30


def relu_sum(
    target_a: Floats,
    series_k: Floats,
    limit: float,
    kind: Kind,
    *,
    terms: int | None,
    width: int,
) -> ReLUSum:
    """The sum of ReLUs whose network of that width comes closest to the kernel.

    Args:
        target_a: the kernel at `ERROR_COSINES`.
        series_k: the ideal activation's series, signs included.
        limit: where the ideal activation becomes linear.
        kind: which kernel.
        terms: ReLUs; default 8.
        width: of the network.
    """
    count = _TERMS if terms is None else terms
    ideal = _Ideal.of(series_k, limit)
    start = _pack(*_sampled(ideal, kind, count))

    def residuals(parameters: Floats) -> Floats:
        sum_ = _Sum.of(parameters)
        bias_a = (sum_.kernel(kind) - target_a) / math.sqrt(target_a.size)
        return np.concatenate([bias_a, sum_.spread(kind) / math.sqrt(width)])

    best = least_squares(residuals, start, x_scale="jac", max_nfev=_EVALUATIONS).x
    positions, weights, offset, slope = _Sum.of(best).arguments
    return ReLUSum(positions, weights, offset, slope)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ideal:
    """The ideal activation on a grid."""

    z_g: Floats
    value_g: Floats
    slope_g: Floats
    density_g: Floats

    @classmethod
    def of(cls, series_k: Floats, limit: float) -> _Ideal:
        half_g = np.linspace(0, min(limit, 5.0), 1001)
        parts = evaluate(series_k, half_g)
        z_g = np.concatenate([-half_g[:0:-1], half_g])
        minus, plus = parts.even_g - parts.odd_g, parts.even_g + parts.odd_g
        slope_minus = parts.odd_slope_g - parts.even_slope_g
        slope_plus = parts.odd_slope_g + parts.even_slope_g
        return cls(
            z_g=z_g,
            value_g=np.concatenate([minus[:0:-1], plus]),
            slope_g=np.concatenate([slope_minus[:0:-1], slope_plus]),
            density_g=np.exp(-(z_g**2) / 2) / math.sqrt(2 * math.pi),
        )


def _sampled(ideal: _Ideal, kind: Kind, count: int) -> tuple[Floats, Floats, float, float]:
    """Kinks spread by curvature, weights by least squares in the kernel's own norm."""
    z_g = ideal.z_g
    curvature_g = np.abs(np.gradient(ideal.slope_g, z_g))
    # The density of knots that is optimal for piecewise constant slopes, de Boor (1973).
    share_g = (curvature_g**2 * ideal.density_g) ** (1 / 3) + 1e-3 * ideal.density_g
    share_g[np.abs(z_g) > _REACH] = 0
    cumulative_g = np.cumsum(share_g) / share_g.sum()
    positions = np.interp((np.arange(count) + 0.5) / count, cumulative_g, z_g)
    for i in range(1, count):
        positions[i] = max(positions[i], positions[i - 1] + _CLOSEST)
    columns = [np.maximum(z_g - t, 0.0) for t in positions] + [np.ones_like(z_g), z_g]
    root_g = np.sqrt(ideal.density_g)
    rows, values = np.stack(columns, 1) * root_g[:, None], ideal.value_g * root_g
    if kind == "ntk":
        slopes = [(z_g > t).astype(float) for t in positions] + [
            np.zeros_like(z_g),
            np.ones_like(z_g),
        ]
        rows = np.vstack([rows, np.stack(slopes, 1) * root_g[:, None]])
        values = np.concatenate([values, ideal.slope_g * root_g])
    solution = np.linalg.lstsq(rows, values, rcond=1e-10)[0]
    return positions, solution[:count], float(solution[count]), float(solution[count + 1])


def _pack(positions: Floats, weights: Floats, offset: float, slope: float) -> Floats:
    return np.concatenate([positions, weights, [offset, slope]])


class _Sum:
    """One sum of ReLUs, and its kernel and spread."""

    def __init__(self, positions_i: Floats, weights_i: Floats, offset: float, slope: float) -> None:
        order = np.argsort(positions_i)
        self.positions_i, self.weights_i = positions_i[order], weights_i[order]
        self.offset, self.slope = offset, slope
        self.density_i = np.exp(-(self.positions_i**2) / 2) / math.sqrt(2 * math.pi)
        self.above_i = ndtr(-self.positions_i)

    @classmethod
    def of(cls, parameters: Floats) -> _Sum:
        """From positions, weights, offset and slope in one vector; positions are kept apart."""
        count = (parameters.size - 2) // 2
        positions = np.clip(parameters[:count], -_REACH, _REACH)
        return cls(positions, parameters[count:-2], float(parameters[-2]), float(parameters[-1]))

    @property
    def arguments(self) -> tuple[Floats, Floats, float, float]:
        """Of the `ReLUSum`."""
        return self.positions_i, self.weights_i, self.offset, self.slope

    def kernel(self, kind: Kind) -> Floats:
        """K at `ERROR_COSINES`."""
        steps_a, ramps_a = self._quadratic_forms()
        first = self.weights_i @ (self.density_i - self.positions_i * self.above_i)  # E[Σ α relu]
        second = self.weights_i @ self.above_i  # E[(Σ α relu)']
        value_a: Floats = ramps_a + self.offset**2 + 2 * self.offset * first
        value_a += ERROR_COSINES * (self.slope**2 + 2 * self.slope * second)
        if kind == "nngp":
            return value_a
        value_a += ERROR_COSINES * (steps_a + self.slope**2 + 2 * self.slope * second)
        return value_a

    def spread(self, kind: Kind) -> Floats:
        """A vector of squared length mean σ² + mean K²; see `sestina.ntk.designs.signs`."""
        slopes = self.slope + np.concatenate([[0.0], np.cumsum(self.weights_i)])
        jumps_i = np.diff(slopes**2)
        values_i = self.offset + self.slope * self.positions_i
        values_i = (
            values_i + np.maximum(self.positions_i[:, None] - self.positions_i, 0) @ self.weights_i
        )
        hermite_ji = np.concatenate(
            [now.copy() for _, now, _ in hermite_blocks(self.positions_i, _DEGREES)]
        )
        j = np.arange(1, _DEGREES)
        r_j = np.empty(_DEGREES)
        r_j[0] = slopes[0] ** 2 + jumps_i @ self.above_i
        r_j[1:] = (hermite_ji[:-1] * self.density_i) @ jumps_i / np.sqrt(j)
        bends_j = (hermite_ji * self.density_i) @ (self.weights_i * values_i)
        even = np.arange(2, _DEGREES, 2)
        p_j = 2 * (r_j[even - 2] + bends_j[even - 2]) / np.sqrt(even * (even - 1))
        mean_power_j = (ERROR_COSINES ** np.arange(0, _DEGREES + 2, 2)[:, None]).mean(1)
        p_rows = np.append(self._mean_square(), p_j * np.sqrt((1 + even / 2) * mean_power_j[1:-1]))
        if kind == "nngp":
            p_rows[1:] /= np.sqrt(1 + even / 2)
            return p_rows
        return np.concatenate([p_rows, r_j[::2] * np.sqrt(3 * mean_power_j[1:])])

    def _mean_square(self) -> float:
        """E[φ²]."""
        ramps = self._form(self._ramps_at_zero_angle())
        first = self.weights_i @ (self.density_i - self.positions_i * self.above_i)
        affine = self.offset**2 + self.slope**2
        crossed = self.offset * first + self.slope * (self.weights_i @ self.above_i)
        return float(ramps + affine + 2 * crossed)

    def _ramps_at_zero_angle(self) -> Floats:
        """E[relu(z − s) relu(z − t)] of all pairs of kinks."""
        lower = np.minimum(self.positions_i[:, None], self.positions_i)
        upper = np.maximum(self.positions_i[:, None], self.positions_i)
        density = np.exp(-(upper**2) / 2) / math.sqrt(2 * math.pi)
        result: Floats = (1 + lower * upper) * ndtr(-upper) - lower * density
        return result

    def _quadratic_forms(self) -> tuple[Floats, Floats]:
        """E[f'(u) f'(v)] and E[f(u) f(v)] of f = Σ α relu(z − t), at `ERROR_ANGLES`.

        With g the integrand of Plackett's formula, D(θ) = D(0) − ∫₀^θ g for the steps; and for the
        ramps, whose derivative in cos θ is D, R(θ) = R(0) − D(0) + D(θ) cos θ + ∫₀^θ g cos.
        """
        s, t = self.positions_i[:, None], self.positions_i
        step_start = self._form(ndtr(-np.maximum(s, t)))
        ramp_start = self._form(self._ramps_at_zero_angle())
        nodes, node_weights = np.polynomial.legendre.leggauss(_NODES)
        halves_e = np.diff(_EDGES) / 2
        angles_en = _EDGES[:-1, None] + halves_e[:, None] * (nodes + 1)
        cos_x = np.cos(angles_en).ravel()[:, None, None]
        squared_x = s**2 + t**2 - 2 * s * t * cos_x
        exponent_x = squared_x / (2 * np.sin(angles_en).ravel()[:, None, None] ** 2)
        density_en = self._form(np.exp(-exponent_x)).reshape(angles_en.shape) / (2 * math.pi)
        pieces_e = (density_en * node_weights).sum(1) * halves_e
        moments_e = (density_en * np.cos(angles_en) * node_weights).sum(1) * halves_e
        steps_a = step_start - np.append(0.0, np.cumsum(pieces_e))[_AT_ANGLES]
        ramps_a = ramp_start - step_start + ERROR_COSINES * steps_a
        return steps_a, ramps_a + np.append(0.0, np.cumsum(moments_e))[_AT_ANGLES]

    def _form(self, matrix: Floats) -> Floats:
        """Σ αᵢ αₖ matrix[…, i, k]."""
        result: Floats = matrix @ self.weights_i @ self.weights_i
        return result
