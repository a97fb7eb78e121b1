"""Sums and their kin, normalisations and softmax of ATen, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from sestina.fuser.ir.extents import Extent, product
from sestina.fuser.ir.nodes import Builder, Node
from sestina.fuser.ir.operations import compute_dtype
from sestina.fuser.lower.expressions import Expression, NotLowered
from sestina.fuser.lower.table import lowering

__all__: list[str] = []

_ATEN = torch.ops.aten


def _dims(node: Node, dims: int | Sequence[int] | None) -> tuple[int, ...]:
    rank = max(len(node.shape), 1)
    if dims is None or dims == []:
        return tuple(range(len(node.shape)))
    chosen = [dims] if isinstance(dims, int) else dims
    return tuple(sorted(dim % rank for dim in chosen if len(node.shape)))


def _kept(shape: Sequence[Extent], dims: Sequence[int]) -> list[Extent]:
    return [1 if dim in dims else extent for dim, extent in enumerate(shape)]


def _reduce(
    b: Builder, how: str, node: Node, dims: int | Sequence[int] | None, *, keepdim: bool = False
) -> Node:
    gone = _dims(node, dims)
    result = b.reduce(how, node, gone)
    return b.reshape(result, _kept(node.shape, gone)) if keepdim else result


def _count(node: Node, dims: int | Sequence[int] | None) -> Extent:
    return product(node.shape[dim] for dim in _dims(node, dims))


class _Rows:
    """Statistics of a tensor over some dimensions, which stay with extent 1."""

    def __init__(self, b: Builder, node: Node, dims: int | Sequence[int] | None) -> None:
        self.builder, self.shape, self.dims = b, node.shape, _dims(node, dims)
        self.count = _count(node, self.dims)

    def reduce(self, how: str, values: Expression) -> Expression:
        """Combined over the dimensions."""
        node = _reduce(self.builder, how, values.node, self.dims, keepdim=True)
        return Expression(self.builder, node)

    def shaped(self, values: Expression, *, keepdim: bool) -> Node:
        """Statistics as an operation gives them: without the dimensions, unless they are kept."""
        if keepdim:
            return values.node
        kept = [extent for dim, extent in enumerate(self.shape) if dim not in self.dims]
        return self.builder.reshape(values.node, kept)

    def mean(self, values: Expression) -> Expression:
        """The mean over the dimensions."""
        return self.reduce("sum", values).over(self.count)

    def centred(self, values: Expression) -> tuple[Expression, Expression, Expression]:
        """The mean, the values less it, and the sum of the squares of those."""
        mean = self.mean(values)
        centred = values - mean
        return mean, centred, self.reduce("sum", centred * centred)


def _computed(b: Builder, node: Node) -> Expression:
    return Expression(b, b.convert(node, compute_dtype(node.dtype)))


@lowering(_ATEN.sum.dim_IntList, _ATEN.sum.default)
def _sum(
    b: Builder,
    node: Node,
    dims: Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Node:
    whole = torch.int64 if not node.dtype.is_floating_point else node.dtype
    result = dtype or whole
    values = b.convert(node, compute_dtype(result))
    return b.convert(_reduce(b, "sum", values, dims, keepdim=keepdim), result)


@lowering(_ATEN.nansum.default)
def _nansum(b: Builder, node: Node, *how: Any, **options: Any) -> Node:
    x = _computed(b, node)
    seen = (x == x).where(x, 0) if node.dtype.is_floating_point else x  # noqa: PLR0124 - not NaN
    return _sum(b, b.convert(seen.node, node.dtype), *how, **options)


@lowering(_ATEN.count_nonzero.dim_IntList)
def _count_nonzero(b: Builder, node: Node, dims: Sequence[int]) -> Node:
    return _sum(b, Expression(b, node).convert(torch.bool).node, dims)


@lowering(_ATEN.count_nonzero.default)
def _count_all_nonzero(b: Builder, node: Node, dim: int | None = None) -> Node:
    return _count_nonzero(b, node, [] if dim is None else [dim])


@lowering(_ATEN.mean.dim, _ATEN.mean.default)
def _mean(
    b: Builder,
    node: Node,
    dims: Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Node:
    result = dtype or node.dtype
    values = b.convert(node, compute_dtype(result))
    total = _reduce(b, "sum", values, dims, keepdim=keepdim)
    return b.convert(Expression(b, total).over(_count(node, dims)).node, result)


@lowering(_ATEN.amax.default)
def _amax(b: Builder, node: Node, dims: Sequence[int] = (), keepdim: bool = False) -> Node:
    return _extreme(b, "max", node, dims, keepdim=keepdim)


@lowering(_ATEN.amin.default)
def _amin(b: Builder, node: Node, dims: Sequence[int] = (), keepdim: bool = False) -> Node:
    return _extreme(b, "min", node, dims, keepdim=keepdim)


@lowering(_ATEN.max.default)
def _max(b: Builder, node: Node) -> Node:
    return _extreme(b, "max", node, None, keepdim=False)


@lowering(_ATEN.min.default)
def _min(b: Builder, node: Node) -> Node:
    return _extreme(b, "min", node, None, keepdim=False)


def _extreme(
    b: Builder, how: str, node: Node, dims: Sequence[int] | None, *, keepdim: bool
) -> Node:
    if node.dtype is torch.bool:
        how = {"max": "any", "min": "all"}[how]
    values = b.convert(node, compute_dtype(node.dtype))
    dims = list(dims) if dims is not None else None
    return b.convert(_reduce(b, how, values, dims, keepdim=keepdim), node.dtype)


@lowering(_ATEN.any.default, _ATEN.any.dim, _ATEN.any.dims)
def _any(
    b: Builder,
    node: Node,
    dims: int | Sequence[int] | None = None,
    keepdim: bool = False,
) -> Node:
    return _reduce(b, "any", _truth(b, node), dims, keepdim=keepdim)


@lowering(_ATEN.all.default, _ATEN.all.dim, _ATEN.all.dims)
def _all(
    b: Builder,
    node: Node,
    dims: int | Sequence[int] | None = None,
    keepdim: bool = False,
) -> Node:
    return _reduce(b, "all", _truth(b, node), dims, keepdim=keepdim)


def _truth(b: Builder, node: Node) -> Node:
    if node.dtype is torch.uint8:
        raise NotLowered("any or all of uint8, which gives uint8")
    return Expression(b, node).convert(torch.bool).node


@lowering(_ATEN.var.correction)
def _var(
    b: Builder,
    node: Node,
    dims: Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> Node:
    return _var_mean(b, node, dims, correction=correction, keepdim=keepdim)[0]


@lowering(_ATEN.std.correction)
def _std(
    b: Builder,
    node: Node,
    dims: Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> Node:
    variance = _var(b, node, dims, correction=correction, keepdim=keepdim)
    return b.convert(_computed(b, variance).sqrt().node, node.dtype)


@lowering(_ATEN.var_mean.correction)
def _var_mean(
    b: Builder,
    node: Node,
    dims: Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> tuple[Node, Node]:
    rows = _Rows(b, node, dims)
    taken = 1 if correction is None else correction
    left = rows.count - (int(taken) if taken == int(taken) else taken)
    if not rows.dims or (isinstance(rows.count, int) and left <= 0):
        raise NotLowered(f"a variance of {rows.count} elements")
    centre, _, squares = rows.centred(_computed(b, node))
    variance, mean = (
        b.convert(rows.shaped(value, keepdim=keepdim), node.dtype)
        for value in (squares.over(left), centre)
    )
    return variance, mean


@lowering(_ATEN.std_mean.correction)
def _std_mean(
    b: Builder,
    node: Node,
    dims: Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> tuple[Node, Node]:
    variance, mean = _var_mean(b, node, dims, correction=correction, keepdim=keepdim)
    return b.convert(_computed(b, variance).sqrt().node, node.dtype), mean


@lowering(_ATEN.prod.default)
def _prod(b: Builder, node: Node, *, dtype: torch.dtype | None = None) -> Node:
    return _product(b, node, None, dtype=dtype, keepdim=False)


@lowering(_ATEN.prod.dim_int)
def _prod_dim(
    b: Builder, node: Node, dim: int, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Node:
    return _product(b, node, dim, dtype=dtype, keepdim=keepdim)


def _product(
    b: Builder, node: Node, dim: int | None, *, dtype: torch.dtype | None, keepdim: bool
) -> Node:
    result = dtype or (node.dtype if node.dtype.is_floating_point else torch.int64)
    if result is torch.bool:
        raise NotLowered("a product of truths")
    values = b.convert(node, compute_dtype(result))
    return b.convert(_reduce(b, "prod", values, dim, keepdim=keepdim), result)


@lowering(_ATEN.linalg_vector_norm.default)
def _vector_norm(
    b: Builder,
    node: Node,
    order: float = 2,
    dims: Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Node:
    result = dtype or node.dtype
    values = Expression(b, b.convert(node, compute_dtype(result)))
    if not result.is_floating_point or order not in _NORMS:
        raise NotLowered(f"a norm of order {order} of {result}")
    how, formula = _NORMS[order]
    node = _reduce(b, how, formula(values).node, dims, keepdim=keepdim)
    norm = Expression(b, node)
    return b.convert((norm.sqrt() if order == 2 else norm).node, result)


_NORMS: dict[float, tuple[str, Callable[[Expression], Expression]]] = {
    0: ("sum", lambda x: (x != 0).convert(x.dtype)),
    1: ("sum", lambda x: x.abs()),
    2: ("sum", lambda x: x * x),
    math.inf: ("max", lambda x: x.abs()),
    -math.inf: ("min", lambda x: x.abs()),
}


@lowering(_ATEN.logsumexp.default)
def _logsumexp(b: Builder, node: Node, dims: Sequence[int], keepdim: bool = False) -> Node:
    if not node.dtype.is_floating_point:
        raise NotLowered(f"logarithms of sums of {node.dtype}")
    rows, values = _Rows(b, node, dims), _computed(b, node)
    largest = rows.reduce("max", values)
    # Less an infinity there would be NaN where the result is that infinity.
    largest = (largest.abs() == math.inf).where(0, largest)
    made = rows.reduce("sum", (values - largest).exp()).log() + largest
    return b.convert(rows.shaped(made, keepdim=keepdim), node.dtype)


@lowering(_ATEN.max.dim)
def _max_dim(b: Builder, node: Node, dim: int, keepdim: bool = False) -> tuple[Node, Node]:
    return _extreme_and_place(b, "max", node, dim, keepdim=keepdim)


@lowering(_ATEN.min.dim)
def _min_dim(b: Builder, node: Node, dim: int, keepdim: bool = False) -> tuple[Node, Node]:
    return _extreme_and_place(b, "min", node, dim, keepdim=keepdim)


@lowering(_ATEN.argmax.default)
def _argmax(b: Builder, node: Node, dim: int | None = None, keepdim: bool = False) -> Node:
    return _place(b, "max", node, dim, keepdim=keepdim)


@lowering(_ATEN.argmin.default)
def _argmin(b: Builder, node: Node, dim: int | None = None, keepdim: bool = False) -> Node:
    return _place(b, "min", node, dim, keepdim=keepdim)


def _place(b: Builder, how: str, node: Node, dim: int | None, *, keepdim: bool) -> Node:
    if dim is not None:
        return _extreme_and_place(b, how, node, dim, keepdim=keepdim)[1]
    flat = b.reshape(node, (node.num_elements,))
    place = _extreme_and_place(b, how, flat, 0, keepdim=False)[1]
    return b.reshape(place, [1] * len(node.shape)) if keepdim else place


def _extreme_and_place(
    b: Builder, how: str, node: Node, dim: int, *, keepdim: bool
) -> tuple[Node, Node]:
    """The largest or smallest of each row, and the first place that has it."""
    if node.dtype is torch.bool or not node.shape:
        raise NotLowered(f"places in {node.shape} of {node.dtype}")
    rows, values = _Rows(b, node, dim), _computed(b, node)
    best = rows.reduce(how, values)
    (dim,) = rows.dims
    places = Expression(b, b.make("iota", (), node.shape, torch.int64, dim=dim))
    # NaN is both the largest and the smallest, and equals nothing.
    is_best = (values == best) | (values != values)  # noqa: PLR0124
    place = rows.reduce("min", is_best.where(places, torch.iinfo(torch.int64).max))
    return (
        b.convert(rows.shaped(best, keepdim=keepdim), node.dtype),
        rows.shaped(place, keepdim=keepdim),
    )


@lowering(_ATEN._softmax.default)
def _softmax(b: Builder, node: Node, dim: int, half_to_float: bool) -> Node:
    rows, values = _Rows(b, node, dim), _computed(b, node)
    powers = (values - rows.reduce("max", values)).exp()
    result = powers * (1 / rows.reduce("sum", powers))
    return b.convert(result.node, torch.float32 if half_to_float else node.dtype)


@lowering(_ATEN._safe_softmax.default)
def _safe_softmax(b: Builder, node: Node, dim: int, dtype: torch.dtype | None = None) -> Node:
    rows, values = _Rows(b, node, dim), _computed(b, node)
    largest = rows.reduce("max", values)
    powers = (values - largest).exp()
    # A row that is masked as a whole has no probabilities rather than NaN.
    inverse = (largest == -math.inf).where(0, 1 / rows.reduce("sum", powers))
    none = Expression(b, b.expand((largest == -math.inf).node, rows.shape))
    return b.convert(none.where(0, powers * inverse).node, dtype or node.dtype)


@lowering(_ATEN._log_softmax.default)
def _log_softmax(b: Builder, node: Node, dim: int, half_to_float: bool) -> Node:
    rows, values = _Rows(b, node, dim), _computed(b, node)
    shifted = values - rows.reduce("max", values)
    result = shifted - rows.reduce("sum", shifted.exp()).log()
    return b.convert(result.node, torch.float32 if half_to_float else node.dtype)


@lowering(_ATEN._softmax_backward_data.default)
def _softmax_backward(
    b: Builder, gradient: Node, result: Node, dim: int, dtype: torch.dtype
) -> Node:
    rows, g, y = _Rows(b, result, dim), _computed(b, gradient), _computed(b, result)
    weighted = g * y
    return b.convert((weighted - y * rows.reduce("sum", weighted)).node, dtype)


@lowering(_ATEN._log_softmax_backward_data.default)
def _log_softmax_backward(
    b: Builder, gradient: Node, result: Node, dim: int, dtype: torch.dtype
) -> Node:
    rows, g, y = _Rows(b, result, dim), _computed(b, gradient), _computed(b, result)
    return b.convert((g - y.exp() * rows.reduce("sum", g)).node, dtype)


def _affine(
    b: Builder, values: Expression, weight: Node | None, bias: Node | None, at: Sequence[Extent]
) -> Expression:
    """Scaled and shifted by parameters that are seen in the shape `at` and then repeated."""
    for name, parameter in (("mul", weight), ("add", bias)):
        if parameter is not None:
            seen = b.reshape(b.convert(parameter, values.dtype), at)
            values = values.apply(name, Expression(b, seen))
    return values


@lowering(_ATEN.native_layer_norm.default)
def _layer_norm(
    b: Builder,
    node: Node,
    shape: Sequence[Extent],
    weight: Node | None,
    bias: Node | None,
    eps: float,
) -> tuple[Node, Node, Node]:
    dims = range(len(node.shape) - len(shape), len(node.shape))
    rows, values = _Rows(b, node, list(dims)), _computed(b, node)
    mean, centred, squares = rows.centred(values)
    deviation = (squares.over(rows.count) + eps).rsqrt()
    result = _affine(b, centred * deviation, weight, bias, shape)
    return b.convert(result.node, node.dtype), mean.node, deviation.node


@lowering(_ATEN.native_layer_norm_backward.default)
def _layer_norm_backward(
    b: Builder,
    gradient: Node,
    node: Node,
    shape: Sequence[Extent],
    mean: Node,
    deviation: Node,
    *parameters: Any,
) -> tuple[Node | None, ...]:
    weight, bias, wanted = parameters
    first = len(node.shape) - len(shape)
    rows = _Rows(b, node, list(range(first, len(node.shape))))
    g, x = _computed(b, gradient), _computed(b, node)
    centre, scale = (Expression(b, b.convert(s, x.dtype)) for s in (mean, deviation))
    normal = (x - centre) * scale
    given = _affine(b, g, weight, None, shape)
    inner = (given - rows.mean(given) - normal * rows.mean(given * normal)) * scale
    outer = list(range(first))
    return (
        b.convert(inner.node, node.dtype) if wanted[0] else None,
        _gradient_of(b, g * normal, weight, outer) if wanted[1] else None,
        _gradient_of(b, g, bias, outer) if wanted[2] else None,
    )


def _gradient_of(
    b: Builder, values: Expression, parameter: Node | None, dims: Sequence[int]
) -> Node | None:
    if parameter is None:
        return None
    total = b.reduce("sum", values.node, dims)
    return b.convert(b.reshape(total, parameter.shape), parameter.dtype)
