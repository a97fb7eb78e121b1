"""Gaussian expectations of designed activations, by long Mehler series.

E[φ(u)φ(v)] = Σ b_k(q1) b_k(q2) ρᵏ with b_k(q) = E[φ(√q z) h_k(z)]. Designed activations have
thousands of terms that matter (b_k² ~ k^{−5/2} for the kernels of deep ReLU networks), more than
the general quadrature takes; but smooth ones are integrated well by Gauss–Legendre panels, and sums
of ReLUs have closed forms. What the terms leave out of E[φ²] and of E[φ(z)φ(−z)] is put at the next
two degrees, so that ρ = ±1 are right.

Axes: q distinct variance, z node, k degree, i kink.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from sestina.ntk.gaussian.duals import Duals
from sestina.ntk.gaussian.series import HalfGrid, hermite_blocks

__all__ = [
    "kinked_coefficients",
    "kinked_moments",
    "panel_coefficients",
    "panel_moments",
    "series_duals",
]

_LOG = logging.getLogger(__name__)

Function: TypeAlias = Callable[[Tensor], Tensor]

_REACH = 9.0
_WORK = 1 << 32
"""Pairs times terms that one call may take; more pairs get a shorter series."""
_FEWEST_TERMS = 512
"""Of a shortened series; also with gradients, when every block of polynomials is kept."""
_POWERS = 64
_FAR = 38.0
"""γ(38) is the smallest positive number; h_k(38) is finite at every degree."""
_SMALL = 1e-200
"""Keeps the root of a vanishing remainder differentiable."""


def series_duals(
    coefficients: Callable[[Tensor, int], tuple[Tensor, Tensor]],
    num_terms: int,
    q1: Tensor,
    q2: Tensor,
    k12: Tensor,
) -> Duals:
    """(E[φ(u)φ(v)], E[φ'(u)φ'(v)]); see `sestina.ntk.activations.Activation.duals`.

    A series is shortened, and a line logged, where pairs times terms would exceed 4·10⁹, or with
    gradients; its error then is near ρ = ±1 only.

    Args:
        coefficients: from distinct variances (q,) and a number of terms to the Hermite coefficients
            (q, terms + 2) of φ(√q z) and φ'(√q z), remainders at the end.
        num_terms: that the activation needs.
        q1: variances.
        q2: variances.
        k12: covariances, real or complex.
    """
    num_pairs = math.prod(torch.broadcast_shapes(q1.shape, q2.shape, k12.shape))
    if num_pairs == 0:
        empty = k12 + 0 * q1 + 0 * q2
        return empty, empty.clone()
    needs_grad = torch.is_grad_enabled() and any(t.requires_grad for t in (q1, q2, k12))
    affordable = _FEWEST_TERMS if needs_grad else max(_WORK // num_pairs, _FEWEST_TERMS)
    count = min(num_terms, affordable)
    if count < num_terms:
        _LOG.info("series of %d instead of %d terms", count, num_terms)
    std = torch.sqrt(q1) * torch.sqrt(q2)
    rho = k12 / torch.where(std > 0, std, 1.0)

    def expanded(q: Tensor) -> tuple[Tensor, Tensor]:
        distinct_q, places = _distinct(q)
        values_qk, slopes_qk = coefficients(distinct_q, count)
        return values_qk[places], slopes_qk[places]

    left = expanded(q1)
    right = left if q1 is q2 else expanded(q2)
    return _mehler(left[0], right[0], rho), _mehler(left[1], right[1], rho)


def panel_moments(phi: Function, slope: Function, q: Tensor) -> Duals:
    """(E[φ(u)²], E[φ'(u)²]) of a smooth function, u ~ N(0, q)."""
    distinct_q, places = _distinct(q)
    z, weights_z = _nodes(distinct_q)
    points_qz = torch.sqrt(distinct_q)[:, None] * z
    value_q, slope_q = (phi(points_qz) ** 2) @ weights_z, (slope(points_qz) ** 2) @ weights_z
    return value_q[places], slope_q[places]


def panel_coefficients(
    phi: Function, slope: Function, q: Tensor, num_terms: int
) -> tuple[Tensor, Tensor]:
    """Coefficients of a smooth function and its derivative, with remainders; see `series_duals`."""
    z, weights_z = _nodes(q)
    functions = [function(torch.sqrt(q)[:, None] * z) for function in (phi, slope)]
    blocks: tuple[list[Tensor], list[Tensor]] = ([], [])
    for _, now_kz, _ in hermite_blocks(z.cpu().numpy(), num_terms):
        rows_zk = (torch.from_numpy(now_kz.copy()).to(q) * weights_z).T
        for values_qz, list_ in zip(functions, blocks, strict=True):
            list_.append(values_qz @ rows_zk)
    results = []
    for values_qz, list_ in zip(functions, blocks, strict=True):
        square_q = (values_qz**2) @ weights_z
        mirror_q = (values_qz * values_qz.flip(1)) @ weights_z  # the nodes are symmetric
        results.append(_with_remainders(torch.cat(list_, dim=1), square_q, mirror_q))
    return results[0], results[1]


def kinked_moments(
    positions: Tensor, weights: Tensor, offset: float, slope: float, q: Tensor
) -> Duals:
    """(E[φ(u)²], E[φ'(u)²]) of Σ α relu(z − t) + offset + slope·z, in closed form."""
    distinct_q, places = _distinct(q)
    squares, _, slope_squares, _ = _kinked_squares(positions, weights, offset, slope, distinct_q)
    return squares[places], slope_squares[places]


def kinked_coefficients(
    positions: Tensor, weights: Tensor, offset: float, slope: float, q: Tensor, num_terms: int
) -> tuple[Tensor, Tensor]:
    """Coefficients of Σ α relu(z − t) + offset + slope·z; see `series_duals`.

    relu(√q z − t) is √q relu(z − s) with s = t/√q, whose coefficients are γ(s) − sQ(s), Q(s) and
    then γ(s) h_{k−2}(s)/√(k(k−1)); those of its step are Q(s) and then γ(s) h_{k−1}(s)/√k.
    """
    std_q = torch.sqrt(q).clamp(min=1e-150)
    s_qi = positions / std_q[:, None]
    density_qi = torch.exp(-(s_qi**2) / 2) / math.sqrt(2 * math.pi)
    above_qi = torch.special.ndtr(-s_qi)
    values = [
        offset + std_q * ((density_qi - s_qi * above_qi) @ weights),
        std_q * (slope + above_qi @ weights),
    ]
    slopes = [slope + above_qi @ weights]
    sums_qk = _kinked_sums(s_qi, density_qi, weights, num_terms)  # Σ α γ h_k
    k = torch.arange(num_terms, dtype=q.dtype, device=q.device)
    slopes_qk = torch.cat([torch.stack(slopes, 1), sums_qk / torch.sqrt(k + 1)], 1)
    later_qk = std_q[:, None] * sums_qk / torch.sqrt((k + 1) * (k + 2))
    values_qk = torch.cat([torch.stack(values, 1), later_qk], 1)
    squares = _kinked_squares(positions, weights, offset, slope, q)
    return (
        _with_remainders(values_qk[:, :num_terms], squares[0], squares[1]),
        _with_remainders(slopes_qk[:, :num_terms], squares[2], squares[3]),
    )


def _kinked_sums(s_qi: Tensor, density_qi: Tensor, weights: Tensor, count: int) -> Tensor:
    """Σ_i αᵢ γ(sᵢ) h_k(sᵢ), (q, k)."""
    if not s_qi.requires_grad:
        # γ is nothing where h_k would overflow.
        places = s_qi.clamp(-_FAR, _FAR).cpu().numpy().ravel()
        factors_qi = torch.where(s_qi.abs() < _FAR, density_qi * weights, 0.0)
        blocks = [
            (torch.from_numpy(now.copy()).to(s_qi).reshape(-1, *s_qi.shape) * factors_qi).sum(-1)
            for _, now, _ in hermite_blocks(places, count)
        ]
        return torch.cat(blocks).T
    sums = []
    before_qi, now_qi = torch.zeros_like(s_qi), density_qi  # γ h_{k−1}, γ h_k
    for k in range(count):
        sums.append(now_qi @ weights)
        before_qi, now_qi = now_qi, (s_qi * now_qi - math.sqrt(k) * before_qi) / math.sqrt(k + 1)
    return torch.stack(sums, 1)


def _kinked_squares(
    positions: Tensor, weights: Tensor, offset: float, slope: float, q: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """E[φ(u)²], E[φ(u)φ(−u)], E[φ'(u)²], E[φ'(u)φ'(−u)]."""
    std_q = torch.sqrt(q).clamp(min=1e-150)
    s_qi = positions / std_q[:, None]
    a, b = s_qi[:, :, None], s_qi[:, None, :]
    ramp_q = (_density(s_qi) - s_qi * torch.special.ndtr(-s_qi)) @ weights  # E[Σ α relu]/√q
    step_q = torch.special.ndtr(-s_qi) @ weights
    # Both above: z > max. One above, the other for −z: s < z < −t, empty if s + t ≥ 0.
    m0, m1, m2 = _interval_moments(torch.maximum(a, b), torch.full_like(a, math.inf))
    both = m2 - (a + b) * m1 + a * b * m0
    n0, n1, n2 = _interval_moments(a.expand(m0.shape), torch.maximum(-b, a))
    across = -n2 + (a - b) * n1 + a * b * n0
    ramps, mirrored = both @ weights @ weights, across @ weights @ weights
    steps, steps_across = m0 @ weights @ weights, n0 @ weights @ weights
    even = offset**2 + 2 * offset * std_q * ramp_q
    # E[z relu(z − s)] = Q(s)
    odd = q * (slope**2 + 2 * slope * step_q)
    slopes = slope**2 + 2 * slope * step_q
    return (
        q * ramps + even + odd,
        q * mirrored + even - odd,
        steps + slopes,
        steps_across + slopes,
    )


def _interval_moments(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """∫ zⁿ γ(z) dz from low to high, n = 0, 1, 2."""
    below, above = _density(low), _density(high)
    mass = torch.special.ndtr(high) - torch.special.ndtr(low)
    edge = torch.where(torch.isinf(high), 0.0, high * above)
    return mass, below - above, mass + low * below - edge


def _density(z: Tensor) -> Tensor:
    return torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


def _with_remainders(b_qk: Tensor, square_q: Tensor, mirror_q: Tensor) -> Tensor:
    """The coefficients, and two more that make up E[f(u)²] and E[f(u)f(−u)]."""
    rests = []
    for parity, total_q in enumerate(((square_q + mirror_q) / 2, (square_q - mirror_q) / 2)):
        rest_q = total_q - (b_qk[:, parity::2] ** 2).sum(1)
        rests.append(rest_q.clamp(min=_SMALL).sqrt())
    if b_qk.shape[1] % 2:
        rests.reverse()
    return torch.cat([b_qk, torch.stack(rests, dim=1)], dim=1)


def _mehler(left: Tensor, right: Tensor, rho: Tensor) -> Tensor:
    """Σ_k left_k right_k ρᵏ by Horner's rule, 64 degrees at a time where all pairs share them."""
    product = left * right
    if product.numel() != product.shape[-1]:
        total = torch.zeros_like(rho)
        for k in range(product.shape[-1] - 1, -1, -1):
            total = total * rho + product[..., k]
        return total
    padding = -product.shape[-1] % _POWERS
    rows = torch.nn.functional.pad(product.reshape(-1), (0, padding)).reshape(-1, _POWERS)
    powers = rho[..., None] ** torch.arange(_POWERS, device=rho.device)
    step = rho**_POWERS
    total = torch.zeros_like(rho)
    for row in rows.to(rho.dtype).flip(0):
        total = total * step + powers @ row
    return total


def _distinct(q: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct variances, (q,), and where each one stands; all of them with gradients."""
    flat = q.reshape(-1)
    everywhere = torch.arange(flat.numel(), device=q.device)
    if q.requires_grad:
        return flat, everywhere.reshape(q.shape)
    distinct, places = torch.unique(flat, return_inverse=True)
    return distinct, places.reshape(q.shape)


def _nodes(like: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes on both sides of zero, ascending, and their Gaussian weights."""
    half = HalfGrid.panels(_REACH)
    z = np.concatenate([-half.z_g[::-1], half.z_g])
    weights = np.concatenate([half.weights_g[::-1], half.weights_g]) / 2
    return torch.from_numpy(z).to(like), torch.from_numpy(weights).to(like)
