"""Losses of two tensors element by element, and their gradients.

Those that pick a class of each row are in `indexing`.
"""

from __future__ import annotations

import torch

from sestina.fuser.ir.nodes import Builder, Node, broadcast
from sestina.fuser.ir.operations import compute_dtype
from sestina.fuser.lower.expressions import Expression, NotLowered
from sestina.fuser.lower.table import lowering

__all__: list[str] = []

_ATEN = torch.ops.aten
_MEAN, _SUM = 1, 2
# As in ATen: what keeps a gradient finite where a probability is 0 or 1.
_LEAST_VARIANCE = 1e-12


def _given(b: Builder, *nodes: Node) -> list[Expression]:
    """The operands, repeated to one shape, in the dtype that arithmetic is done in."""
    dtypes = {node.dtype for node in nodes}
    if len(dtypes) > 1 or not nodes[0].dtype.is_floating_point:
        raise NotLowered(f"a loss of {', '.join(sorted(map(str, dtypes)))}")
    shape = broadcast([node.shape for node in nodes])
    dtype = compute_dtype(nodes[0].dtype)
    return [Expression(b, b.expand(b.convert(node, dtype), shape)) for node in nodes]


def _combined(b: Builder, losses: Expression, reduction: int, dtype: torch.dtype) -> Node:
    count = losses.node.num_elements
    if reduction in {_MEAN, _SUM}:
        total = b.reduce("sum", losses.node, range(len(losses.node.shape)))
        losses = Expression(b, total)
    if reduction == _MEAN:
        losses = losses.over(count)
    return b.convert(losses.node, dtype)


def _spread(gradient: Expression, reduction: int, node: Node) -> Expression:
    """The gradient of each element's loss."""
    return gradient.over(node.num_elements) if reduction == _MEAN else gradient


@lowering(_ATEN.mse_loss.default)
def _mse_loss(b: Builder, node: Node, target: Node, reduction: int = _MEAN) -> Node:
    x, y = _given(b, node, target)
    return _combined(b, (x - y) * (x - y), reduction, node.dtype)


@lowering(_ATEN.mse_loss_backward.default)
def _mse_loss_backward(
    b: Builder, gradient: Node, node: Node, target: Node, reduction: int
) -> Node:
    g, x, y = _given(b, gradient, node, target)
    return b.convert((_spread(g, reduction, node) * (x - y) * 2).node, node.dtype)


@lowering(_ATEN.smooth_l1_loss.default)
def _smooth_l1_loss(
    b: Builder, node: Node, target: Node, reduction: int = _MEAN, beta: float = 1.0
) -> Node:
    x, y = _given(b, node, target)
    z = (x - y).abs()
    losses = z if beta == 0 else (z < beta).where(z * z * 0.5 / beta, z - 0.5 * beta)
    return _combined(b, losses, reduction, node.dtype)


@lowering(_ATEN.smooth_l1_loss_backward.default)
def _smooth_l1_loss_backward(
    b: Builder, gradient: Node, node: Node, target: Node, reduction: int, beta: float
) -> Node:
    g, x, y = _given(b, gradient, node, target)
    difference = x - y
    # Without a curve the slope at 0 is -1, in ATen too.
    sign = (difference > 0).where(difference.number(1), -1)
    slope = (difference.abs() >= beta).where(sign, difference / beta)
    return b.convert((_spread(g, reduction, node) * slope).node, node.dtype)


@lowering(_ATEN.huber_loss.default)
def _huber_loss(
    b: Builder, node: Node, target: Node, reduction: int = _MEAN, delta: float = 1.0
) -> Node:
    x, y = _given(b, node, target)
    z = (x - y).abs()
    losses = (z <= delta).where(z * z * 0.5, (z - 0.5 * delta) * delta)
    return _combined(b, losses, reduction, node.dtype)


@lowering(_ATEN.huber_loss_backward.default)
def _huber_loss_backward(
    b: Builder, gradient: Node, node: Node, target: Node, reduction: int, delta: float
) -> Node:
    g, x, y = _given(b, gradient, node, target)
    slope = (x - y).at_least(-delta).at_most(delta)
    return b.convert((_spread(g, reduction, node) * slope).node, node.dtype)


@lowering(_ATEN.binary_cross_entropy_with_logits.default)
def _binary_cross_entropy_with_logits(
    b: Builder,
    node: Node,
    target: Node,
    weight: Node | None = None,
    pos_weight: Node | None = None,
    reduction: int = _MEAN,
) -> Node:
    x, y = _given(b, node, target)
    likelihood = x.at_most(0) - (-x.abs()).exp().log1p()
    if pos_weight is not None:
        _, positive = _given(b, node, pos_weight)
        likelihood = likelihood * ((positive - 1) * y + 1)
    losses = (1 - y) * x - likelihood
    if weight is not None:
        losses = losses * _given(b, node, weight)[1]
    return _combined(b, losses, reduction, node.dtype)


@lowering(_ATEN.binary_cross_entropy_backward.default)
def _binary_cross_entropy_backward(
    b: Builder,
    gradient: Node,
    node: Node,
    target: Node,
    weight: Node | None = None,
    reduction: int = _MEAN,
) -> Node:
    g, x, y = _given(b, gradient, node, target)
    slope = (x - y) / ((1 - x) * x).at_least(_LEAST_VARIANCE)
    if weight is not None:
        slope = slope * _given(b, node, weight)[1]
    return b.convert((_spread(g, reduction, node) * slope).node, node.dtype)
