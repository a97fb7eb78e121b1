"""Eigenvalues of a dot-product kernel on the sphere and on the hypercube.

Under the uniform measure a kernel K(c), c the cosine, has one eigenvalue per degree: spherical
harmonics of degree ℓ on the sphere S^{d−1} (Funk–Hecke), parities of s bits on the hypercube
{−1, 1}^d. Its eigenvalues say what it learns, and in which order: `forecasts.py`.

High degrees have tiny eigenvalues, which integrals lose to cancellation. Both domains therefore
use the Maclaurin series K = Σ aₖcᵏ, of which every term with aₖ ≥ 0 contributes a non-negative
amount:

- on the sphere cᵏ has, at degree ℓ ≤ k of equal parity, the eigenvalue
  Γ(d/2) k! Γ((k−ℓ+1)/2) / (√π 2^ℓ (k−ℓ)! Γ((k+ℓ+d)/2));
- on the hypercube it is the chance that k random bit flips end in one given s-subset.

On the sphere the coefficients beyond the last one computed matter in low dimension, and there
Gauss–Legendre quadrature in the angle is accurate: for each degree the better one is taken.
A kernel known on the real axis only has no such series: integrals and, on the hypercube, the sum
over all distances are taken, with an error of a rounding unit of K(1).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import gammaln, roots_legendre

from sestina.core.errors import InvalidValueError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sestina.ntk.kernels.dot_product import DotProductKernel

__all__ = ["Spectrum", "hypercube_power", "hypercube_spectrum", "sphere_spectrum"]

_NUM_COEFFICIENTS = 4096
_NUM_NODES = 1500
_LARGEST_CUBE = 1000  # 2^−d and the binomials leave float64 beyond


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """A kernel's eigenvalues under the uniform measure, one level per degree from 0."""

    domain: Literal["sphere", "hypercube"]
    dimension: int
    """d: inputs are points of S^{d−1} or {−1, 1}^d."""
    eigenvalues: NDArray[np.float64]
    """(levels,)."""
    multiplicities: NDArray[np.float64]
    """(levels,): eigenfunctions per level; whole numbers."""
    errors: NDArray[np.float64]
    """(levels,): bound or estimate of the eigenvalues' absolute errors."""
    trace: float
    """K(1), the sum of all eigenvalues with multiplicity, those beyond the last level included."""

    @property
    def remainder(self) -> float:
        """What the levels beyond the last add up to; they act as a ridge of this size."""
        listed = float(self.eigenvalues @ self.multiplicities)
        # On the hypercube all levels are listed and the difference is rounding.
        return max(0.0, self.trace - listed) if self.domain == "sphere" else 0.0

    @property
    def domain_size(self) -> float:
        """The number of distinct inputs: 2^d on the hypercube, inf on the sphere."""
        return 2.0**self.dimension if self.domain == "hypercube" else math.inf


def sphere_spectrum(kernel: DotProductKernel, dimension: int, *, max_degree: int = 20) -> Spectrum:
    """The eigenvalues on the unit sphere S^{d−1} in R^d, degrees 0 to `max_degree`.

    Degree ℓ has (2ℓ+d−2)/(ℓ+d−2) · C(ℓ+d−2, ℓ) harmonics.

    Args:
        kernel: a function of the cosine.
        dimension: d ≥ 2.
        max_degree: the last degree listed, at most 1,000.

    Raises:
        InvalidValueError: if the dimension or the degree is out of range.

    Example:
        >>> from sestina.ntk.kernels.dot_product import DotProductKernel
        >>> linear = DotProductKernel.from_coefficients([0.0, 1.0])
        >>> spectrum = sphere_spectrum(linear, 5, max_degree=2)
        >>> spectrum.eigenvalues.round(6).tolist()  # 1/d on the d linear functions
        [0.0, 0.2, 0.0]
        >>> spectrum.multiplicities.tolist()
        [1.0, 5.0, 14.0]
    """
    _check_count("dimension", dimension, 2, 100_000)
    _check_count("max_degree", max_degree, 0, 1000)
    degrees = np.arange(max_degree + 1)
    by_series, series_errors = _sphere_series(kernel, dimension, degrees)
    by_quadrature, quadrature_errors = _sphere_quadrature(kernel, dimension, max_degree)
    use_series = series_errors <= quadrature_errors
    return Spectrum(
        domain="sphere",
        dimension=dimension,
        eigenvalues=np.where(use_series, by_series, by_quadrature),
        multiplicities=np.array([float(_num_harmonics(dimension, int(k))) for k in degrees]),
        errors=np.where(use_series, series_errors, quadrature_errors),
        trace=float(kernel.total),
    )


def hypercube_spectrum(kernel: DotProductKernel, dimension: int) -> Spectrum:
    """The eigenvalues on the hypercube {−1, 1}^d: for every s, on the C(d, s) parities of s bits.

    Equal to 2^−d Σⱼ K(1−2j/d) Krawtchoukⱼ(s), with full relative precision at every s.

    Args:
        kernel: a function of the cosine.
        dimension: d, from 1 to 1,000.

    Raises:
        InvalidValueError: if the dimension is out of range.

    Example:
        >>> from sestina.ntk.kernels.dot_product import DotProductKernel
        >>> square = DotProductKernel.from_coefficients([0.0, 0.0, 1.0])
        >>> hypercube_spectrum(square, 2).eigenvalues.tolist()  # c² = ½ + ½ x₁x₂x₁'x₂'
        [0.5, 0.0, 0.5]
    """
    _check_count("dimension", dimension, 1, _LARGEST_CUBE)
    if not kernel.is_analytic:
        return _cube_by_distances(kernel, dimension)
    coefficients = _coefficients(kernel)
    weights = np.arange(dimension + 1)
    sizes = _level_sizes(dimension)
    # reached[s]: the chance that k flips of random bits leave s bits flipped.
    reached = np.zeros(dimension + 1)
    reached[0] = 1.0
    expected, magnitude = np.zeros(dimension + 1), np.zeros(dimension + 1)
    for coefficient in coefficients:
        expected += coefficient * reached
        magnitude += abs(coefficient) * reached
        up = reached[:-1] * (dimension - weights[:-1]) / dimension
        down = reached[1:] * weights[1:] / dimension
        reached[:] = 0.0
        reached[1:] += up
        reached[:-1] += down
    # By now the walk has forgotten all but the parity of k, so the tail has a closed form.
    tail_even, tail_odd = _tails(kernel, coefficients)
    tail = np.where(weights % 2 == 0, tail_even, tail_odd) * 2.0 ** (1 - dimension)
    eigenvalues = expected / sizes + tail
    unmixed = _unmixed(dimension, len(coefficients))
    return Spectrum(
        domain="hypercube",
        dimension=dimension,
        eigenvalues=eigenvalues,
        multiplicities=sizes,
        errors=1e-14 * (magnitude / sizes + np.abs(tail)) + np.abs(tail) * unmixed,
        trace=float(kernel.total),
    )


def _cube_by_distances(kernel: DotProductKernel, dimension: int) -> Spectrum:
    """2^−d Σⱼ C(d, j) K(1−2j/d) κₛ(j), with Krawtchouk polynomials κₛ, κₛ(0) = 1."""
    flips = np.arange(dimension + 1)
    sizes = _level_sizes(dimension)
    weighted = np.asarray(kernel(1 - 2.0 * flips / dimension)) * (sizes / 2.0**dimension)
    parity = np.where(flips % 2 == 0, 1.0, -1.0)
    previous, current = np.zeros(dimension + 1), np.ones(dimension + 1)
    eigenvalues = np.zeros(dimension + 1)
    for s in range(dimension // 2 + 1):  # stable up to the middle; κ_{d−s}(j) = (−1)ʲ κₛ(j)
        eigenvalues[s] = weighted @ current
        eigenvalues[dimension - s] = weighted @ (parity * current)
        following = (dimension - 2 * flips) * current - s * previous
        previous, current = current, following / max(1, dimension - s)
    return Spectrum(
        domain="hypercube",
        dimension=dimension,
        eigenvalues=eigenvalues,
        multiplicities=sizes,
        errors=np.full(dimension + 1, 1e-14 * float(np.abs(weighted).sum())),
        trace=float(kernel.total),
    )


def _level_sizes(dimension: int) -> NDArray[np.float64]:
    """C(d, s) for every s."""
    if dimension <= 50:  # exact in float64
        return np.array([float(math.comb(dimension, s)) for s in range(dimension + 1)])
    s = np.arange(dimension + 1)
    sizes: NDArray[np.float64] = np.exp(
        gammaln(dimension + 1) - gammaln(s + 1) - gammaln(dimension - s + 1)
    )
    return sizes


def hypercube_power(values: Any) -> NDArray[np.float64]:
    """How much of a function's mean square lies in the parities of s bits, for every s.

    Args:
        values: (2^d,), the function at every point of the cube; bit b of the index set means that
            input b is −1.

    Returns:
        (d + 1,), summing to the mean square.

    Raises:
        ShapeError: if the length is no power of two.

    Example:
        >>> hypercube_power([1.0, -1.0, -1.0, 1.0]).tolist()  # the parity of two bits
        [0.0, 0.0, 1.0]
    """
    transformed: NDArray[np.float64] = np.array(values, dtype=np.float64)
    size = len(transformed) if transformed.ndim == 1 else 0
    if size < 1 or size & (size - 1):
        raise ShapeError(
            "values",
            transformed.shape,
            expected="(2^d,)",
            remedy="pass the function's value at every corner of the cube",
        )
    step = 1
    while step < size:  # the fast Walsh–Hadamard transform
        pairs = transformed.reshape(-1, 2, step)
        transformed = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], 1).ravel()
        step *= 2
    bits_set = np.array([index.bit_count() for index in range(size)])
    return np.bincount(bits_set, weights=(transformed / size) ** 2).astype(np.float64)


def _sphere_series(
    kernel: DotProductKernel, dimension: int, degrees: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    eigenvalues, errors = np.zeros(len(degrees)), np.zeros(len(degrees))
    if not kernel.is_analytic:
        return eigenvalues, np.full(len(degrees), math.inf)
    coefficients = _coefficients(kernel)
    for degree in degrees:
        magnitude = 0.0
        powers = np.arange(degree, len(coefficients), 2)
        if len(powers):
            terms = np.exp(_log_share(powers, int(degree), dimension))
            eigenvalues[degree] = coefficients[powers] @ terms
            magnitude = float(np.abs(coefficients[powers]) @ terms)
        errors[degree] = 1e-13 * magnitude + _tail_bound(
            kernel, coefficients, int(degree), dimension
        )
    return eigenvalues, errors


def _tail_bound(
    kernel: DotProductKernel, coefficients: NDArray[np.float64], degree: int, dimension: int
) -> float:
    """The coefficients left out, times the largest eigenvalue that any of their powers has."""
    tail = sum(abs(part) for part in _tails(kernel, coefficients))
    first = max(len(coefficients), degree)
    # The share rises up to this power and falls after it: share(k+2)/share(k) crosses 1 there.
    peak = (degree * degree + degree * (dimension - 2)) // (dimension - 1)
    candidates = np.maximum(np.array([first, peak - 2, peak, peak + 2]), first)
    candidates = candidates + (candidates - degree) % 2
    return tail * float(np.exp(_log_share(candidates, degree, dimension).max()))


def _log_share(powers: NDArray[np.int64], degree: int, dimension: int) -> NDArray[np.float64]:
    """The logarithm of the eigenvalue of cᵏ at one degree, k ≥ degree of equal parity."""
    half_gap = (powers - degree + 1) / 2
    log_share: NDArray[np.float64] = (
        gammaln(dimension / 2)
        - 0.5 * math.log(math.pi)
        - degree * math.log(2.0)
        + gammaln(powers + 1)
        - gammaln(powers - degree + 1)
        + gammaln(half_gap)
        - gammaln((powers + degree + dimension) / 2)
    )
    return log_share


def _sphere_quadrature(
    kernel: DotProductKernel, dimension: int, max_degree: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """∫ K(cos θ) P(cos θ) dμ(θ), and its difference to a coarser rule as the error."""
    fine = _quadrature_with(kernel, dimension, max_degree, _NUM_NODES)
    coarse = _quadrature_with(kernel, dimension, max_degree, _NUM_NODES * 2 // 3)
    rounding = 1e-15 * float(np.abs(np.asarray(kernel(np.linspace(-1, 1, 201)))).max())
    return fine, np.abs(fine - coarse) + rounding


def _quadrature_with(
    kernel: DotProductKernel, dimension: int, max_degree: int, num_nodes: int
) -> NDArray[np.float64]:
    nodes, weights = _nodes(num_nodes)
    angles = (nodes + 1.0) * (math.pi / 2)
    cosines = np.cos(angles)
    log_density = (dimension - 2) * np.log(np.sin(angles)) + (
        gammaln(dimension / 2) - gammaln((dimension - 1) / 2) - 0.5 * math.log(math.pi)
    )
    weighted = np.asarray(kernel(cosines)) * weights * (math.pi / 2) * np.exp(log_density)
    # Gegenbauer polynomials with P(1) = 1: (ℓ+d−2) P_{ℓ+1} = (2ℓ+d−2) c P_ℓ − ℓ P_{ℓ−1}.
    previous, current = np.ones_like(cosines), cosines
    eigenvalues = [float(weighted.sum()), float(weighted @ cosines)]
    for degree in range(1, max_degree):
        following = (2 * degree + dimension - 2) * cosines * current - degree * previous
        previous, current = current, following / (degree + dimension - 2)
        eigenvalues.append(float(weighted @ current))
    return np.array(eigenvalues[: max_degree + 1])


@functools.cache
def _nodes(num_nodes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    nodes, weights = roots_legendre(num_nodes)
    return nodes, weights


def _num_harmonics(dimension: int, degree: int) -> int:
    lower = math.comb(degree + dimension - 3, degree - 2) if degree >= 2 else 0
    return math.comb(degree + dimension - 1, degree) - lower


def _coefficients(kernel: DotProductKernel) -> NDArray[np.float64]:
    coefficients = np.asarray(kernel.coefficients(_NUM_COEFFICIENTS))
    # FFT noise of either sign stands where a coefficient is zero.
    noise = 1e-12 * float(np.abs(coefficients).sum())
    return np.where((coefficients < 0) & (coefficients > -noise), 0.0, coefficients)


def _tails(kernel: DotProductKernel, coefficients: NDArray[np.float64]) -> tuple[float, float]:
    """The sums of the even and of the odd coefficients that are left out, from K(±1)."""
    at_one, at_minus_one = float(kernel.total), float(kernel(-1.0))
    even = (at_one + at_minus_one) / 2 - float(coefficients[::2].sum())
    odd = (at_one - at_minus_one) / 2 - float(coefficients[1::2].sum())
    rounding = 1e-13 * max(abs(at_one), float(np.abs(coefficients).sum()))
    return (even if abs(even) > rounding else 0.0, odd if abs(odd) > rounding else 0.0)


def _unmixed(dimension: int, num_steps: int) -> float:
    """How far from uniform, given parity, the walk is after so many flips: relative, at most."""
    flips = np.arange(1, (dimension + 1) // 2)
    log_sizes = gammaln(dimension + 1) - gammaln(flips + 1) - gammaln(dimension - flips + 1)
    return float(np.exp(log_sizes + num_steps * np.log1p(-2.0 * flips / dimension)).sum())


def _check_count(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidValueError(
            name,
            value,
            expected=f"a whole number from {least} to {most}",
            remedy=f"pass {name} within this range",
        )
