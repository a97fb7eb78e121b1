"""Sizes of dimensions: integers, or expressions of the symbols of a dynamic graph.

Everything that plans compares and divides extents and never asks for the value of a symbol, so that
one plan serves every shape that the graph was captured for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import sympy
import torch

__all__ = [
    "Extent",
    "contiguous_strides",
    "divided",
    "extent_of",
    "extents_of",
    "is_known",
    "product",
]

Extent: TypeAlias = "int | sympy.Expr"


def extent_of(size: int | torch.SymInt | torch.SymFloat | sympy.Expr) -> Extent:
    """The extent that a size of PyTorch stands for."""
    if isinstance(size, (torch.SymInt, torch.SymFloat)):
        size = size.node.expr
    if isinstance(size, sympy.Expr):
        if size.is_number:
            return int(size) if size.is_integer else float(size)
        return size
    return int(size)


def extents_of(sizes: Iterable[int | torch.SymInt]) -> tuple[Extent, ...]:
    """The extents of a shape, or of strides."""
    found = tuple(sizes)
    if all(type(size) is int for size in found):
        return found
    return tuple(map(extent_of, found))


def is_known(extent: Extent) -> bool:
    """Whether the extent is a number already."""
    return isinstance(extent, int)


def product(extents: Iterable[Extent]) -> Extent:
    """How many elements dimensions of these extents have."""
    total: Extent = 1
    for extent in extents:
        total = total * extent
    return total


def divided(extent: Extent, by: Extent) -> Extent | None:
    """The extent divided by another, or None where that isn't known to be a whole number."""
    if isinstance(extent, int) and isinstance(by, int):
        return None if by == 0 or extent % by else extent // by
    quotient = sympy.cancel(sympy.sympify(extent) / sympy.sympify(by))
    return extent_of(quotient) if sympy.fraction(quotient)[1] == 1 else None


def contiguous_strides(shape: Sequence[Extent]) -> tuple[Extent, ...]:
    """Strides, in elements, of a tensor that is laid out row by row."""
    strides: list[Extent] = []
    step: Extent = 1
    for extent in reversed(shape):
        strides.append(step)
        # As PyTorch counts them: a dimension of extent 0 doesn't make the others' strides 0.
        step = step if extent == 0 else step * extent
    return tuple(reversed(strides))
