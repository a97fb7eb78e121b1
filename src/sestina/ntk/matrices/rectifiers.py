"""Networks of rectifiers, φ(z) = a·min(z, 0) + b·max(z, 0), whose kernels have a stable recursion.

With θ the angle between two preactivations of variances q, q' and m = (a² + b²)/2,

    E[φ(u)φ(v)]   = √(qq') [ab cos θ + (b−a)² (sin θ + (π−θ) cos θ)/2π],     E[φ(u)²] = m q,
    E[φ'(u)φ'(v)] = ab + (b−a)² (π−θ)/2π

(Cho & Saul 2009). The correlation ρ = cos θ itself is useless near ±1: θ = acos ρ loses half of the
digits. So the recursion carries t = 1 − ρ and x = 1 + ρ, each as a sum of terms of one sign. With
y = min(t, x), φ = acos(1 − y) and arc = sin φ − φ cos φ = O(φ³), the activations have

    ρ ≥ 0    m (1 − ρ') = (ab + (b−a)²/2) y − (b−a)² arc/2π
    ρ < 0    m (1 − ρ') = (a+b)²/2 − ab y − (b−a)² arc/2π
             m (1 + ρ') = ab y + (b−a)² (½ + arc/2π)

and a dense layer with weighted variances p, p', bias variance β, Q = p + β adds

    1 − ρ ∝ √(pp')(1 − ρ') + β(√p − √p')²/(√(QQ') + √(pp') + β),
    1 + ρ ∝ √(pp')(1 + ρ') + β + β(p + p' + β)/(√(QQ') + √(pp')),        both over √(QQ').

The same recursion runs in C++ for rows of any norm; here it feeds the tables of one norm.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from sestina.ntk.activations import ABReLU, Monomial, RectifiedMonomial, Sign

if TYPE_CHECKING:
    from sestina.ntk.architectures import FullyConnected

__all__ = ["RectifierNetwork", "angle_polynomials", "homogeneous_degree"]

Floats = NDArray[np.float64]
Number = TypeVar("Number", float, NDArray[np.float64])

_FEW = 8
"""Numbers that Python's own arithmetic is faster for than NumPy's."""

_ARC_TERMS = 9
"""Of the series of sin φ − φ cos φ, for φ < ½: the next one is below 1e-17 of the first."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RectifierNetwork:
    """The numbers that the recursion needs of a network.

    Example:
        >>> from sestina.ntk.architectures import FullyConnected
        >>> network = RectifierNetwork.of(FullyConnected(activation="relu", depth=2))
        >>> network.layers[:, 0].tolist()  # weight variance, times E[φ²]/q below
        [1.0, 0.5, 0.5]
    """

    a: float
    b: float
    layers: Floats
    """(dense layer, 5), readout last: the variance of the weights (times m, but for the first
    layer), that of the biases, and the tangent kernel's factors of Θ E[φ'φ']/m, of the weights'
    part of the covariance, and its constant."""

    @classmethod
    def of(cls, network: FullyConnected) -> RectifierNetwork | None:
        """The recursion of that network, or None if it has none: see the module."""
        activation = network.activation
        sigmas = [network.sigma_w] * network.depth + [network.readout_sigma_w]
        if (
            not isinstance(activation, ABReLU)
            or network.residual
            or network.layer_norm
            or any(float(sigma) == 0 for sigma in sigmas)
            or activation.a == activation.b == 0
        ):
            return None
        biases = [network.sigma_b] * network.depth + [network.readout_sigma_b]
        moment = (activation.a**2 + activation.b**2) / 2
        rows = []
        for layer, (sigma_w, sigma_b) in enumerate(zip(sigmas, biases, strict=True)):
            weight, bias = float(sigma_w) ** 2, float(sigma_b) ** 2
            value, constant = 1.0, bias
            if network.parametrisation == "standard":
                fan_in = network.width if layer else network.input_width
                assert fan_in is not None, "the caller has fixed the input width"
                value, constant = fan_in / weight, float(bias != 0)
            scaled = weight * moment if layer else weight
            rows.append((scaled, bias, weight * moment, value, constant))
        return cls(a=activation.a, b=activation.b, layers=np.asarray(rows))

    def kernels_at(
        self, t: Floats, x: Floats, moments: tuple[float, float] | tuple[Floats, Floats]
    ) -> Floats:
        """NNGP and NTK, (2, ...), at cosines c.

        Args:
            t: 1 − c, any shape.
            x: 1 + c, the same shape.
            moments: |x|²/d of the two inputs, broadcast with t.
        """
        product, kink = self._shape()
        left, right = moments
        covariance = tangent = np.zeros_like(t)
        for index, (weight, bias, slope_factor, value, constant) in enumerate(self.layers.tolist()):
            above: Floats | float = 0.0
            if index > 0:
                t, x, slope = _rectify(t, x, product, kink)
                above = slope_factor * slope * tangent
            p1, p2 = weight * left, weight * right
            left, right = p1 + bias, p2 + bias
            # A power, since it takes numbers and arrays alike.
            root1, root2, root = p1**0.5, p2**0.5, left**0.5 * right**0.5
            common = root1 * root2
            covariance = common * (1 - t)
            tangent = above + (value * covariance + constant)
            covariance = covariance + bias
            if bias > 0:
                near = bias * (root1 - root2) ** 2 / (root + common + bias)
                far = bias + bias * (p1 + p2 + bias) / (root + common)
                t, x = (common * t + near) / root, (common * x + far) / root
        return np.stack([covariance, tangent])

    def diagonal(self, moments: Floats) -> Floats:
        """NNGP and NTK of inputs with themselves, (2, ...).

        Args:
            moments: |x|²/d, any shape.
        """
        if moments.size > _FEW:
            with np.errstate(over="ignore"):
                return np.stack(self._diagonal(moments))
        values = [self._diagonal(moment) for moment in moments.ravel().tolist()]
        return np.asarray(values).T.reshape(2, *moments.shape)

    def _diagonal(self, moment: Number) -> tuple[Number, Number]:
        variance, tangent = moment, 0 * moment
        for index, (weight, bias, slope, value, constant) in enumerate(self.layers.tolist()):
            covariance = weight * variance
            above = slope * tangent if index > 0 else 0 * tangent
            tangent = above + value * covariance + constant
            variance = covariance + bias
        return variance, tangent

    def _shape(self) -> tuple[float, float]:
        moment = (self.a**2 + self.b**2) / 2
        return self.a * self.b / moment, (self.b - self.a) ** 2 / moment


def homogeneous_degree(network: FullyConnected) -> int | None:
    """h, if K(sx, s'x') = (ss')ʰ K(x, x') for all s, s' > 0; else None.

    Example:
        >>> from sestina.ntk.architectures import FullyConnected
        >>> homogeneous_degree(FullyConnected(activation="relu", depth=3))
        1
        >>> homogeneous_degree(FullyConnected(activation="relu", sigma_b=0.1)) is None
        True
    """
    activation = network.activation
    if float(network.sigma_b) != 0:
        return None
    if network.layer_norm:
        return None if network.residual else 0
    if float(network.readout_sigma_b) != 0:
        return None
    if isinstance(activation, ABReLU):
        degree = 1
    elif isinstance(activation, Sign):
        degree = 0
    elif isinstance(activation, (Monomial, RectifiedMonomial)):
        degree = activation.degree
    else:
        return None
    if network.residual:  # a sum of two degrees has none
        return 1 if degree == 1 else None
    return int(degree**network.depth)


@functools.cache
def angle_polynomials(degree: int) -> Floats:
    """acos(1 − y)/√y and (sin φ − φ cos φ)/y^1.5 as polynomials in 2y − 1, highest degree first.

    Args:
        degree: 7 gives 3e-8 on 0 ≤ y ≤ 1, 18 a rounding error.

    Returns:
        (2, degree + 1).
    """
    # Interpolation at Chebyshev's nodes, in extended precision: the same digits on every machine.
    order = np.arange(degree + 1, dtype=np.longdouble)
    angles = 4 * np.arctan(np.longdouble(1)) * (order + 0.5) / (degree + 1)
    y = (np.cos(angles) + 1) / 2
    phi = _angle(y)
    weights = 2 * np.cos(np.outer(order, angles)) / (degree + 1)
    weights[0] /= 2
    return np.stack(
        [
            np.polynomial.chebyshev.cheb2poly((weights * values).sum(1))[::-1].astype(np.float64)
            for values in (phi / np.sqrt(y), _arc(phi) / (y * np.sqrt(y)))
        ]
    )


def _rectify(t: Floats, x: Floats, product: float, kink: float) -> tuple[Floats, Floats, Floats]:
    """The activations' t and x, and E[φ'φ']/m; `product` is ab/m, `kink` (b−a)²/m."""
    is_opposite = t > x
    y = np.maximum(np.minimum(t, x), 0)
    phi = _angle(y)
    # The difference loses digits, but no more than a rounding error of the angle: 1 − ρ' ≈ φ²/2.
    arc = np.sqrt(y * (2 - y)) - phi * (1 - y)
    slope = product + kink / (2 * np.pi) * np.where(is_opposite, phi, np.pi - phi)
    bend = kink / (2 * np.pi) * arc
    near = (product + kink / 2) * y - bend
    far = 2 * product + kink / 2 - product * y - bend
    rest = product * y + kink / 2 + bend
    return np.where(is_opposite, far, near), np.where(is_opposite, rest, 2 - near), slope


def _angle(y: Floats) -> Floats:
    """φ = acos(1 − y) for 0 ≤ y ≤ 1, to a relative rounding error."""
    phi: Floats = 2 * np.arcsin(np.sqrt(y / 2))
    return phi


def _arc(phi: Floats) -> Floats:
    """The difference sin φ − φ cos φ for 0 ≤ φ ≤ π/2, to a relative rounding error."""
    square = phi * phi
    series = np.zeros_like(phi)
    for k in range(_ARC_TERMS, 0, -1):
        series = (-1) ** (k + 1) * 2 * k / math.factorial(2 * k + 1) + square * series
    return np.where(phi < 0.5, phi * square * series, np.sin(phi) - phi * np.cos(phi))
