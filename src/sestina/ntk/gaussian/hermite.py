"""Normalised Hermite polynomials h_k = He_k/√k!, orthonormal under the standard Gaussian.

    h₀ = 1,   h₁ = z,   h_{k+1} = (z h_k − √k h_{k−1}) / √(k+1),   h_k' = √k h_{k−1}

A function's coefficients b_k = E[φ(z) h_k(z)] hold its kernel: for (u, v) of unit variance and
correlation ρ, E[φ(u)φ(v)] = Σ b_k² ρᵏ (Mehler). The forward recursion is stable in float64 to
degrees of many thousands for |z| ≤ 14.

Axes: k degree, z point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh_tridiagonal

from sestina.core.errors import InvalidValueError, NonFiniteError

__all__ = ["evaluate_series", "gauss_hermite", "hermite_coefficients", "hermite_values"]

Floats = NDArray[np.float64]

_REACH = 14.0
"""The Gaussian's mass beyond is 1e-44; even multiplied by h_k, at most e^{z²/4}, it is nothing."""
_PANEL_NODES = 32
_PANEL_PHASE = 40.0
"""Radians of the fastest oscillation that one panel's nodes resolve to rounding."""
_MAX_PANELS = 4096
_TOLERANCE = 1e-12


def hermite_values(z: ArrayLike, n: int) -> Floats:
    """h₀(z) … hₙ₋₁(z).

    Args:
        z: any shape.
        n: number of degrees.

    Returns:
        (n, *z.shape); row k holds h_k.

    Example:
        >>> hermite_values([0.0, 2.0], 3).round(6).tolist()  # 1, z, (z² − 1)/√2
        [[1.0, 1.0], [0.0, 2.0], [-0.707107, 2.12132]]
    """
    points = np.asarray(z, dtype=np.float64)
    values_kz = np.empty((_checked_count(n), *points.shape))
    values_kz[:1] = 1.0
    values_kz[1:2] = points
    for k in range(1, n - 1):
        values_kz[k + 1] = (points * values_kz[k] - math.sqrt(k) * values_kz[k - 1]) / math.sqrt(
            k + 1
        )
    return values_kz


def gauss_hermite(n: int) -> tuple[Floats, Floats]:
    """Nodes and weights of the Gauss rule for E[f(z)], z ~ N(0, 1); exact to degree 2n − 1.

    Args:
        n: number of nodes, at least 1.

    Source: Golub & Welsch 1969: the nodes are eigenvalues of the recursion's Jacobi matrix. The
    weights are 1/Σ_{k<n} h_k², to full relative precision also where they are small.

    Example:
        >>> nodes, weights = gauss_hermite(3)
        >>> round(float(weights @ nodes**4), 12)  # the fourth moment
        3.0
    """
    count = _checked_count(n, lowest=1)
    nodes: Floats = eigh_tridiagonal(
        np.zeros(count), np.sqrt(np.arange(1.0, count)), eigvals_only=True
    )
    # With the factor exp(−z²/4) h_k stays of order one; where it is 0 in float64, the weight is.
    damping = np.exp(-nodes * nodes / 4)
    before, now, total = np.zeros(count), damping, damping * damping
    for k in range(count - 1):
        before, now = now, (nodes * now - math.sqrt(k) * before) / math.sqrt(k + 1)
        total = total + now * now
    weights = np.divide(damping * damping, total, out=np.zeros(count), where=total > 0)
    return nodes, weights


def hermite_coefficients(
    function: Callable[[Floats], ArrayLike],
    n: int,
    *,
    scale: float = 1.0,
    kinks: Sequence[float] = (),
) -> Floats:
    """b_k = E[φ(scale·z) h_k(z)], k < n, by Gauss–Legendre panels that end at the kinks.

    Args:
        function: φ, elementwise on float64 arrays.
        n: number of coefficients.
        scale: standard deviation √q of the preactivation.
        kinks: where φ or a derivative of it jumps, in its own argument.

    Returns:
        (n,) to about 1e-12 of √E[φ²].

    Raises:
        NonFiniteError: if φ is not finite somewhere.
        InvalidValueError: if the integrals do not settle: φ has a kink that was not declared,
            or oscillates too fast.

    Example:
        >>> relu = hermite_coefficients(lambda z: np.maximum(z, 0), 4, kinks=[0.0])
        >>> abs(relu).round(6).tolist()  # 1/√2π, 1/2, 1/√4π, 0
        [0.398942, 0.5, 0.282095, 0.0]
    """
    _checked_count(n)
    cuts = np.array([kink / scale for kink in kinks if abs(kink) < _REACH * scale])
    num_panels = math.ceil(2 * _REACH * (math.sqrt(n) + 10) / _PANEL_PHASE)
    coarse, norm = _project(function, n, scale, _panels(cuts, num_panels))
    while num_panels <= _MAX_PANELS:
        num_panels *= 2
        fine, norm = _project(function, n, scale, _panels(cuts, num_panels))
        if np.abs(fine - coarse).max(initial=0.0) <= _TOLERANCE * norm:
            return fine
        coarse = fine
    raise InvalidValueError(
        "function",
        function,
        expected="a function that is smooth between its kinks",
        remedy="declare where it or its derivative jumps: kinks=[...]",
    )


def evaluate_series(coefficients: Sequence[float] | Floats, z: Any) -> Any:
    """Σ b_k h_k(z), by Clenshaw's backward recursion.

    Args:
        coefficients: b₀, b₁, …
        z: a float, an array or a tensor of any shape; differentiable if a tensor.

    Returns:
        The values, of the type and shape of z.

    Example:
        >>> evaluate_series([1.0, 0.0, math.sqrt(2)], 3.0)  # 1 + (z² − 1)
        9.0
    """
    ahead = now = 0.0 * z
    for k in range(len(coefficients) - 1, -1, -1):
        now, ahead = (
            float(coefficients[k])
            + z * now / math.sqrt(k + 1)
            - math.sqrt((k + 1) / (k + 2)) * ahead,
            now,
        )
    return now


def _panels(cuts: Floats, num_panels: int) -> tuple[Floats, Floats]:
    """Nodes and weights (with the Gaussian's density) of panels that end at every cut."""
    ends = np.unique(np.concatenate([np.linspace(-_REACH, _REACH, num_panels + 1), cuts]))
    nodes, weights = np.polynomial.legendre.leggauss(_PANEL_NODES)
    half = np.diff(ends)[:, None] / 2
    points = ((ends[1:] + ends[:-1])[:, None] / 2 + half * nodes).ravel()
    density = np.exp(-points * points / 2) / math.sqrt(2 * math.pi)
    return points, (half * weights).ravel() * density


def _project(
    function: Callable[[Floats], ArrayLike], n: int, scale: float, rule: tuple[Floats, Floats]
) -> tuple[Floats, float]:
    """The coefficients and √E[φ²]; rows of h_k are used as they come, none is stored."""
    points, weights = rule
    values = np.asarray(function(scale * points), dtype=np.float64)
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        raise NonFiniteError(
            "function",
            f"{values[bad]} at {scale * points[bad]:.6g}",
            expected=f"finite values for |z| up to {scale * _REACH:.4g}",
            remedy="pass a function that is finite there",
        )
    weighted = weights * values
    coefficients = np.empty(n)
    before, now = np.zeros_like(points), np.ones_like(points)
    for k in range(n):
        coefficients[k] = weighted @ now
        before, now = now, (points * now - math.sqrt(k) * before) / math.sqrt(k + 1)
    return coefficients, math.sqrt(float(weighted @ values))


def _checked_count(n: int, *, lowest: int = 0) -> int:
    if n < lowest:
        raise InvalidValueError(
            "n", n, expected=f"at least {lowest}", remedy="pass how many are wanted"
        )
    return n
