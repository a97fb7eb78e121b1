"""The largest value of each window, and the mean, of planes and of channels that lie last."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from sestina.fuser.ir.extents import Extent, divided, product
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
    if not (isinstance(height, int) and isinstance(width, int)) or not node.dtype.is_floating_point:
        raise NotLowered(f"windows of {node.shape} of {node.dtype}")
    if _pair(dilation) != (1, 1) or ceil_mode or math.prod(_pair(size)) > _MAX_WINDOW:
        raise NotLowered(f"windows of {size}, {dilation} apart, cut off at the border")
    windows = _windows(b, node, size, stride, padding)
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
    return windows.done(best, node.dtype), windows.done(place, torch.int64)


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
    padded = _pair(padding)
    if not (isinstance(height, int) and isinstance(width, int)) or not node.dtype.is_floating_point:
        raise NotLowered(f"windows of {node.shape} of {node.dtype}")
    count = math.prod(_pair(size))
    if ceil_mode or count > _MAX_WINDOW or not (count_include_pad or padded == (0, 0)):
        raise NotLowered(f"windows of {size}, cut off at the border")
    windows = _windows(b, node, size, stride, padding, border=0)
    rows, columns = windows.size
    total = windows.seen(0, 0)[0]
    for place in range(1, rows * columns):
        total = total + windows.seen(place // columns, place % columns)[0]
    return windows.done(total.over(divisor_override or count), node.dtype)


@lowering(_ATEN._adaptive_avg_pool2d.default)
def _adaptive_avg_pool(b: Builder, node: Node, size: Sequence[int]) -> Node:
    return _avg_pool(b, node, _even(node.shape[-2:], size))


@lowering(_ATEN._adaptive_avg_pool2d_backward.default)
def _adaptive_avg_pool_backward(b: Builder, gradient: Node, node: Node) -> Node:
    window = _even(node.shape[-2:], gradient.shape[-2:])
    return _spread(b, gradient, node, window, math.prod(window))


def _even(extents: Sequence[Extent], counts: Sequence[Extent]) -> list[int]:
    """The windows that so many of them divide a plane into."""
    sizes = [divided(extent, count) for extent, count in zip(extents, counts, strict=True)]
    if not all(isinstance(size, int) and size for size in sizes):
        raise NotLowered(f"{counts} windows of {extents}, which are not all as large")
    return [size for size in sizes if isinstance(size, int)]


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
    return _spread(b, gradient, node, (down, right), divisor_override or down * right)


def _spread(b: Builder, gradient: Node, node: Node, size: Sequence[int], divisor: int) -> Node:
    """The gradient of means of windows side by side: each element has its part."""
    down, right = size
    height, width = node.shape[-2:]
    if not (isinstance(height, int) and isinstance(width, int)):
        raise NotLowered(f"windows of {node.shape}")
    g = Expression(b, b.convert(gradient, compute_dtype(gradient.dtype)))
    mean = b.convert(g.over(divisor).node, gradient.dtype)
    is_last = _has_channels_last(node)
    *outer, rows, columns, within = (*gradient.shape, 1)
    if is_last:
        mean = _channels_last(b, mean)
        *outer, rows, columns, within = mean.shape
    apart = b.reshape(mean, (*outer, rows, 1, columns, 1, within))
    wide = b.expand(apart, (*outer, rows, down, columns, right, within))
    spread = together(b, wide, (*outer, rows * down, columns * right, within))
    # What no window reaches has no gradient.
    whole = pad(b, spread, (0, 0, 0, width - columns * right, 0, height - rows * down))
    return _planes(b, whole) if is_last else b.reshape(whole, node.shape)


class _Windows:
    """What the windows of planes, (…, row, column), have at each of their places."""

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
        self.extents, self.border = node.shape[-2:], border
        counts = [
            (extent + 2 * around - one) // step + 1
            for extent, around, one, step in zip(self.extents, padding, size, stride, strict=True)
        ]
        self.shape: tuple[Extent, ...] = (*node.shape[:-2], *counts)
        self.first_dim = len(self.shape) - 2
        self._begin(node)

    def _begin(self, node: Node) -> None:
        down, right = self.padding
        self.padded = pad(self.builder, node, (right, right, down, down), self.border)

    def seen(self, down: int, right: int) -> tuple[Expression, Expression]:
        """One element of each window, and its number in the plane."""
        b, value = self.builder, self.padded
        for at, offset in ((0, down), (1, right)):
            dim = self.first_dim + at
            value = b.slice(value, dim, offset, self.shape[dim], self.stride[at])
        values = Expression(b, b.convert(value, compute_dtype(value.dtype)))
        return values, self._number(self._index(0, down), self._index(1, right))

    def first(self) -> Expression:
        """The number in the plane of each window's first element that is in it."""
        return self._number(self._index(0, 0).maximum(0), self._index(1, 0).maximum(0))

    def done(self, made: Expression | Node, dtype: torch.dtype) -> Node:
        """What was made of the windows, as the function gives it."""
        node = made.node if isinstance(made, Expression) else made
        return self.builder.convert(node, dtype)

    def _index(self, at: int, offset: int) -> Expression:
        b, dim = self.builder, self.first_dim + at
        index = Expression(b, b.make("iota", (), self.shape, torch.int64, dim=dim))
        return index * self.stride[at] + (offset - self.padding[at])

    def _number(self, row: Expression, column: Expression) -> Expression:
        return row * self.extents[1] + column


class _WindowsOfChannels(_Windows):
    """Those of channels side by side, which are all read at one place, in vectors.

    Windows are (…, row, column, channel) here. Nothing is put around the planes: a place beyond
    the border is moved to it, which is in the window too and changes no maximum.
    """

    def _begin(self, node: Node) -> None:
        b = self.builder
        *outer, channels, rows, columns = self.shape
        self.shape = (*outer, rows, columns, channels)
        self.first_dim -= 1
        count = product(self.extents)
        lines = b.reshape(_channels_last(b, node), (*outer, 1, 1, count, channels))
        self.lines = b.expand(b.settled(lines), (*outer, rows, columns, count, channels))

    def seen(self, down: int, right: int) -> tuple[Expression, Expression]:
        b = self.builder
        wanted = self._index(0, down), self._index(1, right)
        row, column = (
            place.maximum(0).minimum(extent - 1)
            for place, extent in zip(wanted, self.extents, strict=True)
        )
        number = self._number(row, column)
        index = b.reshape(number.node, (*self.shape[:-1], 1, self.shape[-1]))
        dim = self.first_dim + 2
        taken = b.make("take", (self.lines, index), index.shape, self.lines.dtype, dim=dim)
        value = b.convert(b.reshape(taken, self.shape), compute_dtype(taken.dtype))
        values = Expression(b, value)
        if self.border != -math.inf and self.padding != (0, 0):
            is_inside = (row == wanted[0]) & (column == wanted[1])
            values = is_inside.where(values, self.border)
        return values, number

    def done(self, made: Expression | Node, dtype: torch.dtype) -> Node:
        return _planes(self.builder, super().done(made, dtype))


def _windows(
    b: Builder,
    node: Node,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    border: float = -math.inf,
) -> _Windows:
    kind = _WindowsOfChannels if _has_channels_last(node) else _Windows
    return kind(b, node, _pair(size), _pair(stride, size), _pair(padding), border)


def _has_channels_last(node: Node) -> bool:
    layout = layout_of(node)
    return layout is not None and layout.strides[-1] != 1 and layout.strides[-3] == 1


def _channels_last(b: Builder, node: Node) -> Node:
    """(…, channel, row, column) as (…, row, column, channel)."""
    *outer, channel, row, column = range(len(node.shape))
    return b.permute(node, (*outer, row, column, channel))


def _planes(b: Builder, node: Node) -> Node:
    """(…, row, column, channel) as (…, channel, row, column)."""
    *outer, row, column, channel = range(len(node.shape))
    return b.permute(node, (*outer, channel, row, column))
