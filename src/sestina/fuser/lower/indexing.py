"""Tensors read at places that other tensors hold, and the losses that pick a class."""

from __future__ import annotations

from typing import Any

import torch

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
    return b.make("take", (source, index), index.shape, source.dtype, dim=dim)


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


@lowering(_ATEN.nll_loss_forward.default)
def _nll_loss(b: Builder, scores: Node, target: Node, *options: Any) -> tuple[Node, Node]:
    weight, reduction, ignored = options
    if len(scores.shape) != 2 or weight is not None:
        raise NotLowered("a likelihood with weights of classes, or of one row")
    losses, counted = _losses(b, scores, target, ignored)
    total = b.reduce("sum", counted.convert(losses.dtype).node, (0,))
    if reduction == 0:
        return (
            b.convert(losses.node, scores.dtype),
            b.convert(b.constant(0, torch.float32), scores.dtype),
        )
    summed = Expression(b, b.reduce("sum", losses.node, (0,)))
    result = summed / Expression(b, total) if reduction == 1 else summed
    return b.convert(result.node, scores.dtype), b.convert(total, scores.dtype)


def _losses(b: Builder, scores: Node, target: Node, ignored: int) -> tuple[Expression, Expression]:
    """The negative score of each row's class, and which rows count."""
    counted = Expression(b, target) != ignored
    index = counted.where(Expression(b, target), 0)
    column = b.reshape(index.node, (*target.shape, 1))
    picked = b.reshape(_take(b, scores, column, 1), target.shape)
    picked = b.convert(picked, compute_dtype(picked.dtype))
    return counted.where(-Expression(b, picked), 0), counted


@lowering(_ATEN.nll_loss_backward.default)
def _nll_loss_backward(
    b: Builder, gradient: Node, scores: Node, target: Node, *options: Any
) -> Node:
    weight, reduction, ignored, total = options
    if len(scores.shape) != 2 or weight is not None:
        raise NotLowered("a likelihood with weights of classes, or of one row")
    columns = b.make("iota", (), scores.shape, torch.int64, dim=1)
    seen = Expression(b, b.reshape(target, (*target.shape, 1)))
    here = (Expression(b, columns) == seen) & (seen != ignored)
    dtype = compute_dtype(scores.dtype)
    g = -Expression(b, b.convert(gradient, dtype))
    if reduction == 1:
        g = g / Expression(b, b.convert(total, dtype))
    if reduction == 0:
        g = Expression(b, b.reshape(g.node, (*target.shape, 1)))
    return b.convert(here.where(g, 0).node, scores.dtype)
