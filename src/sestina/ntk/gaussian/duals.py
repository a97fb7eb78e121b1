"""Closed forms of E[φ(u)φ(v)] and E[φ'(u)φ'(v)] for jointly Gaussian (u, v).

Throughout, (u, v) ~ N(0, [[q1, k12], [k12, q2]]). Every function broadcasts, is differentiable
(twice) in all three arguments, has no NaN gradient at ρ = ±1 or q = 0, and accepts a complex k12
with |k12| < √(q1 q2): the analytic continuation, from which coefficients are read by FFT.

The two expectations are tied by Price's theorem, ∂E[φφ]/∂k12 = E[φ'φ'].
Sources: Cho & Saul 2009 (arc-cosine kernels), Williams 1997 (erf), Tsuchida et al. 2021 (GELU); the
rest are Gaussian moments. Tests compare each with quadrature.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = [
    "PARALLEL_ULPS",
    "Duals",
    "angle",
    "erf_duals",
    "exp_duals",
    "gaussian_duals",
    "gelu_duals",
    "hermite_duals",
    "polynomial_duals",
    "rectified_monomial_duals",
    "sign_duals",
    "sine_duals",
]

Duals = tuple[Tensor, Tensor]
"""(E[φ(u)φ(v)], E[φ'(u)φ'(v)])."""

PARALLEL_ULPS = 2.0
"""Inputs closer than this many rounding errors of their inner product count as parallel."""


def angle(q1: Tensor, q2: Tensor, k12: Tensor) -> tuple[Tensor, Tensor]:
    """√(q1 q2 − k12²) and θ = acos(k12 / √(q1 q2)), accurate and safe near θ = 0 and π.

    The difference is taken as (s − k12)(s + k12) with s = √(q1 q2): for q1 = q2 the first factor is
    exact. Where the two directions cannot be told apart in this precision the root is 0, θ is 0 or
    π, and their gradients are 0: the right ones in every direction that keeps ρ = ±1, which is
    every first-order change of inputs and hyper-parameters.

    Args:
        q1: variances, real.
        q2: variances, real.
        k12: covariances, real or complex.

    Returns:
        The root and the angle, in the broadcast shape.

    Example:
        >>> root, theta = angle(*torch.tensor([2.0, 2.0, -2.0], dtype=torch.float64))
        >>> root.item(), theta.item() == math.pi
        (0.0, True)
    """
    product = q1 * q2
    is_zero = product <= 0
    scale = torch.where(is_zero, 0.0, torch.sqrt(torch.where(is_zero, 1.0, product)))
    if k12.is_complex():
        # Two roots instead of one keep the branch cuts on the real axis outside the disc.
        root = torch.sqrt(scale - k12) * torch.sqrt(scale + k12)
        return root, -1j * torch.log((k12 + 1j * root) / scale)
    gap = scale - k12.abs()
    is_parallel = gap <= PARALLEL_ULPS * torch.finfo(k12.dtype).eps * scale
    square = torch.where(is_parallel, 1.0, (scale - k12) * (scale + k12))
    safe_root = torch.sqrt(square)
    root = torch.where(is_parallel, 0.0, safe_root)
    ends = math.pi * (k12 < 0).to(k12.dtype)
    theta = torch.where(is_parallel, ends, torch.atan2(safe_root, k12))
    return root, theta


def rectified_monomial_duals(degree: int, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
    """Duals of max(z, 0)ⁿ, n ≥ 1 (n = 1 is ReLU).

    F_n = E[φφ] is the arc-cosine kernel (q1 q2)^{n/2} J_n(θ)/2π of Cho & Saul, by the recurrence
    F_{n+1} = (2n+1) k12 F_n + n² (q1 q2 − k12²) F_{n−1}; and E[φ'φ'] = n² F_{n−1}.
    """
    root, theta = angle(q1, q2, k12)
    open_angle = math.pi - theta
    before = open_angle / (2 * math.pi)  # F_0
    # The division stays outside the product: at θ = 0 this is k12 times exactly one half.
    now = root / (2 * math.pi) + k12 * (open_angle / (2 * math.pi))  # F_1
    for n in range(1, degree):
        before, now = now, (2 * n + 1) * k12 * now + n**2 * root * root * before
    return now, degree**2 * before


def sign_duals(q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
    """Duals of sign: (2/π) asin ρ, and 2 / (π √(q1 q2 − k12²)), infinite at ρ = ±1."""
    root, theta = angle(q1, q2, k12)
    is_end = root == 0
    slope = torch.where(is_end, math.inf, 2 / (math.pi * torch.where(is_end, 1.0, root)))
    # sign(0) = 0: of a preactivation that is always zero nothing is left.
    return torch.where((q1 == 0) | (q2 == 0), 0.0, 1 - theta * (2 / math.pi)), slope


def erf_duals(q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
    """Duals of erf: (2/π) asin(2 k12 / √((1+2q1)(1+2q2))) and 4 / (π √((1+2q1)(1+2q2) − 4k12²))."""
    root = torch.sqrt(1 + 2 * (q1 + q2) + 4 * (q1 * q2 - k12 * k12))
    return (2 / math.pi) * _arcsine(2 * k12, root), 4 / (math.pi * root)


def gelu_duals(q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
    """Duals of the exact GELU, z (1 + erf(z/√2))/2."""
    bulk = (1 + q1) * (1 + q2)
    square = 1 + q1 + q2 + (q1 * q2 - k12 * k12)  # D = bulk − k12²
    root = torch.sqrt(square)
    arcsine = _arcsine(k12, root)
    top = k12 * k12 + q1 * q2 * square
    value = k12 / 4 + (top / (bulk * root) + k12 * arcsine) / (2 * math.pi)
    # ∂/∂k12 of the line above.
    slope = (2 * k12 * (1 - q1 * q2) + top * k12 / square) / (bulk * root) + arcsine + k12 / root
    return value, 0.25 + slope / (2 * math.pi)


def sine_duals(frequency: float, phase: float, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
    """Duals of sin(ωz + p): half of exp(−ω²(q1+q2−2k12)/2) ∓ cos 2p · exp(−ω²(q1+q2+2k12)/2)."""
    square = frequency**2
    near = torch.exp(-square / 2 * (q1 + q2 - 2 * k12))
    far = math.cos(2 * phase) * torch.exp(-square / 2 * (q1 + q2 + 2 * k12))
    return (near - far) / 2, square * (near + far) / 2


def exp_duals(rate: float, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
    """Duals of exp(bz): exp(b²(q1 + q2 + 2k12)/2), and b² times it."""
    value = torch.exp(rate**2 / 2 * (q1 + q2 + 2 * k12))
    return value, rate**2 * value


def gaussian_duals(rate: float, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
    """Duals of exp(−αz²), α > 0: D^{−1/2} and 4α² k12 D^{−3/2}, D = (1+2αq1)(1+2αq2) − 4α²k12²."""
    square = 1 + 2 * rate * (q1 + q2) + 4 * rate**2 * (q1 * q2 - k12 * k12)
    value = torch.rsqrt(square) if not square.is_complex() else 1 / torch.sqrt(square)
    return value, 4 * rate**2 * k12 * value / square


def polynomial_duals(coefficients: tuple[float, ...], q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
    """Duals of Σ cⱼ zʲ, as Σ_k B_k(q1) B_k(q2) k12ᵏ with polynomials B_k.

    φ(√q z) = Σ b_k h_k(z), b_k = q^{k/2} B_k(q), B_k = Σ_m c_{k+2m} q^m (k+2m)!/(2^m m! √k!).
    """
    rows = []
    for k in range(len(coefficients)):
        counts = range((len(coefficients) - 1 - k) // 2 + 1)
        factors = [math.perm(k + 2 * m, 2 * m) / (2**m * math.factorial(m)) for m in counts]
        scale = math.sqrt(math.factorial(k))
        rows.append([scale * f * coefficients[k + 2 * m] for m, f in enumerate(factors)])
    return _series_duals([(_horner(row, q1), _horner(row, q2)) for row in rows], k12)


def hermite_duals(degree: int, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
    """Duals of h_n, as Σ_k B_k(q1) B_k(q2) k12ᵏ; B_k = 0 for k < n when q = 1.

    h_n(√q z) = Σ_m √(n!/(n−2m)!) (q−1)^m/(2^m m!) q^{k/2} h_k(z) with k = n − 2m.
    """
    terms: list[tuple[Tensor, Tensor]] = []
    for k in range(degree + 1):
        m, odd = divmod(degree - k, 2)
        # Step by step: the factorials leave float64 where their quotient does not.
        steps = (math.sqrt((k + 2 * j) * (k + 2 * j - 1)) / (2 * j) for j in range(1, m + 1))
        factor = 0.0 if odd else math.prod(steps)
        terms.append((factor * (q1 - 1) ** m, factor * (q2 - 1) ** m))
    return _series_duals(terms, k12)


def _series_duals(terms: list[tuple[Tensor, Tensor]], k12: Tensor) -> Duals:
    """Σ_k a_k b_k k12ᵏ and its derivative in k12, by Horner's rule."""
    value = slope = torch.zeros_like(k12)
    for left, right in reversed(terms):
        slope = slope * k12 + value
        value = value * k12 + left * right
    return value, slope


def _horner(coefficients: list[float], q: Tensor) -> Tensor:
    total = torch.zeros_like(q)
    for coefficient in reversed(coefficients):
        total = total * q + coefficient
    return total


def _arcsine(opposite: Tensor, adjacent: Tensor) -> Tensor:
    """asin(o/√(o²+a²)) for a > 0, without the loss of digits near ±1."""
    if opposite.is_complex() or adjacent.is_complex():
        return torch.asin(opposite / torch.sqrt(opposite * opposite + adjacent * adjacent))
    return torch.atan2(opposite, adjacent)
