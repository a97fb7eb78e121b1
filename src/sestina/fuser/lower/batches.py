"""Normalisations over batches and groups of channels."""

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


class _Channels:
    """A tensor (n, channel, …) and what belongs to each of its channels."""

    def __init__(self, b: Builder, node: Node) -> None:
        self.builder, self.node = b, node
        self.dims = tuple(dim for dim in range(len(node.shape)) if dim != 1)
        self.count = product(node.shape[dim] for dim in self.dims)
        if self.count == 0:
            raise NotLowered("statistics of no elements")
        self.values = self.computed(node)

    def computed(self, node: Node) -> Expression:
        """In the dtype that arithmetic is done in."""
        return Expression(self.builder, self.builder.convert(node, compute_dtype(node.dtype)))

    def seen(self, node: Node) -> Expression:
        """A vector over channels, shaped to be repeated over the tensor."""
        shape = [1 if dim != 1 else e for dim, e in enumerate(self.node.shape)]
        return Expression(self.builder, self.builder.reshape(self.computed(node).node, shape))

    def sum(self, values: Expression) -> Expression:
        """Over all but the channels: a vector."""
        return Expression(self.builder, self.builder.reduce("sum", values.node, self.dims))

    def affine(self, normal: Expression, weight: Node | None, bias: Node | None) -> Node:
        """Scaled and shifted by parameters of the channels, in the tensor's dtype."""
        if weight is not None:
            normal = normal * self.seen(weight)
        if bias is not None:
            normal = normal + self.seen(bias)
        return self.builder.convert(normal.node, self.node.dtype)


@lowering(_ATEN._native_batch_norm_legit_functional.default)
def _batch_norm(b: Builder, node: Node, *parameters: Any) -> tuple[Node, ...]:
    weight, bias, mean_so_far, variance_so_far, is_training, momentum, eps = parameters
    if not is_training:
        result, *empty = _batch_norm_seen(
            b, node, weight, bias, mean_so_far, variance_so_far, momentum, eps
        )
        return (result, *empty, mean_so_far, variance_so_far)
    result, mean, deviation, squares = _normalised(b, node, weight, bias, eps)
    channels = _Channels(b, node)
    count = channels.count
    unbiased = squares.over(max(count - 1, 1) if isinstance(count, int) else count - 1)
    updated = [
        b.convert((channels.computed(old) * (1 - momentum) + new * momentum).node, old.dtype)
        for old, new in ((mean_so_far, mean), (variance_so_far, unbiased))
    ]
    return (result, mean.node, deviation.node, *updated)


@lowering(_ATEN._native_batch_norm_legit.no_stats)
def _batch_norm_without_statistics(
    b: Builder, node: Node, *parameters: Any
) -> tuple[Node, Node, Node]:
    weight, bias, is_training, _momentum, eps = parameters
    if not is_training:
        raise NotLowered("statistics of batches that are not kept, outside of training")
    result, mean, deviation, _ = _normalised(b, node, weight, bias, eps)
    return result, mean.node, deviation.node


def _normalised(
    b: Builder, node: Node, weight: Node | None, bias: Node | None, eps: float
) -> tuple[Node, Expression, Expression, Expression]:
    """The result, and of each channel the mean, 1/√(variance + ε) and the sum of squares."""
    channels = _Channels(b, node)
    mean = channels.sum(channels.values).over(channels.count)
    centred = channels.values - channels.seen(mean.node)
    squares = channels.sum(centred * centred)
    deviation = (squares.over(channels.count) + eps).rsqrt()
    result = channels.affine(centred * channels.seen(deviation.node), weight, bias)
    return result, mean, deviation, squares


@lowering(_ATEN._native_batch_norm_legit_no_training.default)
def _batch_norm_seen(b: Builder, node: Node, *parameters: Any) -> tuple[Node, ...]:
    weight, bias, mean, variance, _momentum, eps = parameters
    channels = _Channels(b, node)
    deviation = (channels.computed(variance) + eps).rsqrt()
    normal = (channels.values - channels.seen(mean)) * channels.seen(deviation.node)
    empty = b.expand(b.constant(0, mean.dtype), (0,))
    return channels.affine(normal, weight, bias), empty, empty


@lowering(_ATEN.native_batch_norm_backward.default)
def _batch_norm_backward(
    b: Builder, gradient: Node, node: Node, weight: Node | None, *others: Any
) -> tuple[Node | None, ...]:
    mean_seen, variance_seen, mean, deviation, is_training, eps, wanted = others
    channels = _Channels(b, node)
    g = channels.computed(gradient)
    if is_training:
        centre, scale = channels.seen(mean), channels.computed(deviation)
    else:
        centre = channels.seen(mean_seen)
        scale = (channels.computed(variance_seen) + eps).rsqrt()
    normal = (channels.values - centre) * channels.seen(scale.node)
    sums = channels.sum(g), channels.sum(g * normal)
    inner = g
    if is_training:
        first, second = (total.over(channels.count).node for total in sums)
        inner = g - channels.seen(first) - normal * channels.seen(second)
    inner = inner * channels.seen(scale.node)
    dtype = node.dtype if weight is None else weight.dtype
    return (
        channels.affine(inner, weight, None) if wanted[0] else None,
        b.convert(sums[1].node, dtype) if wanted[1] else None,
        b.convert(sums[0].node, dtype) if wanted[2] else None,
    )


@lowering(_ATEN.native_group_norm.default)
def _group_norm(
    b: Builder,
    node: Node,
    weight: Node | None,
    bias: Node | None,
    *sizes: Any,
) -> tuple[Node, ...]:
    num, num_channels, places, num_groups, eps = sizes
    shape: Sequence[Extent] = (num, num_groups, num_channels // num_groups, places)
    values = b.reshape(b.convert(node, compute_dtype(node.dtype)), shape)
    count = product(shape[2:])
    if count == 0 or not isinstance(num_channels, int):
        raise NotLowered(f"statistics over {count} elements of a group")
    x = Expression(b, values)

    def over_groups(value: Expression) -> Expression:
        return Expression(b, b.reduce("sum", value.node, (2, 3)))

    def seen(value: Expression) -> Expression:
        return Expression(b, b.reshape(value.node, (num, num_groups, 1, 1)))

    mean = over_groups(x).over(count)
    centred = x - seen(mean)
    deviation = (over_groups(centred * centred).over(count) + eps).rsqrt()
    normal = b.reshape((centred * seen(deviation)).node, node.shape)
    return _Channels(b, node).affine(Expression(b, normal), weight, bias), mean.node, deviation.node


@lowering(_ATEN.native_group_norm_backward.default)
def _group_norm_backward(
    b: Builder, gradient: Node, node: Node, mean: Node, deviation: Node, *others: Any
) -> tuple[Node | None, ...]:
    weight, num, num_channels, places, num_groups, wanted = others
    shape = (num, num_groups, num_channels // num_groups, places)
    dtype = compute_dtype(node.dtype)
    count = product(shape[2:])
    if count == 0 or not isinstance(num_channels, int):
        raise NotLowered(f"statistics over {count} elements of a group")

    def grouped(one: Node) -> Expression:
        return Expression(b, b.reshape(b.convert(one, dtype), shape))

    def seen(one: Node, at: Sequence[Extent]) -> Expression:
        return Expression(b, b.reshape(b.convert(one, dtype), at))

    def summed(value: Expression, dims: Sequence[int], at: Sequence[Extent]) -> Expression:
        return Expression(b, b.reshape(b.reduce("sum", value.node, dims), at))

    of_group, of_channel = (num, num_groups, 1, 1), (1, num_groups, shape[2], 1)
    g, x = grouped(gradient), grouped(node)
    scale = seen(deviation, of_group)
    normal = (x - seen(mean, of_group)) * scale
    given = g if weight is None else g * seen(weight, of_channel)
    first = summed(given, (2, 3), of_group).over(count)
    second = summed(given * normal, (2, 3), of_group).over(count)
    inner = (given - first - normal * second) * scale
    channels = (num_channels,)
    kind = node.dtype if weight is None else weight.dtype
    return (
        b.convert(b.reshape(inner.node, node.shape), node.dtype) if wanted[0] else None,
        b.convert(summed(g * normal, (0, 3), channels).node, kind) if wanted[1] else None,
        b.convert(summed(g, (0, 3), channels).node, kind) if wanted[2] else None,
    )
