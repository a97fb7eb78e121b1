"""The tangent kernel of any module by contracting Jacobians, in bounded memory.

Θ = Σ_p J_p(x) J_p(x')ᵀ over blocks of parameters, each block's Jacobians made for as many samples
as fit. A block whose Jacobians do not fit for all samples at once costs further passes backward:
a chunk of samples as large as fits is then held, and the others are made again to meet it.

Cost: n² o² P multiply-adds for P parameters (half of that if symmetric), and n o passes backward
through the module for each block and each time a chunk is made again.

Axes: n, m samples; o output; P numbers of one parameter, or of one block of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from sestina.core.progress import Progress, silent
from sestina.ntk.empirical.layout import Axes, Storage, spans
from sestina.ntk.empirical.samplewise import SamplewiseFunction
from sestina.tensors.products import product

__all__ = ["contracted_kernel", "contracted_squares", "jacobian_bytes"]

_STRIP_ROWS = 1024  # of a symmetric product: those below the diagonal of a strip are not computed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    names: tuple[str, ...]
    numel: int
    num_held: int
    """Samples whose Jacobians of this block are held while others pass by."""
    num_passing: int
    """Samples that pass by together."""


def contracted_kernel(
    function: SamplewiseFunction,
    x1: Tensor,
    x2: Tensor | None,
    *,
    axes: Axes,
    max_bytes: int,
    progress: Progress = silent,
) -> Tensor:
    """The tangent kernel; arguments and result as of `empirical_ntk`."""
    right = x1 if x2 is None else x2
    storage = Storage(len(x1), len(right), function.num_outputs, axes, like=function.like)
    blocks = _blocks(function, len(x1), len(right), max_bytes, symmetric=x2 is None)
    total = sum(len(list(_meetings(block, x1, x2))) for block in blocks)
    done = 0
    progress(done, total, "tangent kernel")
    for block in blocks:
        left_rows, left = None, None
        for rows, columns in _meetings(block, x1, x2):
            if left is None or rows != left_rows:
                left = None  # freed before the next is made
                left_rows, left = rows, _jacobian(function, block, x1[rows], max_bytes)
            is_same = x2 is None and rows == columns
            other = left if is_same else _jacobian(function, block, right[columns], max_bytes)
            for name, jacobian in left.items():
                _add_gram(storage, jacobian, other[name], rows, columns, symmetric=is_same)
            done += 1
            progress(done, total, "tangent kernel")
    if x2 is None:
        storage.mirror()
    return storage.result()


def contracted_squares(function: SamplewiseFunction, x: Tensor, *, max_bytes: int) -> Tensor:
    """The diagonal of the tangent kernel, Θ_oo(x, x), as (n, o)."""
    squares = function.like.new_zeros(len(x), function.num_outputs)
    for block in _blocks(function, len(x), 0, max_bytes, symmetric=True):
        for rows in spans(len(x), block.num_held):
            for jacobian in _jacobian(function, block, x[rows], max_bytes).values():
                squares[rows] += jacobian.square().sum(dim=2)
    return squares


def jacobian_bytes(function: SamplewiseFunction) -> int:
    """The size of one sample's Jacobian in the largest parameter: less cannot be held."""
    largest = max(parameter.numel() for parameter in function.parameters.values())
    return function.num_outputs * largest * function.like.element_size()


def _blocks(
    function: SamplewiseFunction, n: int, m: int, max_bytes: int, *, symmetric: bool
) -> list[_Block]:
    """Parameters in order, as many to a block as keep the Jacobians within half of `max_bytes`."""
    num_all = n if symmetric else n + m
    bytes_each = function.num_outputs * function.like.element_size()
    room = max(1, max_bytes // 2 // bytes_each)  # Jacobian rows times parameters
    groups: list[list[str]] = []
    sizes: list[int] = []
    for name, parameter in function.parameters.items():
        if groups and (sizes[-1] + parameter.numel()) * num_all <= room:
            groups[-1].append(name)
            sizes[-1] += parameter.numel()
        else:
            groups.append([name])
            sizes.append(parameter.numel())
    blocks = []
    for names, numel in zip(groups, sizes, strict=True):
        fits = numel * num_all <= room
        # Each chunk held costs one more pass over the others, so it gets most of the room.
        num_held = n if fits else max(1, room * 3 // (4 * numel))
        num_passing = max(1, m) if fits else max(1, room // (4 * numel))
        block = _Block(names=tuple(names), numel=numel, num_held=num_held, num_passing=num_passing)
        blocks.append(block)
    return blocks


def _meetings(block: _Block, x1: Tensor, x2: Tensor | None) -> Iterator[tuple[slice, slice]]:
    """Every pair of chunks once; of a symmetric kernel those on and above the diagonal."""
    for rows in spans(len(x1), block.num_held):
        if x2 is None:
            yield rows, rows
        start = rows.stop if x2 is None else 0
        for columns in spans(len(x1 if x2 is None else x2), block.num_passing, start=start):
            yield rows, columns


def _jacobian(
    function: SamplewiseFunction, block: _Block, x: Tensor, max_bytes: int
) -> dict[str, Tensor]:
    """The block's Jacobians, (n, o, P) by name, made within a quarter of `max_bytes`."""
    bytes_each = (block.numel + 3 * function.num_saved) * function.like.element_size()
    at_once = max(1, max_bytes // 4 // max(1, bytes_each))
    return function.jacobian(block.names, x, at_once=at_once)


def _add_gram(
    storage: Storage, left: Tensor, right: Tensor, rows: slice, columns: slice, *, symmetric: bool
) -> None:
    """Adds J J'ᵀ to the part of these samples; of a symmetric part on and above the diagonal."""
    if storage.axes == "diagonal":
        for plane, left_nP, right_mP in zip(
            storage.tensor, left.unbind(1), right.unbind(1), strict=True
        ):
            _add_product(plane[rows, columns], left_nP, right_mP, symmetric=symmetric)
        return
    if storage.axes == "trace":
        part = storage.matrix[rows, columns]
        scaled = left.flatten(1) / storage.num_outputs
        _add_product(part, scaled, right.flatten(1), symmetric=symmetric)
        return
    o = storage.num_outputs
    part = storage.matrix[rows.start * o : rows.stop * o, columns.start * o : columns.stop * o]
    _add_product(part, left.flatten(0, 1), right.flatten(0, 1), symmetric=symmetric)


def _add_product(part: Tensor, left: Tensor, right: Tensor, *, symmetric: bool) -> None:
    for strip in spans(len(left), _STRIP_ROWS):
        start = strip.start if symmetric else 0
        part[strip, start:] += product(left[strip], right[start:])
