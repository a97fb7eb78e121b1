"""Scores of paths, added up or the best one taken, and those of equal prefixes merged."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["add_all", "add_equal", "extended", "plus"]

# Odd constants whose bits look random, as signed integers: 2^64/φ, and that of PCG.
_SPREAD = 0x9E3779B97F4A7C15 - 2**64
_STEP = 0x5851F42D4C957F2D


def plus(log_add: bool) -> Callable[[Tensor, Tensor], Tensor]:  # noqa: FBT001  the one option
    """How the scores of two sets of paths make that of both."""
    return torch.logaddexp if log_add else torch.maximum


def add_all(score_x: Tensor, dim: int, *, log_add: bool) -> Tensor:
    """The score of all paths along a dimension together."""
    return torch.logsumexp(score_x, dim) if log_add else torch.amax(score_x, dim)


def extended(key_x: Tensor, token_x: Tensor) -> Tensor:
    """A number for each prefix that is `key_x` with one token more; 64 bits, so clashes are rare.

    Integers of a tensor wrap around when they overflow, which is meant here.
    """
    mixed_x = (key_x ^ (key_x >> 29)) * _STEP
    return mixed_x + (token_x + 1) * _SPREAD


def add_equal(key_bkn: Tensor, score_bkn: Tensor, single_bkn: Tensor, *, log_add: bool) -> Tensor:
    """Scores with those of equal keys along k merged into one, the others being minus infinity.

    The one that stands for all is the one with the highest `single_bkn` (the score of its best
    path). The result does not depend on the order in which a device adds things up.
    """
    # By key, and the best first within it.
    by_single_bkn = single_bkn.argsort(dim=1, descending=True, stable=True)
    key_bkn, by_key_bkn = key_bkn.gather(1, by_single_bkn).sort(dim=1, stable=True)
    order_bkn = by_single_bkn.gather(1, by_key_bkn)
    is_first_bkn = torch.ones_like(key_bkn, dtype=torch.bool)
    is_first_bkn[:, 1:] = key_bkn[:, 1:] != key_bkn[:, :-1]
    total_bkn = score_bkn.gather(1, order_bkn)
    if log_add:
        total_bkn = _suffix_sums(key_bkn, total_bkn)
    total_bkn = total_bkn.masked_fill(~is_first_bkn, -torch.inf)
    return torch.empty_like(total_bkn).scatter_(1, order_bkn, total_bkn)


def _suffix_sums(key_bkn: Tensor, score_bkn: Tensor) -> Tensor:
    """Each score and those after it of the same key, which lie together, added up."""
    size, distance = key_bkn.shape[1], 1
    while distance < size:
        later_bkn = torch.where(
            key_bkn[:, distance:] == key_bkn[:, :-distance], score_bkn[:, distance:], -torch.inf
        )
        summed_bkn = torch.logaddexp(score_bkn[:, :-distance], later_bkn)
        score_bkn = torch.cat([summed_bkn, score_bkn[:, -distance:]], dim=1)
        distance *= 2
    return score_bkn
