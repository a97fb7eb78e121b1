"""Tensors read at places that other tensors hold, and the losses that pick a class."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

import torch

from sestina.fuser.ir.extents import Extent, product
from sestina.fuser.ir.nodes import Builder, Node
from sestina.fuser.ir.operations import compute_dtype
from sestina.fuser.lower.expressions import Expression, NotLowered, check_fit
from sestina.fuser.lower.table import lowering

__all__: list[str] = []

_ATEN = torch.ops.aten
_MASKS = frozenset({torch.bool, torch.uint8})
_COUNTS = frozenset({torch.int32, torch.int64})


def _take(b: Builder, source: Node, index: Node, dim: int) -> Node:
    """`torch.gather`, where all dimensions but one agree; of a formula it is the formula of takes.

    So that a class is picked from logarithms of probabilities by reading one logit of each row.
    """
    index = b.convert(index, torch.int64)
    chosen, all_ = product(index.shape), product(source.shape)
    if isinstance(chosen, int) and isinstance(all_, int) and chosen > all_:
        # More is read than there is, so the formula is computed less often before.
        return _same_along(b, source, index.shape, dim) or _taken(b, source, index, dim)
    made: dict[Node, Node] = {}
    stack = [source]
    while stack:
        node = stack[-1]
        missing = [one for one in node.inputs if one not in made] if node.is_elementwise else []
        if missing:
            stack += missing
            continue
        stack.pop()
        if node.is_elementwise:
            asked = node.attributes if node.kind == "convert" else {}
            parts = [made[operand] for operand in node.inputs]
            made[node] = b.make(node.kind, parts, index.shape, node.dtype, **asked)
        else:
            made[node] = _same_along(b, node, index.shape, dim) or _taken(b, node, index, dim)
    if not any(node.kind == "take" for node in made.values()):
        # Whatever the index is the element is the same, but for one that is out of range.
        return _taken(b, source, index, dim)
    return made[source]


def _taken(b: Builder, source: Node, index: Node, dim: int) -> Node:
    return b.make("take", (b.settled(source), index), index.shape, source.dtype, dim=dim)


def _same_along(b: Builder, node: Node, shape: Sequence[Extent], dim: int) -> Node | None:
    """What is taken of a tensor that is the same all along a dimension; None for others."""
    if node.kind == "constant":
        return b.expand(node, shape)
    if node.kind != "expand":
        return None
    (inner,) = node.inputs
    return b.expand(inner, shape) if inner.shape == () or inner.shape[dim] == 1 else None


@lowering(_ATEN.embedding.default)
def _embedding(
    b: Builder,
    weight: Node,
    indices: Node,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Node:
    del padding_idx, scale_grad_by_freq, sparse
    return _rows_of(b, weight, indices)


@lowering(_ATEN.index_select.default)
def _index_select(b: Builder, source: Node, dim: int, index: Node) -> Node:
    if not source.shape or len(index.shape) != 1:
        raise NotLowered(f"a choice by {index.shape} from {source.shape}")
    dim %= len(source.shape)
    return _take(b, source, _repeated(b, index, source.shape, dim), dim)


@lowering(_ATEN.index.Tensor, _ATEN._unsafe_index.Tensor)
def _index(b: Builder, source: Node, indices: Sequence[Node | None]) -> Node:
    dim, index, merged = _as_one(b, source, indices)
    flat = b.reshape(index, (product(index.shape),))
    chosen = _index_select(b, b.reshape(source, merged), dim, flat)
    return b.reshape(chosen, (*merged[:dim], *index.shape, *merged[dim + 1 :]))


@lowering(_ATEN.index_add.default)
def _index_add(
    b: Builder, into: Node, dim: int, index: Node, values: Node, *, alpha: float = 1
) -> Node:
    if len(index.shape) != 1 or alpha != 1:
        raise NotLowered(f"a sum by {index.shape}, times {alpha}")
    dim %= max(len(into.shape), 1)
    return _scattered(b, into, dim, _repeated(b, index, into.shape, dim), values, "sum")


@lowering(_ATEN.index_put.default, _ATEN._unsafe_index_put.default)
def _index_put(
    b: Builder,
    into: Node,
    indices: Sequence[Node | None],
    values: Node,
    accumulate: bool = False,
) -> Node:
    dim, index, merged = _as_one(b, into, indices)
    before, after = merged[:dim], merged[dim + 1 :]
    values = b.expand(values, (*before, *index.shape, *after))
    count = product(index.shape)
    flat = b.reshape(values, (*before, count, *after))
    places = _repeated(b, b.reshape(index, (count,)), merged, dim)
    how = "sum" if accumulate else "last"
    made = _scattered(b, b.reshape(into, merged), dim, places, flat, how)
    return b.reshape(made, into.shape)


@lowering(_ATEN.index_copy.default)
def _index_copy(b: Builder, into: Node, dim: int, index: Node, values: Node) -> Node:
    if not into.shape or len(index.shape) != 1:
        raise NotLowered(f"elements of {into.shape} replaced at {index.shape}")
    dim %= len(into.shape)
    return _scattered(b, into, dim, _repeated(b, index, into.shape, dim), values, "last")


@lowering(_ATEN.index_fill.int_Scalar)
def _index_fill(b: Builder, into: Node, dim: int, index: Node, value: float) -> Node:
    dim %= max(len(into.shape), 1)
    if not into.shape or not isinstance(into.shape[dim], int):
        raise NotLowered(f"indices from the end of a dimension of {into.shape}")
    check_fit(into.dtype, value)
    place = Expression(b, b.convert(index, torch.int64))
    index = (place < 0).where(place + into.shape[dim], place).node
    shape = (*into.shape[:dim], *index.shape, *into.shape[dim + 1 :])
    return _index_copy(b, into, dim, index, b.expand(b.constant(value, into.dtype), shape))


@lowering(_ATEN.scatter_add.default)
def _scatter_add(b: Builder, into: Node, dim: int, index: Node, values: Node) -> Node:
    return _scattered_each(b, into, dim, index, values, "sum")


@lowering(_ATEN.scatter.src)
def _scatter(b: Builder, into: Node, dim: int, index: Node, values: Node) -> Node:
    return _scattered_each(b, into, dim, index, values, "last")


@lowering(_ATEN.scatter.value)
def _scatter_value(b: Builder, into: Node, dim: int, index: Node, value: float) -> Node:
    check_fit(into.dtype, value)
    values = b.expand(b.constant(value, into.dtype), index.shape)
    return _scattered_each(b, into, dim, index, values, "last")


@lowering(_ATEN.embedding_dense_backward.default)
def _embedding_backward(
    b: Builder,
    gradient: Node,
    indices: Node,
    num_weights: Extent,
    padding_idx: int,
    scale_grad_by_freq: bool,
) -> Node:
    if scale_grad_by_freq:
        raise NotLowered("gradients divided by how often a row is used")
    width, count = gradient.shape[-1], product(indices.shape)
    index = b.reshape(indices, (count,))
    values = b.reshape(gradient, (count, width))
    if padding_idx >= 0:
        seen = Expression(b, b.reshape(index, (count, 1))) != padding_idx
        values = seen.where(Expression(b, values), 0).node
    zeros = b.expand(b.constant(0, gradient.dtype), (num_weights, width))
    return _scattered(b, zeros, 0, _repeated(b, index, zeros.shape, 0), values, "sum")


def _as_one(
    b: Builder, source: Node, indices: Sequence[Node | None]
) -> tuple[int, Node, tuple[Extent, ...]]:
    """Indices of adjacent dimensions as that of one: which, by what, and the shape that has it."""
    dims = [dim for dim, index in enumerate(indices) if index is not None]
    given = [index for index in indices if index is not None]
    if any(index.dtype in _MASKS for index in given):
        raise NotLowered("a mask, of which as many elements are chosen as are true")
    if dims != list(range(dims[0], dims[-1] + 1)):
        raise NotLowered("indices of dimensions that are apart")
    first, extents = dims[0], source.shape[dims[0] : dims[-1] + 1]
    merged = (*source.shape[:first], product(extents), *source.shape[dims[-1] + 1 :])
    places, inside = [], []
    for index, extent in zip(given, extents, strict=True):
        if not isinstance(extent, int):
            raise NotLowered(f"indices from the end of a dimension of {extent}")
        place = Expression(b, b.convert(index, torch.int64))
        places.append((place < 0).where(place + extent, place))
        inside.append((places[-1] >= 0) & (places[-1] < extent))
    if len(places) == 1:
        return first, places[0].node, merged
    flat = places[0]
    for place, extent in zip(places[1:], extents[1:], strict=True):
        flat = flat * extent + place
    # What is out of range of its own dimension is so of all of them together.
    return first, functools.reduce(operator.and_, inside).where(flat, -1).node, merged


def _repeated(b: Builder, index: Node, shape: Sequence[Extent], dim: int) -> Node:
    """A vector of indices along one dimension, the same along all others."""
    (count,) = index.shape
    along = b.reshape(index, [count if at == dim else 1 for at in range(len(shape))])
    return b.expand(along, (*shape[:dim], count, *shape[dim + 1 :]))


def _scattered_each(b: Builder, into: Node, dim: int, index: Node, values: Node, how: str) -> Node:
    """Values at places of which each is given by itself; the values beyond these count for none."""
    dim %= max(len(into.shape), 1)
    pairs = enumerate(zip(into.shape, index.shape, strict=True))
    if not into.shape or any(here != there for at, (here, there) in pairs if at != dim):
        raise NotLowered(f"places of {index.shape} in a larger tensor of {into.shape}")
    for at, extent in enumerate(index.shape):
        values = b.slice(values, at, 0, extent)
    return _scattered(b, into, dim, index, values, how)


def _scattered(b: Builder, into: Node, dim: int, places: Node, values: Node, how: str) -> Node:
    """A tensor with values added at places in one dimension, or put there, in their order."""
    if how == "sum" and not (into.dtype.is_floating_point or into.dtype in _COUNTS):
        raise NotLowered(f"sums of {into.dtype} at places")
    if not into.shape:
        raise NotLowered("a place in a single element")
    dtype = compute_dtype(into.dtype) if how == "sum" else into.dtype
    places = b.convert(places, torch.int64)
    operands = (b.renewed(b.convert(into, dtype)), places, b.convert(values, dtype))
    made = b.make("scatter", operands, into.shape, dtype, dim=dim, how=how)
    return b.convert(made, into.dtype)


def _rows_of(b: Builder, source: Node, indices: Node) -> Node:
    """Rows of a matrix, (…, column)."""
    if len(source.shape) != 2:
        raise NotLowered(f"rows of a tensor of shape {source.shape}")
    places, width = indices.shape, source.shape[1]
    rank = len(places)
    wide = b.reshape(source, (*[1] * rank, *source.shape))
    wide = b.expand(wide, (*places, source.shape[0], width))
    index = b.expand(b.reshape(indices, (*places, 1, 1)), (*places, 1, width))
    return b.reshape(_take(b, wide, index, rank), (*places, width))


@lowering(_ATEN.gather.default)
def _gather(
    b: Builder,
    source: Node,
    dim: int,
    index: Node,
    *,
    sparse_grad: bool = False,
) -> Node:
    del sparse_grad
    dim %= max(len(source.shape), 1)
    pairs = enumerate(zip(source.shape, index.shape, strict=True))
    if not source.shape:
        raise NotLowered("a gather from a single element")
    for at, (here, there) in pairs:
        if at != dim and here != there:
            source = b.slice(source, at, 0, there)
    return _take(b, source, index, dim)


@lowering(_ATEN.nll_loss_forward.default, _ATEN.nll_loss2d_forward.default)
def _nll_loss(b: Builder, scores: Node, target: Node, *options: Any) -> tuple[Node, Node]:
    weight, reduction, ignored = options
    if len(scores.shape) < 2 or weight is not None:
        raise NotLowered("a likelihood with weights of classes, or of one row")
    losses, counted = _losses(b, scores, target, ignored)
    if reduction == 0:
        none = b.convert(b.constant(0, torch.float32), scores.dtype)
        return b.convert(losses.node, scores.dtype), none
    everything = range(len(target.shape))
    total = b.reduce("sum", counted.convert(losses.dtype).node, everything)
    summed = Expression(b, b.reduce("sum", losses.node, everything))
    result = summed / Expression(b, total) if reduction == 1 else summed
    return b.convert(result.node, scores.dtype), b.convert(total, scores.dtype)


def _losses(b: Builder, scores: Node, target: Node, ignored: int) -> tuple[Expression, Expression]:
    """The negative score of each row's or pixel's class, and which of them count."""
    counted = Expression(b, target) != ignored
    index = counted.where(Expression(b, target), 0)
    classes = b.reshape(index.node, _beside_classes(target))
    picked = b.reshape(_take(b, scores, classes, 1), target.shape)
    picked = b.convert(picked, compute_dtype(picked.dtype))
    return counted.where(-Expression(b, picked), 0), counted


def _beside_classes(target: Node) -> tuple[Extent, ...]:
    """The shape of what there is one of for all classes, as scores have it."""
    return (*target.shape[:1], 1, *target.shape[1:])


@lowering(_ATEN.nll_loss_backward.default, _ATEN.nll_loss2d_backward.default)
def _nll_loss_backward(
    b: Builder, gradient: Node, scores: Node, target: Node, *options: Any
) -> Node:
    weight, reduction, ignored, total = options
    if len(scores.shape) < 2 or weight is not None:
        raise NotLowered("a likelihood with weights of classes, or of one row")
    classes = b.make("iota", (), scores.shape, torch.int64, dim=1)
    seen = Expression(b, b.reshape(target, _beside_classes(target)))
    here = (Expression(b, classes) == seen) & (seen != ignored)
    dtype = compute_dtype(scores.dtype)
    g = -Expression(b, b.convert(gradient, dtype))
    if reduction == 1:
        g = g / Expression(b, b.convert(total, dtype))
    if reduction == 0:
        g = Expression(b, b.reshape(g.node, _beside_classes(target)))
    return b.convert(here.where(g, 0).node, scores.dtype)
