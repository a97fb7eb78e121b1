"""Nodes under the Gaussian: the trapezoidal rule, panels between kinks, and h_k at nodes."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sestina.ntk.gaussian.hermite import hermite_values

__all__ = ["Rule", "hermite_basis", "line_nodes", "num_line_nodes", "panel_nodes"]

_LONG = 4096
"""Terms above which a table takes 100 to 300 MB: of those one at a time is remembered."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How finely the line is sampled."""

    reach: float
    """The line is cut off at ±reach standard deviations."""
    num_nodes: int
    """On the whole line for smooth functions, per panel for others."""
    cuts_centre: bool = True
    """Whether panels end at zero, too, lest they grow longer than in one variable."""
    bandwidth: float = 0.0
    """Of φ(√q z) and φ'(√q z), in radians per standard deviation; smooth functions only."""


def num_line_nodes(reach: float, bandwidth: float) -> int:
    """Nodes of a step h with 2π/h above the bandwidth: nothing is aliased to the mean.

    Rounded up to whole 64s, so that few tables of h_k are needed.
    """
    return 64 * math.ceil((2 * reach * bandwidth / (2 * math.pi) + 2) / 64)


def line_nodes(rule: Rule, like: Tensor) -> tuple[Tensor, Tensor]:
    """The trapezoidal rule for E[f(z)], z ~ N(0, 1)."""
    z = torch.linspace(-rule.reach, rule.reach, rule.num_nodes, dtype=torch.float64)
    step = 2 * rule.reach / (rule.num_nodes - 1)
    weights = step / math.sqrt(2 * math.pi) * torch.exp(-z * z / 2)
    return z.to(like), weights.to(like)


def panel_nodes(cuts: Tensor, rule: Rule) -> tuple[Tensor, Tensor]:
    """Gauss–Legendre panels between the cuts of the last axis, with the Gaussian's density."""
    nodes, weights = (torch.from_numpy(array).to(cuts) for array in _legendre(rule.num_nodes))
    if rule.cuts_centre:
        cuts = torch.cat([cuts, torch.zeros_like(cuts[..., :1])], dim=-1)
    inner = cuts.clamp(-rule.reach, rule.reach).sort(dim=-1).values
    end = torch.full_like(inner[..., :1], rule.reach)
    edges = torch.cat([-end, inner, end], dim=-1)
    half = (edges[..., 1:] - edges[..., :-1])[..., None] / 2
    points = ((edges[..., 1:] + edges[..., :-1])[..., None] / 2 + half * nodes).flatten(-2)
    density = torch.exp(-points * points / 2) / math.sqrt(2 * math.pi)
    return points, (half * weights).flatten(-2) * density


@functools.lru_cache(maxsize=16)
def _legendre(num_nodes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    nodes, weights = np.polynomial.legendre.leggauss(num_nodes)
    return nodes, weights


def hermite_basis(reach: float, num_nodes: int, num_terms: int) -> NDArray[np.float64]:
    """h_k at the nodes of the line, (z, k)."""
    tabulated = _long_basis if num_terms > _LONG else _short_basis
    return tabulated(reach, num_nodes, num_terms)


def _basis(reach: float, num_nodes: int, num_terms: int) -> NDArray[np.float64]:
    z = np.linspace(-reach, reach, num_nodes)
    return np.ascontiguousarray(hermite_values(z, num_terms).T)


_short_basis = functools.lru_cache(maxsize=8)(_basis)
_long_basis = functools.lru_cache(maxsize=1)(_basis)
