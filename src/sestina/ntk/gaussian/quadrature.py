"""Gaussian expectations by quadrature, for activations without a closed form.

For (u, v) ~ N(0, [[q1, k12], [k12, q2]]) and ρ = k12/√(q1 q2):

- φ smooth: Mehler's series E[φ(u)φ(v)] = Σ b_k(q1) b_k(q2) ρᵏ, b_k(q) = E[φ(√q z) h_k(z)], taken by
  the trapezoidal rule. By Cauchy–Schwarz K terms leave out at most E[φ²] − Σ b_k², at any ρ: the
  terms are doubled until that is below 1e-11 of E[φ²]. A polynomial in ρ has no trouble at ρ = ±1,
  and takes complex ρ.
- φ smooth, but on so fine a scale that 16,384 terms do not do: the trapezoidal rule in the plane.
- φ with kinks: Gauss–Legendre panels in two variables that end at every kink. With s = sign ρ,

      u = √q1 (A x + B y),   v = s √q2 (A x − B y),   A, B = √((1 ± |ρ|)/2),

  and x, y independent, the kinks of u and v are two families of lines in the (x, y) plane. For a
  fixed y they cut x into panels on which the integrand is smooth; the result is a smooth function
  of y but where two of those lines cross, and y is cut there. The crossing goes to infinity as
  B → 0, so nothing has to be graded towards ρ = ±1. A cut at zero keeps every panel short.

The step of the trapezoidal rule follows from the spectrum of φ; the number of nodes per panel is
raised until E[φ²] and E[φ'²] settle. Both refuse a kink that was not declared.

Axes: p pair, y outer node, x inner node, z node, k degree.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sestina.core.errors import InvalidValueError, NonFiniteError
from sestina.ntk.gaussian.duals import PARALLEL_ULPS, Duals
from sestina.ntk.gaussian.hermite import hermite_coefficients
from sestina.ntk.gaussian.nodes import Rule, hermite_basis, line_nodes, num_line_nodes, panel_nodes

__all__ = ["Integrand", "duals", "moments"]

_LOG = logging.getLogger(__name__)


class Integrand(Protocol):
    """What quadrature needs of an activation."""

    @property
    def kinks(self) -> tuple[float, ...]:
        """Where φ or φ' jumps."""

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z)."""


_TOLERANCE = 1e-11
"""Relative to E[φ²] or E[φ'²]; a tenth of a millionth of what the callers promise."""
_REACHES = (9.0, 13.0, 19.0, 27.0)
"""Where the line is cut off; the first beyond which φ² times the Gaussian is nothing."""
_NOTHING = -34.0
"""Logarithm of what is nothing beside the integrand's peak: a rounding error or so."""
_TINY = 1e-150
_HUGE = 1e300
_NARROW = 1e-4
_PANEL_NODES = (16, 24, 32, 48, 64, 96, 128, 192, 256)
_SPECTRUM_POINTS = ((4096, 3281), (32768, 26003))
_SPECTRUM_FLOOR = 1e-12
_MARGIN = 8.0
"""Frequencies that a Gaussian of unit variance adds, down to 1e-13."""
_TERMS = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
_BASES = (512, 4096, 16384)
"""Terms that h_k is tabulated for: three tables at most for each number of nodes."""
_COMPLEX_TERMS = 4096
"""Terms of the series where kinks forbid anything better; the rest falls off like k^{−3/2}."""
_SMALL_ELEMENTS = 2**16
_MAX_PLANAR_NODES = 4096
"""Per axis; above it one pair of inputs would take seconds."""
_BLOCK_ELEMENTS = 2**20
"""Elements of the largest temporary."""


def moments(function: Integrand, q: Tensor) -> Duals:
    """(E[φ(u)²], E[φ'(u)²]) for u ~ N(0, q).

    Args:
        function: the activation.
        q: variances, any shape; the result is differentiable in them.

    Raises:
        InvalidValueError: if the integrals do not settle, as with a kink that was not declared.
    """
    if q.numel() == 0:
        return q.clone(), q.clone()
    rule = _choose_rule(function, q)
    flat = q.reshape(-1)
    rows = max(1, _BLOCK_ELEMENTS // (rule.num_nodes * (len(function.kinks) + 2)))
    pieces = [_moments(function, piece, rule) for piece in flat.split(rows)]
    value, slope = (torch.cat(parts).reshape(q.shape) for parts in zip(*pieces, strict=True))
    return value, slope


def duals(function: Integrand, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
    """(E[φ(u)φ(v)], E[φ'(u)φ'(v)]); see the top of this file.

    Args:
        function: the activation.
        q1: variances of u, real; the less it is expanded, the less is computed.
        q2: variances of v.
        k12: covariances; complex ones only inside the disc |k12| < √(q1 q2).

    Differentiable; twice for smooth functions, with kinks once (second derivatives at q1 = q2 err).

    Raises:
        InvalidValueError: if the integrals do not settle, as with a kink that was not declared.
    """
    shape = torch.broadcast_shapes(q1.shape, q2.shape, k12.shape)
    if math.prod(shape) == 0:
        return k12.expand(shape).clone(), k12.expand(shape).clone()
    q1, q2 = _without_repeats(q1), _without_repeats(q2)
    if k12.is_complex() and function.kinks:
        return _complex_kinked_duals(function, q1, q2, k12)
    both = torch.cat([q1.reshape(-1), q2.reshape(-1)])
    rule = _choose_rule(function, both)
    if not function.kinks:
        num_terms = _choose_terms(function, both, rule)
        if num_terms is not None:
            return _series_duals(function, q1, q2, k12, rule, num_terms)
        if k12.is_complex() or rule.num_nodes > _MAX_PLANAR_NODES:
            raise _too_steep(function, both)
        _LOG.info("%r: quadrature in two variables, %d² nodes a pair", function, rule.num_nodes)
    return _planar_duals(function, q1, q2, k12, rule)


def _choose_rule(function: Integrand, q: Tensor) -> Rule:
    """How finely φ has to be sampled at these variances."""
    with torch.no_grad():
        probes = _probes(q)
        reach = _choose_reach(function, probes)
        if not function.kinks:
            bandwidth = _choose_bandwidth(function, probes, reach)
            # A product of two has twice the bandwidth, the Gaussian left over adds its own.
            num_nodes = num_line_nodes(reach, 2 * bandwidth + _MARGIN)
            return Rule(reach=reach, bandwidth=bandwidth, num_nodes=num_nodes)
        # A kink at zero cuts the line of y at zero by itself.
        start = Rule(reach=reach, num_nodes=_PANEL_NODES[0], cuts_centre=0.0 not in function.kinks)
        rules = [dataclasses.replace(start, num_nodes=size) for size in _PANEL_NODES]
        for rule, finer in itertools.pairwise(rules):
            pairs = zip(
                _moments(function, probes, rule), _moments(function, probes, finer), strict=True
            )
            if all(_agree(left, right) for left, right in pairs):
                return rule
    raise _unsettled(function)


def _choose_bandwidth(function: Integrand, q: Tensor, reach: float) -> float:
    """The frequency beyond which φ(√q z) and φ'(√q z) times exp(−z²/4) have nothing.

    Kinks show here: the spectrum of an undeclared one never falls below the tolerance. Two grids
    have to agree, lest a high frequency passes for the low one that it is aliased to.
    """
    for grids in _SPECTRUM_POINTS:
        found = [_bandwidth(function, q, reach, num_points) for num_points in grids]
        if max(found) < math.inf:
            if max(found) > 1.25 * min(found) + 1:
                raise _unsettled(function)
            return max(found)
    raise _unsettled(function)


def _bandwidth(function: Integrand, q: Tensor, reach: float, num_points: int) -> float:
    """What `_choose_bandwidth` looks for, on one grid; infinite if the grid is too coarse."""
    half = math.sqrt(2) * reach
    z = torch.linspace(-half, half, num_points, dtype=q.dtype, device=q.device)
    points = _safe_sqrt(q)[:, None] * z
    both = torch.cat([function.forward(points), function.derivative(points)])
    spectrum = torch.fft.rfft(both * torch.exp(-z * z / 4)).abs()
    floor = _SPECTRUM_FLOOR * spectrum.max(1, keepdim=True).values
    is_something = (spectrum > floor).any(0).tolist()
    highest = max((i for i, flag in enumerate(is_something) if flag), default=0)
    return highest * math.pi / half if highest < 0.9 * num_points / 2 else math.inf


def _choose_reach(function: Integrand, q: Tensor) -> float:
    """The first reach beyond which φ(√q z)² exp(−z²/2) is nothing beside its peak."""
    farthest = _REACHES[-1] + 1
    z = torch.linspace(-farthest, farthest, 1121, dtype=q.dtype, device=q.device)
    values = function.forward(_safe_sqrt(q)[:, None] * z)
    if bool(values.isnan().any()):
        raise NonFiniteError(
            "activation",
            f"NaN from {function!r}",
            expected=f"numbers for every |z| up to {farthest * math.sqrt(float(q.max())):.4g}",
            remedy="pass a function that is defined on the whole line",
        )
    squares = 2 * values.abs().clamp(_TINY, _HUGE).log()
    logs = squares - z * z / 2
    # Where φ is zero but for |z| > 26, as relu(z − 1) is at a small variance, the peak is nothing.
    floor = squares.max(1, keepdim=True).values + math.log(_TINY)
    floor = torch.maximum(floor, logs.max(1, keepdim=True).values + _NOTHING)
    needed = float(torch.where((logs > floor).any(0), z.abs(), 0.0).max())
    for reach in _REACHES:
        if needed <= reach:
            return reach
    raise _unsettled(function)


def _choose_terms(function: Integrand, q: Tensor, rule: Rule) -> int | None:
    """How many terms of Mehler's series do, or None if 16,384 do not."""
    if rule.bandwidth**2 > 2 * _TERMS[-1]:  # h_k reaches frequency √k
        return None
    with torch.no_grad():
        probes = _probes(q)
        exact = _moments(function, probes, rule)
        for most in _BASES:
            squares = [b * b for b in _series_coefficients(function, probes, rule, most)]
            for num_terms in (size for size in _TERMS if size <= most):
                sums = [square[:, :num_terms].sum(-1) for square in squares]
                if all(_agree(left, right) for left, right in zip(sums, exact, strict=True)):
                    return num_terms
    return None


def _moments(function: Integrand, q: Tensor, rule: Rule) -> Duals:
    std = _safe_sqrt(q)[..., None]
    if function.kinks:
        kinks = torch.tensor(function.kinks, dtype=q.dtype, device=q.device)
        z, weights = panel_nodes(kinks / std.clamp(min=_TINY), rule)
    else:
        z, weights = line_nodes(rule, q)
    points = std * z
    return tuple(  # type: ignore[return-value]
        (values * values * weights).sum(-1)
        for values in (function.forward(points), function.derivative(points))
    )


def _series_duals(
    function: Integrand, q1: Tensor, q2: Tensor, k12: Tensor, rule: Rule, num_terms: int
) -> Duals:
    def evaluate(q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        product = _safe_sqrt(q1) * _safe_sqrt(q2)
        rho = k12 / torch.where(product > 0, product, 1.0)
        left = _series_coefficients(function, q1, rule, num_terms)
        right = left if q1 is q2 else _series_coefficients(function, q2, rule, num_terms)
        return _mehler(left[0], right[0], rho), _mehler(left[1], right[1], rho)

    num_pairs = math.prod(torch.broadcast_shapes(q1.shape, q2.shape, k12.shape))
    of_variances = 2 * rule.num_nodes * (q1.numel() + q2.numel()) // num_pairs
    of_terms = num_terms if _needs_grad(q1, q2, k12) else 4
    return _in_blocks(evaluate, q1, q2, k12, of_variances + of_terms)


def _series_coefficients(
    function: Integrand, q: Tensor, rule: Rule, num_terms: int
) -> tuple[Tensor, Tensor]:
    """b_k of φ(√q z) and of φ'(√q z), (..., k)."""
    most = next(size for size in _BASES if num_terms <= size)
    # h_k oscillates with frequencies up to √k.
    bandwidth = rule.bandwidth + math.sqrt(most) + _MARGIN
    rule = dataclasses.replace(rule, num_nodes=num_line_nodes(rule.reach, bandwidth))
    z, weights = line_nodes(rule, q)
    basis_zk = hermite_basis(rule.reach, rule.num_nodes, most)[:, :num_terms]
    weighted_zk = torch.from_numpy(basis_zk).to(q) * weights[:, None]
    points = _safe_sqrt(q)[..., None] * z
    return function.forward(points) @ weighted_zk, function.derivative(points) @ weighted_zk


def _mehler(left: Tensor, right: Tensor, rho: Tensor) -> Tensor:
    """Σ_k left_k right_k ρᵏ."""
    num_terms = left.shape[-1]
    if rho.numel() * num_terms <= _SMALL_ELEMENTS and not rho.is_complex():
        # One product instead of Horner's rule, whose many small steps cost more than they compute.
        powers = torch.pow(rho[..., None], torch.arange(num_terms).to(rho))
        return (left * right * powers).sum(-1)
    total = torch.zeros_like(rho)
    for k in range(num_terms - 1, -1, -1):
        total = total * rho + left[..., k] * right[..., k]
    return total


def _complex_kinked_duals(function: Integrand, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
    rho = k12 / torch.sqrt(q1 * q2)
    value, slope = (
        _mehler(
            _kinked_coefficients(function, apply, q1),
            _kinked_coefficients(function, apply, q2),
            rho,
        )
        for apply in (function.forward, function.derivative)
    )
    return value, slope


def _kinked_coefficients(
    function: Integrand, apply: Callable[[Tensor], Tensor], q: Tensor
) -> Tensor:
    """b_k of φ(√q z) or of φ'(√q z), (..., k); each distinct variance is worked out once."""
    distinct, places = torch.unique(q.detach().to(torch.float64).cpu(), return_inverse=True)
    rows = [
        hermite_coefficients(
            lambda z: apply(torch.from_numpy(z).to(q.device)).detach().cpu().numpy(),
            _COMPLEX_TERMS,
            scale=math.sqrt(variance),
            kinks=function.kinks,
        )
        for variance in distinct.tolist()
    ]
    return torch.from_numpy(np.stack(rows))[places].to(q)


def _planar_duals(function: Integrand, q1: Tensor, q2: Tensor, k12: Tensor, rule: Rule) -> Duals:
    shape = torch.broadcast_shapes(q1.shape, q2.shape, k12.shape)
    flat1, flat2, flat12 = (tensor.expand(shape).reshape(-1) for tensor in (q1, q2, k12))
    num_kinks = len(function.kinks)
    num_panels = (num_kinks**2 + 2) * (2 * num_kinks + 2)

    def evaluate(q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        return _planar_block(function, q1, q2, k12, rule)

    value, slope = _in_blocks(evaluate, flat1, flat2, flat12, num_panels * rule.num_nodes**2)
    return value.reshape(shape), slope.reshape(shape)


def _planar_block(
    function: Integrand, q1_p: Tensor, q2_p: Tensor, k12_p: Tensor, rule: Rule
) -> Duals:
    std1, std2 = _safe_sqrt(q1_p)[:, None], _safe_sqrt(q2_p)[:, None]  # (p, 1)
    sign = torch.where(k12_p < 0, -1.0, 1.0).to(k12_p.dtype)[:, None]
    product = std1 * std2
    size = (k12_p[:, None].abs() / torch.where(product > 0, product, 1.0)).clamp(max=1)
    # Closer to 1 than k12 is known: parallel, as in `duals.angle`.
    size = torch.where(1 - size <= PARALLEL_ULPS * torch.finfo(size.dtype).eps, 1.0, size)
    along, across = torch.sqrt((1 + size) / 2), _safe_sqrt((1 - size) / 2)  # A, B
    kinks = torch.tensor(function.kinks, dtype=q1_p.dtype, device=q1_p.device)
    kinks1 = kinks / std1.clamp(min=_TINY)  # (p, number of kinks)
    kinks2 = sign * kinks / std2.clamp(min=_TINY)
    if len(kinks):
        gaps = (kinks1[:, :, None] - kinks2[:, None, :]).flatten(1)
        cuts = gaps / (2 * across.clamp(min=_TINY))
        # The integrand of y is continuous at its cuts, so that they carry no first derivative; but
        # near ρ = ±1 they would carry rounding errors times 1/B.
        cuts = torch.where(across > _NARROW, cuts, torch.where(across > 0, cuts.detach(), 0.0))
        y, y_weights = panel_nodes(cuts, rule)  # (p, y)
    else:
        y, y_weights = line_nodes(rule, q1_p)
        y, y_weights = y.expand(len(q1_p), -1), y_weights.expand(len(q1_p), -1)

    def inner(y: Tensor, y_weights: Tensor) -> tuple[Tensor, ...]:
        shift = (across * y)[:, :, None]
        if len(kinks):
            lines = torch.cat([kinks1[:, None, :] - shift, kinks2[:, None, :] + shift], dim=2)
            x, x_weights = panel_nodes(lines / along[:, :, None], rule)  # (p, y, x)
        else:
            x, x_weights = line_nodes(rule, q1_p)
        ahead = along[:, :, None] * x
        u = std1[:, :, None] * (ahead + shift)
        v = (sign * std2)[:, :, None] * (ahead - shift)
        return tuple(
            ((apply(u) * apply(v) * x_weights).sum(-1) * y_weights).sum(-1)
            for apply in (function.forward, function.derivative)
        )

    # Seventeen kinks make 600 million nodes of a single pair.
    num_x = (2 * len(kinks) + 2) * rule.num_nodes
    step = max(1, _BLOCK_ELEMENTS // (num_x * len(q1_p)))
    pieces = [
        inner(*piece) for piece in zip(y.split(step, 1), y_weights.split(step, 1), strict=True)
    ]
    value, slope = (torch.stack(parts).sum(0) for parts in zip(*pieces, strict=True))
    return value, slope


def _in_blocks(
    evaluate: Callable[[Tensor, Tensor, Tensor], Duals],
    q1: Tensor,
    q2: Tensor,
    k12: Tensor,
    elements_per_pair: int,
) -> Duals:
    """`evaluate` on pieces along the first axis, with bounded temporaries, gradients included."""
    shape = torch.broadcast_shapes(q1.shape, q2.shape, k12.shape)
    num_rows = shape[0] if shape else 1
    row_elements = math.prod(shape[1:]) * elements_per_pair
    rows = max(1, _BLOCK_ELEMENTS // max(1, row_elements))
    needs_grad = _needs_grad(q1, q2, k12)
    if rows >= num_rows:
        return evaluate(q1, q2, k12)
    results: list[Duals] = []
    for start in range(0, num_rows, rows):
        pieces = [_rows(tensor, start, rows, len(shape)) for tensor in (q1, q2, k12)]
        if needs_grad:
            results.append(checkpoint(evaluate, *pieces, use_reentrant=False))
        else:
            results.append(evaluate(*pieces))
    return torch.cat([r[0] for r in results]), torch.cat([r[1] for r in results])


def _rows(tensor: Tensor, start: int, count: int, num_axes: int) -> Tensor:
    if tensor.ndim < num_axes or tensor.shape[0] == 1:
        return tensor
    return tensor[start : start + count]


def _probes(q: Tensor) -> Tensor:
    """The least and greatest variance, and the one between, for choosing a rule."""
    low, high = q.detach().min(), q.detach().max()
    return torch.stack([low, torch.sqrt(low * high), high]).to(torch.float64)


def _safe_sqrt(q: Tensor) -> Tensor:
    """√q with gradient 0 at q = 0."""
    is_positive = q > 0
    return torch.where(is_positive, torch.sqrt(torch.where(is_positive, q, 1.0)), 0.0)


def _without_repeats(q: Tensor) -> Tensor:
    """The variances with axes that were only expanded brought back to length 1."""
    for axis in range(q.ndim):
        if q.stride(axis) == 0 and q.shape[axis] > 1:
            q = q.narrow(axis, 0, 1)
    return q


def _needs_grad(*tensors: Tensor) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def _agree(left: Tensor, right: Tensor) -> bool:
    return bool(((left - right).abs() <= _TOLERANCE * right.abs()).all())


def _unsettled(function: Integrand) -> InvalidValueError:
    return InvalidValueError(
        "activation",
        function,
        expected="a function that is smooth between its kinks, and square-integrable",
        remedy="declare where it or its derivative jumps: Custom(function, kinks=(...))",
    )


def _too_steep(function: Integrand, q: Tensor) -> InvalidValueError:
    return InvalidValueError(
        "variance of the preactivations",
        f"up to {float(q.detach().max()):.4g}, too high for {function!r}",
        expected="one at which the activation is not all but a step, nor oscillates too fast",
        remedy="scale the inputs down, or use an activation with a closed form",
    )
