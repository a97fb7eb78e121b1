"""Views and copies of ATen, and tensors made of a number or of positions."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

import torch

from sestina.fuser.ir.extents import Extent, divided, is_known, product
from sestina.fuser.ir.layouts import Layout
from sestina.fuser.ir.nodes import Builder, Node, layout_of
from sestina.fuser.lower.expressions import Expression, NotLowered, check_fit
from sestina.fuser.lower.table import lowering

__all__ = ["bounds", "together"]

_ATEN = torch.ops.aten
_WHOLE = 2**63 - 1  # how far a slice goes that has no end


def _dim(node: Node, dim: int) -> int:
    return dim % max(len(node.shape), 1)


@lowering(_ATEN.view.default, _ATEN._unsafe_view.default, _ATEN.reshape.default)
def _view(b: Builder, node: Node, shape: Sequence[Extent]) -> Node:
    if -1 in [extent for extent in shape if is_known(extent)]:
        known = product(extent for extent in shape if extent != -1)
        missing = divided(node.num_elements, known)
        if missing is None:
            raise NotLowered(f"a view of {node.shape} as {tuple(shape)}")
        shape = [missing if extent == -1 else extent for extent in shape]
    made = b.reshape(node, shape)
    if node.is_view and layout_of(made) is None and not _nests(node.shape, shape):
        # Where repeating was put off, ATen has elements in memory that are none here; loops that
        # can't be cut to fit both shapes need them.
        layout = Layout.contiguous(node.shape)
        copied = b.make("copy", (node,), node.shape, node.dtype, layout=layout)
        copied.layout = layout
        made = b.reshape(copied, shape)
    return made


def _nests(shape: Sequence[Extent], other: Sequence[Extent]) -> bool:
    """Whether loops over both shapes can be cut into the same ones."""
    ends = {*itertools.accumulate(shape, operator.mul), *itertools.accumulate(other, operator.mul)}
    if not all(isinstance(end, int) for end in ends):
        return True  # the planner will see
    return all(b % max(a, 1) == 0 for a, b in itertools.pairwise(sorted(ends)))


@lowering(_ATEN.expand.default)
def _expand(b: Builder, node: Node, shape: Sequence[Extent], *, implicit: bool = False) -> Node:
    del implicit
    new = len(shape) - len(node.shape)
    sizes = [node.shape[dim - new] if size == -1 else size for dim, size in enumerate(shape)]
    return b.expand(node, sizes)


@lowering(_ATEN.permute.default)
def _permute(b: Builder, node: Node, order: Sequence[int]) -> Node:
    return b.permute(node, [_dim(node, dim) for dim in order])


@lowering(_ATEN.t.default)
def _t(b: Builder, node: Node) -> Node:
    return b.permute(node, range(len(node.shape))[::-1])


@lowering(_ATEN.transpose.int)
def _transpose(b: Builder, node: Node, first: int, second: int) -> Node:
    order = list(range(len(node.shape)))
    if order:
        first, second = _dim(node, first), _dim(node, second)
        order[first], order[second] = second, first
    return b.permute(node, order)


@lowering(_ATEN.unsqueeze.default)
def _unsqueeze(b: Builder, node: Node, dim: int) -> Node:
    dim %= len(node.shape) + 1
    return b.reshape(node, (*node.shape[:dim], 1, *node.shape[dim:]))


@lowering(_ATEN.squeeze.default)
def _squeeze(b: Builder, node: Node) -> Node:
    return b.reshape(node, [extent for extent in node.shape if extent != 1])


@lowering(_ATEN.squeeze.dim, _ATEN.squeeze.dims)
def _squeeze_dims(b: Builder, node: Node, dims: int | Sequence[int]) -> Node:
    gone = {_dim(node, dim) for dim in ([dims] if isinstance(dims, int) else dims)}
    kept = [e for dim, e in enumerate(node.shape) if dim not in gone or e != 1]
    return b.reshape(node, kept)


@lowering(_ATEN.select.int)
def _select(b: Builder, node: Node, dim: int, index: Extent) -> Node:
    dim = _dim(node, dim)
    start = index if not isinstance(index, int) or index >= 0 else node.shape[dim] + index
    one = b.slice(node, dim, start, 1)
    return b.reshape(one, (*node.shape[:dim], *node.shape[dim + 1 :]))


@lowering(_ATEN.slice.Tensor)
def _slice(
    b: Builder,
    node: Node,
    dim: int = 0,
    start: Extent | None = None,
    end: Extent | None = None,
    step: int = 1,
) -> Node:
    dim = _dim(node, dim)
    if start in {None, 0} and end in {None, _WHOLE, node.shape[dim]} and step == 1:
        return node
    first, length = bounds(node.shape[dim], start, end, step)
    return b.slice(node, dim, first, length, step)


def bounds(
    extent: Extent, start: Extent | None, end: Extent | None, step: int
) -> tuple[Extent, Extent]:
    """Where a slice of a dimension begins, and its length.

    Of sizes that may change it is taken that the slice is within: where it is not, the shape that
    PyTorch inferred is another.
    """
    given = [bound for bound in (extent, start, end, step) if bound is not None]
    if all(isinstance(bound, int) for bound in given):
        first, last, _ = slice(start, end, step).indices(extent)
        return first, max(0, math.ceil((last - first) / step))
    if step != 1:
        raise NotLowered(f"a slice of every {step}th of {extent}")

    def counted(bound: Extent) -> Extent:
        return extent + bound if isinstance(bound, int) and bound < 0 else bound

    first = 0 if start is None else counted(start)
    last = extent if end in {None, _WHOLE} else counted(end)
    return first, last - first


@lowering(_ATEN.split_with_sizes.default)
def _split_with_sizes(
    b: Builder, node: Node, sizes: Sequence[int], dim: int = 0
) -> tuple[Node, ...]:
    dim = _dim(node, dim)
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    return tuple(b.slice(node, dim, start, size) for start, size in zip(starts, sizes, strict=True))


@lowering(_ATEN.split.Tensor)
def _split(b: Builder, node: Node, size: int, dim: int = 0) -> tuple[Node, ...]:
    extent = node.shape[_dim(node, dim)]
    if not (isinstance(extent, int) and isinstance(size, int)) or size == 0:
        raise NotLowered(f"a split of a dimension of {extent} into pieces of {size}")
    sizes = [min(size, extent - start) for start in range(0, extent, size)] or [0]
    return _split_with_sizes(b, node, sizes, dim)


@lowering(_ATEN.unbind.int)
def _unbind(b: Builder, node: Node, dim: int = 0) -> tuple[Node, ...]:
    extent = node.shape[_dim(node, dim)]
    if not isinstance(extent, int):
        raise NotLowered(f"unbinding a dimension of {extent}")
    return tuple(_select(b, node, dim, index) for index in range(extent))


@lowering(_ATEN.alias.default, _ATEN.detach.default, _ATEN.lift_fresh_copy.default)
def _same(_b: Builder, node: Node) -> Node:
    return node


@lowering(_ATEN.clone.default)
def _clone(_b: Builder, node: Node, *, memory_format: Any = None) -> Node:
    # Where the copy lies is read from the captured result; values are those of its source.
    del memory_format
    return node


@lowering(_ATEN.copy.default)
def _copy(b: Builder, node: Node, source: Node, _non_blocking: bool = False) -> Node:
    return b.expand(b.convert(source, node.dtype, is_asked=True), node.shape)


@lowering(_ATEN.fill.Tensor)
def _fill(b: Builder, node: Node, value: Node) -> Node:
    return b.expand(b.convert(value, node.dtype), node.shape)


@lowering(_ATEN.fill.Scalar)
def _fill_number(b: Builder, node: Node, value: float) -> Node:
    check_fit(node.dtype, value)
    return b.expand(b.constant(value, node.dtype), node.shape)


@lowering(_ATEN._to_copy.default)
def _to_copy(b: Builder, node: Node, *, dtype: torch.dtype | None = None, **others: Any) -> Node:
    if others.get("device") not in {None, torch.device("cpu")} or others.get("layout") not in {
        None,
        torch.strided,
    }:
        raise NotLowered(f"a copy to {others}")
    if dtype is None or dtype is node.dtype:
        return node
    return Expression(b, node).convert(dtype, is_asked=True).node


@lowering(torch.ops.prims.convert_element_type.default)
def _convert_element_type(b: Builder, node: Node, dtype: torch.dtype) -> Node:
    return Expression(b, node).convert(dtype, is_asked=True).node


@lowering(_ATEN.full.default)
def _full(
    b: Builder,
    shape: Sequence[Extent],
    value: Extent | float,
    *,
    dtype: torch.dtype | None = None,
    **_: Any,
) -> Node:
    return b.expand(_number(b, value, dtype or _dtype_of(value)), shape)


def _number(b: Builder, value: Extent | float, dtype: torch.dtype) -> Node:
    if isinstance(value, (int, float)):
        check_fit(dtype, value)
        return b.constant(value, dtype)
    return b.size(value, dtype)


def _dtype_of(value: Extent | float) -> torch.dtype:
    """That of a tensor made of a number, where none is asked for."""
    if isinstance(value, bool):
        return torch.bool
    is_whole = isinstance(value, int) or (not isinstance(value, float) and value.is_integer)
    return torch.int64 if is_whole else torch.get_default_dtype()


@lowering(_ATEN.full_like.default)
def _full_like(
    b: Builder, node: Node, value: Extent | float, *, dtype: torch.dtype | None = None, **_: Any
) -> Node:
    return b.expand(_number(b, value, dtype or node.dtype), node.shape)


@lowering(_ATEN.zeros_like.default, _ATEN.new_zeros.default)
def _zeros_like(
    b: Builder,
    node: Node,
    shape: Sequence[Extent] | None = None,
    *,
    dtype: torch.dtype | None = None,
    **_: Any,
) -> Node:
    shape = node.shape if shape is None else shape
    return b.expand(b.constant(0, dtype or node.dtype), shape)


@lowering(_ATEN.ones_like.default)
def _ones_like(b: Builder, node: Node, *, dtype: torch.dtype | None = None, **_: Any) -> Node:
    return b.expand(b.constant(1, dtype or node.dtype), node.shape)


@lowering(_ATEN.scalar_tensor.default)
def _scalar_tensor(
    b: Builder, value: Extent | float, *, dtype: torch.dtype | None = None, **_: Any
) -> Node:
    return _number(b, value, dtype or torch.get_default_dtype())


@lowering(_ATEN.zeros.default)
def _zeros(
    b: Builder, shape: Sequence[Extent], *, dtype: torch.dtype | None = None, **_: Any
) -> Node:
    return b.expand(b.constant(0, dtype or torch.get_default_dtype()), shape)


@lowering(_ATEN.ones.default)
def _ones(
    b: Builder, shape: Sequence[Extent], *, dtype: torch.dtype | None = None, **_: Any
) -> Node:
    return b.expand(b.constant(1, dtype or torch.get_default_dtype()), shape)


@lowering(_ATEN.arange.start_step)
def _arange(
    b: Builder,
    start: Extent,
    end: Extent,
    step: Extent = 1,
    *,
    dtype: torch.dtype | None = None,
    **_: Any,
) -> Node:
    if not (isinstance(start, int) and step == 1):
        raise NotLowered(f"a range from {start} by {step}")
    places = b.make("iota", (), (end - start,), torch.int64, dim=0)
    if start:
        places = b.apply("add", places, b.constant(start, torch.int64))
    return b.convert(places, dtype or torch.int64)


@lowering(_ATEN.arange.start)
def _arange_start(b: Builder, start: Extent, end: Extent, **options: Any) -> Node:
    return _arange(b, start, end, 1, **options)


@lowering(_ATEN.arange.default)
def _arange_default(b: Builder, end: Extent, **options: Any) -> Node:
    return _arange(b, 0, end, 1, **options)


def _triangle(b: Builder, node: Node, diagonal: int, comparison: str) -> Node:
    """The elements whose column less row compares so with a diagonal, and zeros."""
    rows, columns = (
        b.make("iota", (), node.shape, torch.int64, dim=len(node.shape) + dim) for dim in (-2, -1)
    )
    distance = b.apply("sub", columns, rows)
    kept = b.apply(comparison, distance, b.constant(diagonal, torch.int64))
    return b.apply("where", kept, node, b.expand(b.constant(0, node.dtype), node.shape))


@lowering(_ATEN.tril.default)
def _tril(b: Builder, node: Node, diagonal: int = 0) -> Node:
    return _triangle(b, node, diagonal, "le")


@lowering(_ATEN.triu.default)
def _triu(b: Builder, node: Node, diagonal: int = 0) -> Node:
    return _triangle(b, node, diagonal, "ge")


@lowering(_ATEN.repeat.default)
def _repeat(b: Builder, node: Node, times: Sequence[Extent]) -> Node:
    shape = (*[1] * (len(times) - len(node.shape)), *node.shape)
    pairs = list(zip(times, shape, strict=True))
    apart = _view(b, node, [extent for _, size in pairs for extent in (1, size)])
    wide = b.expand(apart, [extent for pair in pairs for extent in pair])
    return together(b, wide, [count * size for count, size in pairs])


def together(b: Builder, node: Node, shape: Sequence[Extent]) -> Node:
    """A copy in another shape, which later views may cut otherwise than the loops that make it."""
    return b.make("copy", (b.reshape(node, shape),), shape, node.dtype)


@lowering(_ATEN.pixel_shuffle.default)
def _pixel_shuffle(b: Builder, node: Node, factor: int) -> Node:
    *outer, channels, height, width = node.shape
    left = divided(channels, factor * factor)
    if left is None:
        raise NotLowered(f"{channels} channels as {factor} × {factor} pixels each")
    apart = _view(b, node, (*outer, left, factor, factor, height, width))
    moved = _last_in_order(b, apart, (0, 3, 1, 4, 2))
    return together(b, moved, (*outer, left, height * factor, width * factor))


@lowering(_ATEN.pixel_unshuffle.default)
def _pixel_unshuffle(b: Builder, node: Node, factor: int) -> Node:
    *outer, channels, height, width = node.shape
    rows, columns = divided(height, factor), divided(width, factor)
    if rows is None or columns is None:
        raise NotLowered(f"pixels of {height} × {width} in blocks of {factor}")
    apart = _view(b, node, (*outer, channels, rows, factor, columns, factor))
    moved = _last_in_order(b, apart, (0, 2, 4, 1, 3))
    return together(b, moved, (*outer, channels * factor * factor, rows, columns))


def _last_in_order(b: Builder, node: Node, order: Sequence[int]) -> Node:
    """The last dimensions in another order, those before them as they are."""
    first = len(node.shape) - len(order)
    return b.permute(node, [*range(first), *(first + dim for dim in order)])
