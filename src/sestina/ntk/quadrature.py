"""Gaussian expectations by quadrature, for activations without a closed form.

For (u, v) ~ N(0, [[q1, k12], [k12, q2]]) and ρ = k12/√(q1 q2):

- φ smooth: Mehler's series E[φ(u)φ(v)] = Σ b_k(q1) b_k(q2) ρᵏ with b_k(q) = E[φ(√q z) h_k(z)], taken
  by the trapezoidal rule. By Cauchy–Schwarz what K terms leave out is at most E[φ²] − Σ b_k², at any
  ρ: the terms are doubled until that is below 1e-11 of E[φ²]. A polynomial in ρ has no trouble at
  ρ = ±1, and takes complex ρ.
- φ smooth, but on a scale so fine that 1,024 terms do not do: the trapezoidal rule in two variables.
- φ with kinks: Gauss–Legendre panels in two variables that end at every kink. With s = sign ρ,

      u = √q1 (A x + B y),   v = s √q2 (A x − B y),   A, B = √((1 ± |ρ|)/2),

  and x, y independent, the kinks of u and v are two families of lines in the (x, y) plane. For a
  fixed y they cut x into panels on which the integrand is smooth; the result is a smooth function
  of y but where two of those lines cross, and y is cut there. The crossing goes to infinity as
  B → 0, so nothing has to be graded towards ρ = ±1.

The number of nodes follows from E[φ²] and E[φ'²] in one variable: it is doubled until they settle.

Axes: p pair, y outer node, x inner node, z node, k degree.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sestina.core.errors import InvalidValueError
from sestina.ntk.duals import Duals
from sestina.ntk.hermite import hermite_coefficients, hermite_values

__all__ = ["Integrand", "duals", "moments"]

logger = logging.getLogger(__name__)


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
"""Where the line is cut off; the first at which φ² times the Gaussian is nothing."""
_NODES = (64, 128, 256, 512, 1024, 2048)
_PANEL_NODES = (16, 24, 32, 48, 64, 96, 128)
_TERMS = (32, 64, 128, 256, 512, 1024)
_COMPLEX_TERMS = 4096
"""Terms of the series where kinks forbid anything better; the rest falls off like k^{−3/2}."""
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
    return _moments(function, q, rule)


def duals(function: Integrand, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
    """(E[φ(u)φ(v)], E[φ'(u)φ'(v)]); see the top of this file.

    Args:
        function: the activation.
        q1: variances of u, real; the less it is expanded, the less is computed.
        q2: variances of v.
        k12: covariances; complex ones only inside the disc |k12| < √(q1 q2).

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
        if num_terms is not None or k12.is_complex():
            return _series_duals(function, q1, q2, k12, rule, num_terms or _TERMS[-1])
        logger.info("%r: quadrature in two variables, %d² nodes a pair", function, rule.num_nodes)
    return _planar_duals(function, q1, q2, k12, rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """How finely the line is sampled."""

    reach: float
    """The line is cut off at ±reach standard deviations."""
    num_nodes: int
    """On the whole line for smooth functions, per panel for others."""


def _choose_rule(function: Integrand, q: Tensor) -> _Rule:
    """The coarsest rule whose E[φ²] and E[φ'²] agree with the next finer one's."""
    with torch.no_grad():
        extremes = torch.stack([q.min(), q.max()]).to(torch.float64).cpu()
        reach = _choose_reach(function, extremes)
        sizes = _PANEL_NODES if function.kinks else _NODES
        coarse = _moments(function, extremes, _Rule(reach=reach, num_nodes=sizes[0]))
        for size, finer in zip(sizes, sizes[1:], strict=False):
            fine = _moments(function, extremes, _Rule(reach=reach, num_nodes=finer))
            if all(_agree(left, right) for left, right in zip(coarse, fine, strict=True)):
                return _Rule(reach=reach, num_nodes=size)
            coarse = fine
    raise InvalidValueError(
        "activation",
        function,
        expected="a function that is smooth between its kinks, and square-integrable",
        remedy="declare where it or its derivative jumps: Custom(function, kinks=(...))",
    )
