"""Tensors put together from parts: concatenation, padding, and gradients of slices."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from sestina.fuser.ir.extents import Extent
from sestina.fuser.ir.nodes import Builder, Node, base_of, broadcast
from sestina.fuser.ir.operations import OPERATIONS, compute_dtype
from sestina.fuser.lower.expressions import Expression, NotLowered, check_fit
from sestina.fuser.lower.table import lowering
from sestina.fuser.lower.views import bounds

__all__ = ["pad"]

_ATEN = torch.ops.aten
# Of more parts copying one after another is better: each part costs a comparison for each element.
_MAX_PARTS = 8
# What is computed again for where a part begins rather than written to memory first.
_CHEAP = 6


def _set(b: Builder, part: Node, around: Node, dim: int, start: Extent) -> Node:
    """A tensor with a part of it replaced, from `start` of a dimension on."""
    if part.shape == around.shape:
        return part
    if part.shape[dim] == 0:
        return around
    number = part
    while number.kind in {"expand", "reshape"}:
        (number,) = number.inputs
    is_cheap = part.is_elementwise and part.kind != "copy" and _cost(part, _CHEAP) <= _CHEAP
    if not (number.kind == "constant" or is_cheap):
        operands = (b.settled(part), around)
        return b.make("inset", operands, around.shape, part.dtype, dim=dim, start=start)
    place = Expression(b, b.make("iota", (), around.shape, torch.int64, dim=dim))
    inside = (place >= _number(b, start)) & (place < _number(b, start + part.shape[dim]))
    value = Expression(b, _moved(b, part, around.shape, dim, start))
    return inside.where(value, Expression(b, around)).node


def _number(b: Builder, extent: Extent) -> int | Expression:
    return extent if isinstance(extent, int) else Expression(b, b.size(extent, torch.int64))


def _cost(node: Node, most: float) -> float:
    """Of computing a formula from what lies in memory; infinite where something doesn't.

    What costs more than `most` isn't followed to its end.
    """
    node = base_of(node)
    if not node.is_elementwise or node.kind == "copy":
        return 0 if node.is_opaque or node.kind == "constant" else math.inf
    total: float = OPERATIONS[node.kind].cost
    for operand in node.inputs:
        if total > most:
            break
        total += _cost(operand, most - total)
    return total


def _moved(b: Builder, node: Node, shape: Sequence[Extent], dim: int, start: Extent) -> Node:
    """The elements of a formula where they are to be; anything elsewhere."""
    if node.is_elementwise and node.kind != "copy":
        operands = [_moved(b, operand, shape, dim, start) for operand in node.inputs]
        return b.make(node.kind, operands, shape, node.dtype)
    base = base_of(node)
    if base.kind == "constant":
        return b.expand(base, shape)
    nothing = b.expand(b.constant(0, node.dtype), shape)
    return b.make("inset", (b.settled(node), nothing), shape, node.dtype, dim=dim, start=start)


@lowering(_ATEN.cat.default)
def _cat(b: Builder, tensors: Sequence[Node], dim: int = 0) -> Node:
    # An empty vector counts for nothing, whatever the others' rank is.
    parts = [node for node in tensors if node.shape != (0,)]
    if not 0 < len(parts) <= _MAX_PARTS:
        raise NotLowered(f"a concatenation of {len(parts)} tensors")
    dtypes = {node.dtype for node in parts}
    if len(dtypes) > 1:
        raise NotLowered(f"a concatenation of {', '.join(sorted(map(str, dtypes)))}")
    first = parts[0]
    dim %= len(first.shape)
    total: Extent = 0
    for part in parts:
        total = total + part.shape[dim]
    shape = (*first.shape[:dim], total, *first.shape[dim + 1 :])
    made = b.expand(b.constant(0, first.dtype), shape)
    start: Extent = 0
    for part in parts:
        made = _set(b, part, made, dim, start)
        start = start + part.shape[dim]
    return made


@lowering(_ATEN.stack.default)
def _stack(b: Builder, tensors: Sequence[Node], dim: int = 0) -> Node:
    dim %= len(tensors[0].shape) + 1
    shape = tensors[0].shape
    return _cat(b, [b.reshape(node, (*shape[:dim], 1, *shape[dim:])) for node in tensors], dim)


@lowering(_ATEN.constant_pad_nd.default)
def pad(b: Builder, node: Node, widths: Sequence[Extent], value: float = 0) -> Node:
    """A tensor with so many numbers before and after each dimension, the last one first."""
    for index in range(0, len(widths), 2):
        before, after = widths[index], widths[index + 1]
        if not (isinstance(before, int) and isinstance(after, int)):
            raise NotLowered(f"a padding of {before} and {after}")
        dim = len(node.shape) - 1 - index // 2
        kept = node.shape[dim] + min(before, 0) + min(after, 0)
        node = b.slice(node, dim, max(-before, 0), kept)
        before, after = max(before, 0), max(after, 0)
        if before or after:
            check_fit(node.dtype, value)
            shape = (*node.shape[:dim], kept + before + after, *node.shape[dim + 1 :])
            around = b.expand(b.constant(value, node.dtype), shape)
            node = _set(b, node, around, dim, before)
    return node


@lowering(_ATEN.slice_scatter.default)
def _slice_scatter(
    b: Builder,
    node: Node,
    part: Node,
    dim: int = 0,
    start: Extent | None = None,
    end: Extent | None = None,
    step: int = 1,
) -> Node:
    dim %= len(node.shape)
    if step != 1:
        raise NotLowered(f"a slice from {start} to {end} by {step}")
    first, length = bounds(node.shape[dim], start, end, step)
    shape = (*node.shape[:dim], length, *node.shape[dim + 1 :])
    if broadcast([part.shape, shape]) != shape:
        raise NotLowered(f"a part of {part.shape} for {shape}")
    return _set(b, b.expand(b.convert(part, node.dtype), shape), node, dim, first)


@lowering(_ATEN.select_scatter.default)
def _select_scatter(b: Builder, node: Node, part: Node, dim: int, index: Extent) -> Node:
    dim %= len(node.shape)
    extent = node.shape[dim]
    start = extent + index if isinstance(index, int) and index < 0 else index
    shape = (*node.shape[:dim], 1, *node.shape[dim + 1 :])
    return _set(b, b.reshape(b.convert(part, node.dtype), shape), node, dim, start)


@lowering(_ATEN.slice_backward.default)
def _slice_backward(
    b: Builder,
    gradient: Node,
    shape: Sequence[Extent],
    dim: int,
    start: Extent,
    end: Extent,
    step: int,
) -> Node:
    zeros = b.expand(b.constant(0, gradient.dtype), tuple(shape))
    return _slice_scatter(b, zeros, gradient, dim, start, end, step)


@lowering(_ATEN.select_backward.default)
def _select_backward(
    b: Builder, gradient: Node, shape: Sequence[Extent], dim: int, index: Extent
) -> Node:
    zeros = b.expand(b.constant(0, gradient.dtype), tuple(shape))
    return _select_scatter(b, zeros, gradient, dim, index)


@lowering(_ATEN.flip.default)
def _flip(b: Builder, node: Node, dims: Sequence[int]) -> Node:
    for dim in dims:
        at = dim % max(len(node.shape), 1)
        if node.shape:
            extent = node.shape[at]
            turned = b.slice(node, at, extent - 1, extent, -1)
            # Strides below 0 are none that a tensor of PyTorch can have: the copy is one.
            node = b.make("copy", (turned,), node.shape, node.dtype)
    return node


@lowering(_ATEN.roll.default)
def _roll(b: Builder, node: Node, shifts: Sequence[Extent], dims: Sequence[int] = ()) -> Node:
    if not dims:
        flat = b.reshape(node, (node.num_elements,))
        return b.reshape(_roll(b, flat, shifts, (0,)), node.shape)
    for dim, shift in zip(dims, shifts, strict=True):
        at, extent = dim % max(len(node.shape), 1), node.shape[dim] if node.shape else 1
        if not (isinstance(shift, int) and isinstance(extent, int)):
            raise NotLowered(f"{extent} elements moved on by {shift}")
        if first := shift % extent:
            before = b.slice(node, at, extent - first, first)
            node = _cat(b, [before, b.slice(node, at, 0, extent - first)], at)
    return node


@lowering(_ATEN.glu.default)
def _glu(b: Builder, node: Node, dim: int = -1) -> Node:
    value, gate = _halves(b, node, dim)
    return b.convert((value * gate.sigmoid()).node, node.dtype)


@lowering(_ATEN.glu_backward.default)
def _glu_backward(b: Builder, gradient: Node, node: Node, dim: int) -> Node:
    value, gate = _halves(b, node, dim)
    g, opened = Expression(b, b.convert(gradient, value.dtype)), gate.sigmoid()
    made = g * opened, g * value * opened * (1 - opened)
    return _cat(b, [b.convert(one.node, node.dtype) for one in made], dim)


def _halves(b: Builder, node: Node, dim: int) -> list[Expression]:
    dim %= len(node.shape)
    extent = node.shape[dim]
    if not isinstance(extent, int):
        raise NotLowered(f"halves of a dimension of {extent}")
    values = b.convert(node, compute_dtype(node.dtype))
    half = extent // 2
    return [Expression(b, b.slice(values, dim, start, half)) for start in (0, half)]
