"""Tensors read at places that other tensors hold, and the losses that pick a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sestina.fuser.ir.extents import Extent, product
from sestina.fuser.ir.nodes import Builder, Node
from sestina.fuser.ir.operations import compute_dtype
from sestina.fuser.lower.expressions import Expression, NotLowered
from sestina.fuser.lower.table import lowering

__all__: list[str] = []

_ATEN = torch.ops.aten


def _take(b: Builder, source: Node, index: Node, dim: int) -> Node:
    """`torch.gather`, where all dimensions but one agree; of a formula it is the formula of takes.

    So that a class is picked from logarithms of probabilities by reading one logit of each row.
    """
    index = b.convert(index, torch.int64)
    if source.is_elementwise:
        parts = [_take(b, operand, index, dim) for operand in source.inputs]
        return b.make(source.kind, parts, index.shape, source.dtype)
    if source.kind == "constant" or (source.kind == "expand" and source.inputs[0].shape == ()):
        inner = source.inputs[0] if source.inputs else source
        return b.expand(inner, index.shape)
    if source.kind == "expand" and source.inputs[0].shape[dim] == 1:
        return b.expand(source.inputs[0], index.shape)
    return b.make("take", (b.settled(source), index), index.shape, source.dtype, dim=dim)


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
    dim, index = _only(b, source, indices)
    flat = b.reshape(index, (product(index.shape),))
    chosen = _index_select(b, source, dim, flat)
    return b.reshape(chosen, (*source.shape[:dim], *index.shape, *source.shape[dim + 1 :]))


@lowering(_ATEN.index_add.default)
def _index_add(
    b: Builder, into: Node, dim: int, index: Node, values: Node, *, alpha: float = 1
) -> Node:
    if len(index.shape) != 1 or alpha != 1:
        raise NotLowered(f"a sum by {index.shape}, times {alpha}")
    return _added(b, into, dim % max(len(into.shape), 1), index, values)


@lowering(_ATEN.index_put.default, _ATEN._unsafe_index_put.default)
def _index_put(
    b: Builder,
    into: Node,
    indices: Sequence[Node | None],
    values: Node,
    accumulate: bool = False,
) -> Node:
    if not accumulate:
        raise NotLowered("elements replaced, the last one of several winning")
    dim, index = _only(b, into, indices)
    before, after = into.shape[:dim], into.shape[dim + 1 :]
    values = b.expand(values, (*before, *index.shape, *after))
    count = product(index.shape)
    flat = b.reshape(values, (*before, count, *after))
    return _added(b, into, dim, b.reshape(index, (count,)), flat)


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
    return _added(b, zeros, 0, index, values)


def _only(b: Builder, source: Node, indices: Sequence[Node | None]) -> tuple[int, Node]:
    """The one dimension that is indexed, and by what, counted from the start."""
    given = [(dim, index) for dim, index in enumerate(indices) if index is not None]
    if len(given) != 1 or given[0][1].dtype is torch.bool:
        raise NotLowered("several indices, or a mask")
    ((dim, index),) = given
    extent = source.shape[dim]
    if not isinstance(extent, int):
        raise NotLowered(f"indices from the end of a dimension of {extent}")
    place = Expression(b, b.convert(index, torch.int64))
    return dim, (place < 0).where(place + extent, place).node


def _repeated(b: Builder, index: Node, shape: Sequence[Extent], dim: int) -> Node:
    """A vector of indices along one dimension, the same along all others."""
    (count,) = index.shape
    along = b.reshape(index, [count if at == dim else 1 for at in range(len(shape))])
    return b.expand(along, (*shape[:dim], count, *shape[dim + 1 :]))


def _added(b: Builder, into: Node, dim: int, index: Node, values: Node) -> Node:
    """Values added to slices of a tensor, in their order, several to one slice."""
    if not into.dtype.is_floating_point or dim >= len(into.shape) - 1:
        raise NotLowered(f"sums of {into.dtype} at places in dimension {dim} of {into.shape}")
    dtype = compute_dtype(into.dtype)
    places = _repeated(b, b.convert(index, torch.int64), into.shape, dim)
    operands = (b.renewed(b.convert(into, dtype)), places, b.convert(values, dtype))
    return b.convert(b.make("scatter", operands, into.shape, dtype, dim=dim), into.dtype)


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
    if not source.shape or any(here != there for at, (here, there) in pairs if at != dim):
        raise NotLowered(f"a gather of {index.shape} from a larger tensor of {source.shape}")
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
