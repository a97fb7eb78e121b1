"""The largest value of each window, and the mean."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from sestina.fuser.ir.extents import Extent
from sestina.fuser.ir.nodes import Builder, Node, layout_of
from sestina.fuser.ir.operations import compute_dtype
from sestina.fuser.lower.expressions import Expression, NotLowered
from sestina.fuser.lower.parts import pad
from sestina.fuser.lower.table import lowering
from sestina.fuser.lower.views import together

__all__: list[str] = []

_ATEN = torch.ops.aten
_MAX_WINDOW = 25


def _pair(values: Sequence[int], default: Sequence[int] | None = None) -> tuple[int, int]:
    if not values and default is not None:
        return _pair(default)
    return (values[0], values[-1])


@lowering(_ATEN.max_pool2d_with_indices.default)
def _max_pool(
    b: Builder,
    node: Node,
    size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> tuple[Node, Node]:
    height, width = node.shape[-2:]
    layout = layout_of(node)
    if not (isinstance(height, int) and isinstance(width, int)) or not node.dtype.is_floating_point:
        raise NotLowered(f"windows of {node.shape} of {node.dtype}")
    if _pair(dilation) != (1, 1) or ceil_mode or math.prod(_pair(size)) > _MAX_WINDOW:
        raise NotLowered(f"windows of {size}, {dilation} apart, cut off at the border")
    if layout is not None and layout.strides[-1] != 1:
        raise NotLowered("channels that lie side by side, which ATen takes in vectors")
    windows = _Windows(b, node, _pair(size), _pair(stride, size), _pair(padding))
    best, place = windows.seen(0, 0)
    for down in range(windows.size[0]):
        for right in range(windows.size[1]):
            if (down, right) == (0, 0):
                continue
            value, here = windows.seen(down, right)
            # NaN is the largest, and of several the last one.
            is_better = (value > best) | (value != value)  # noqa: PLR0124
            best, place = is_better.where(value, best), is_better.where(here, place)
    # Where all is -inf the border is no better than what is inside: ATen gives the first of that.
    place = (best == -math.inf).where(windows.first(), place)
    return b.convert(best.node, node.dtype), place.node


@lowering(_ATEN.avg_pool2d.default)
def _avg_pool(
    b: Builder,
    node: Node,
    size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Node:
    height, width = node.shape[-2:]
    layout, padded = layout_of(node), _pair(padding)
    if not (isinstance(height, int) and isinstance(width, int)) or not node.dtype.is_floating_point:
        raise NotLowered(f"windows of {node.shape} of {node.dtype}")
    count = math.prod(_pair(size))
    if ceil_mode or count > _MAX_WINDOW or not (count_include_pad or padded == (0, 0)):
        raise NotLowered(f"windows of {size}, cut off at the border")
    if layout is not None and layout.strides[-1] != 1:
        raise NotLowered("channels that lie side by side, which ATen takes in vectors")
    windows = _Windows(b, node, _pair(size), _pair(stride, size), padded, border=0)
    rows, columns = windows.size
    total = windows.seen(0, 0)[0]
    for place in range(1, rows * columns):
        total = total + windows.seen(place // columns, place % columns)[0]
    return b.convert(total.over(divisor_override or count).node, node.dtype)


@lowering(_ATEN.avg_pool2d_backward.default)
def _avg_pool_backward(
    b: Builder,
    gradient: Node,
    node: Node,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    _count_include_pad: bool,
    divisor_override: int | None,
) -> Node:
    down, right = _pair(size)
    if _pair(stride, size) != (down, right) or _pair(padding) != (0, 0) or ceil_mode:
        raise NotLowered("windows that overlap, or reach beyond the border")
    *outer, height, width = node.shape
    *_, rows, columns = gradient.shape
    if not (isinstance(height, int) and isinstance(width, int)):
        raise NotLowered(f"windows of {node.shape}")
    g = Expression(b, b.convert(gradient, compute_dtype(gradient.dtype)))
    mean = b.convert(g.over(divisor_override or down * right).node, gradient.dtype)
    apart = b.reshape(mean, (*outer, rows, 1, columns, 1))
    wide = b.expand(apart, (*outer, rows, down, columns, right))
    spread = together(b, wide, (*outer, rows * down, columns * right))
    # What no window reaches has no gradient.
    return pad(b, spread, (0, width - columns * right, 0, height - rows * down))


class _Windows:
    def __init__(
        self,
        b: Builder,
        node: Node,
        size: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int],
        border: float = -math.inf,
    ) -> None:
        self.builder, self.size, self.stride, self.padding = b, size, stride, padding
        self.extents = node.shape[-2:]
        down, right = padding
        self.padded = pad(b, node, (right, right, down, down), border)
        self.shape: tuple[Extent, ...] = (
            *node.shape[:-2],
            *(
                (extent - one) // step + 1
                for extent, one, step in zip(self.padded.shape[-2:], size, stride, strict=True)
            ),
        )

    def seen(self, down: int, right: int) -> tuple[Expression, Expression]:
        """One element of each window, and its number in the plane."""
        b, value, rank = self.builder, self.padded, len(self.shape)
        for at, offset in ((0, down), (1, right)):
            dim = rank - 2 + at
            value = b.slice(value, dim, offset, self.shape[dim], self.stride[at])
        values = Expression(b, b.convert(value, compute_dtype(value.dtype)))
        return values, self._number(self._index(0, down), self._index(1, right))

    def first(self) -> Expression:
        """The number in the plane of each window's first element that is in it."""
        return self._number(self._index(0, 0).maximum(0), self._index(1, 0).maximum(0))

    def _index(self, at: int, offset: int) -> Expression:
        b, dim = self.builder, len(self.shape) - 2 + at
        index = Expression(b, b.make("iota", (), self.shape, torch.int64, dim=dim))
        return index * self.stride[at] + (offset - self.padding[at])

    def _number(self, row: Expression, column: Expression) -> Expression:
        return row * self.extents[1] + column
