"""Elementwise operations of ATen as formulas; constants and signs are those of ATen's kernels."""

from __future__ import annotations

import math
from typing import Any

import torch

from sestina.fuser.ir.nodes import Builder, Node, broadcast
from sestina.fuser.ir.operations import compute_dtype
from sestina.fuser.lower.expressions import Expression, NotLowered, Number
from sestina.fuser.lower.table import elementwise, lowering

__all__: list[str] = []

_ATEN = torch.ops.aten
# log 2 as a number of few digits and what is left.
_LN2_SINGLE = (0.693359375, -2.12194440054690583e-4)
_LN2_DOUBLE = (6.93147180369123816490e-01, 1.90821492927058770002e-10)


def _larger(x: Expression, y: Expression) -> Expression:
    return x | y if x.dtype is torch.bool else x.maximum(y)


def _smaller(x: Expression, y: Expression) -> Expression:
    return x & y if x.dtype is torch.bool else x.minimum(y)


_FORMULAS: dict[Any, Any] = {
    _ATEN.abs.default: lambda x: x.abs() if x.dtype is not torch.bool else x,
    _ATEN.neg.default: lambda x: -x,
    _ATEN.relu.default: lambda x: x.at_least(0),
    _ATEN.square.default: lambda x: x * x,
    _ATEN.bitwise_not.default: lambda x: ~x,
    _ATEN.bitwise_and.Tensor: lambda x, y: x & y,
    _ATEN.bitwise_and.Scalar: lambda x, y: x & y,
    _ATEN.bitwise_or.Tensor: lambda x, y: x | y,
    _ATEN.bitwise_or.Scalar: lambda x, y: x | y,
    _ATEN.bitwise_xor.Tensor: lambda x, y: x ^ y,
    _ATEN.maximum.default: _larger,
    _ATEN.minimum.default: _smaller,
    _ATEN.floor.default: lambda x: x.floor(),
    _ATEN.exp.default: lambda x: x.exp(),
    _ATEN.expm1.default: lambda x: x.apply("expm1"),
    _ATEN.log.default: lambda x: x.log(),
    _ATEN.log2.default: lambda x: x.log() * (1 / math.log(2)),
    _ATEN.log10.default: lambda x: x.log() * (1 / math.log(10)),
    _ATEN.log1p.default: lambda x: x.log1p(),
    _ATEN.sqrt.default: lambda x: x.sqrt(),
    _ATEN.rsqrt.default: lambda x: x.rsqrt(),
    _ATEN.reciprocal.default: lambda x: 1 / x,
    _ATEN.sin.default: lambda x: x.apply("sin"),
    _ATEN.cos.default: lambda x: x.apply("cos"),
    _ATEN.tanh.default: lambda x: x.tanh(),
    _ATEN.erf.default: lambda x: x.erf(),
    _ATEN.sigmoid.default: lambda x: x.sigmoid(),
    _ATEN.silu.default: lambda x: x * x.sigmoid(),
    _ATEN.div.Tensor: lambda x, y: x / y,
    _ATEN.div.Scalar: lambda x, y: x / y,
    _ATEN.sigmoid_backward.default: lambda g, y: g * (1 - y) * y,
    _ATEN.tanh_backward.default: lambda g, y: g * (1 - y * y),
}
_PREDICATES: dict[Any, Any] = {
    _ATEN.eq.Tensor: lambda x, y: x == y,
    _ATEN.eq.Scalar: lambda x, y: x == y,
    _ATEN.ne.Tensor: lambda x, y: x != y,
    _ATEN.ne.Scalar: lambda x, y: x != y,
    _ATEN.lt.Tensor: lambda x, y: x < y,
    _ATEN.lt.Scalar: lambda x, y: x < y,
    _ATEN.le.Tensor: lambda x, y: x <= y,
    _ATEN.le.Scalar: lambda x, y: x <= y,
    _ATEN.gt.Tensor: lambda x, y: x > y,
    _ATEN.gt.Scalar: lambda x, y: x > y,
    _ATEN.ge.Tensor: lambda x, y: x >= y,
    _ATEN.ge.Scalar: lambda x, y: x >= y,
    _ATEN.logical_not.default: lambda x: ~x.convert(torch.bool),
    _ATEN.isnan.default: lambda x: x != x,  # noqa: PLR0124
}
for _target, _formula in _FORMULAS.items():
    elementwise(_target)(_formula)
for _target, _formula in _PREDICATES.items():
    elementwise(_target, is_predicate=True)(_formula)


@elementwise(_ATEN.add.Tensor, _ATEN.add.Scalar)
def _add(x: Expression, y: Expression, alpha: Number = 1) -> Expression:
    return x | y if x.dtype is torch.bool else x + y * alpha


@elementwise(_ATEN.sub.Tensor, _ATEN.sub.Scalar)
def _sub(x: Expression, y: Expression, alpha: Number = 1) -> Expression:
    return x - y * alpha


@elementwise(_ATEN.rsub.Tensor, _ATEN.rsub.Scalar)
def _rsub(x: Expression, y: Expression, alpha: Number = 1) -> Expression:
    return y - x * alpha


@elementwise(_ATEN.mul.Tensor, _ATEN.mul.Scalar)
def _mul(x: Expression, y: Expression) -> Expression:
    return x & y if x.dtype is torch.bool else x.apply("mul", y)


@elementwise(_ATEN.sign.default, _ATEN.sgn.default)
def _sign(x: Expression) -> Expression:
    if x.dtype is torch.bool:
        return x
    # NaN has no sign, here as in ATen.
    return (x > 0).convert(x.dtype) - (x < 0).convert(x.dtype)


@elementwise(_ATEN.isinf.default, is_predicate=True)
def _isinf(x: Expression) -> Expression:
    if not x.dtype.is_floating_point:
        return Expression(x.builder, x.builder.constant(0, torch.bool))
    return x.abs() == math.inf


@elementwise(_ATEN.logical_and.default, is_predicate=True)
def _logical_and(x: Expression, y: Expression) -> Expression:
    return x.convert(torch.bool) & y.convert(torch.bool)


@elementwise(_ATEN.logical_or.default, is_predicate=True)
def _logical_or(x: Expression, y: Expression) -> Expression:
    return x.convert(torch.bool) | y.convert(torch.bool)


for _name in ("ceil", "trunc", "round"):
    elementwise(getattr(_ATEN, _name).default)(
        lambda x, name=_name: x.apply(name) if x.dtype.is_floating_point else x
    )


@elementwise(_ATEN.pow.Tensor_Scalar)
def _pow_number(x: Expression, exponent: Number) -> Expression:
    if not x.dtype.is_floating_point and (exponent < 0 or exponent != int(exponent)):
        raise NotLowered(f"a power of {exponent} of whole numbers")
    if exponent in {0.5, -0.5}:
        return x.sqrt() if exponent > 0 else x.rsqrt()
    if exponent == -1:
        return 1 / x
    if exponent == int(exponent) and 1 <= exponent <= 4:
        square = x * x if exponent > 1 else x
        return {1: x, 2: square, 3: square * x, 4: square * square}[int(exponent)]
    if not x.dtype.is_floating_point:
        raise NotLowered(f"a power of {exponent} of whole numbers")
    return x.apply("pow", exponent)


@elementwise(_ATEN.pow.Tensor_Tensor, _ATEN.pow.Scalar)
def _pow(x: Expression | Number, exponent: Expression) -> Expression:
    base = x if isinstance(x, Expression) else exponent.number(x)
    if not base.dtype.is_floating_point:
        raise NotLowered("powers of whole numbers")
    return base.apply("pow", exponent)


@elementwise(_ATEN.div.Tensor_mode, _ATEN.div.Scalar_mode, rounds_within=True)
def _div_mode(
    x: Expression, y: Expression | Number, *, rounding_mode: str | None = None
) -> Expression:
    if rounding_mode == "floor":
        return _floor_divide(x, y)
    if not x.dtype.is_floating_point:
        return x.apply("quotient", _positive(x, y))
    return x / y if rounding_mode is None else (x / y).apply("trunc")


@elementwise(_ATEN.floor_divide.default, _ATEN.floor_divide.Scalar, rounds_within=True)
def _floor_divide(x: Expression, y: Expression | Number) -> Expression:
    if not x.dtype.is_floating_point:
        quotient = x.apply("quotient", _positive(x, y))
        return quotient - (x < quotient * y).convert(x.dtype)
    y = y if isinstance(y, Expression) else x.number(y)
    # Rounded once the remainder is gone, as Python has it: 1 // 0.1 is 9.
    rest = x.apply("fmod", y)
    quotient = (x - rest) / y
    is_across = (rest != 0) & ((rest < 0) ^ (y < 0))
    quotient = is_across.where(quotient - 1, quotient)
    whole = quotient.floor()
    whole = (quotient - whole > 0.5).where(whole + 1, whole)
    whole = (quotient == 0).where(_zero_like(x / y), whole)
    return (y == 0).where(x / y, whole)


@elementwise(_ATEN.fmod.Tensor, _ATEN.fmod.Scalar)
def _fmod(x: Expression, y: Expression | Number) -> Expression:
    if x.dtype.is_floating_point:
        return x.apply("fmod", y)
    return x - x.apply("quotient", _positive(x, y)) * y


@elementwise(_ATEN.remainder.Tensor, _ATEN.remainder.Scalar)
def _remainder(x: Expression, y: Expression | Number) -> Expression:
    rest = _fmod(x, y)
    if not isinstance(y, Expression):
        y = x.number(y)
    return ((rest != 0) & ((rest < 0) ^ (y < 0))).where(rest + y, rest)


def _positive(x: Expression, y: Expression | Number) -> int:
    """A divisor that no whole number fails with, by 0 or by what the quotient has no room for."""
    if x.dtype is torch.bool or not (isinstance(y, int) and 0 < y <= torch.iinfo(x.dtype).max):
        raise NotLowered("division of whole numbers, which fails where a divisor is 0")
    return y


def _zero_like(x: Expression) -> Expression:
    return x.number(0).apply("copysign", x)


@elementwise(_ATEN.atan2.default)
def _atan2(y: Expression, x: Expression) -> Expression:
    return y.apply("atan2", x)


@elementwise(_ATEN.logaddexp.default)
def _logaddexp(x: Expression, y: Expression) -> Expression:
    larger = x.maximum(y)
    # Of two infinities that are the same the difference is none.
    made = larger + (-(x - y).abs()).exp().log1p()
    return ((x == y) & (x.abs() == math.inf)).where(x, made)


@elementwise(_ATEN.xlogy.Tensor, _ATEN.xlogy.Scalar_Self, _ATEN.xlogy.Scalar_Other)
def _xlogy(x: Expression | Number, y: Expression | Number) -> Expression:
    given = x if isinstance(x, Expression) else y
    assert isinstance(given, Expression), "one of them is a tensor"
    x, y = (value if isinstance(value, Expression) else given.number(value) for value in (x, y))
    product = (x == 0).where(0, x * y.log())
    return (y != y).where(y, product)  # noqa: PLR0124 - not a number


@lowering(_ATEN.nan_to_num.default)
def _nan_to_num(
    b: Builder,
    node: Node,
    nan: float | None = None,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Node:
    if not node.dtype.is_floating_point:
        return node
    limits = torch.finfo(node.dtype)
    x = Expression(b, b.convert(node, compute_dtype(node.dtype)))
    made = (x != x).where(nan or 0, x)  # noqa: PLR0124 - not a number
    made = (x == math.inf).where(limits.max if posinf is None else posinf, made)
    made = (x == -math.inf).where(limits.min if neginf is None else neginf, made)
    return b.convert(made.node, node.dtype)


@elementwise(_ATEN.where.self, masks=(0,))
def _where(condition: Expression, x: Expression, y: Expression) -> Expression:
    return condition.where(x, y)


@elementwise(_ATEN.masked_fill.Scalar, _ATEN.masked_fill.Tensor, masks=(1,), puts_numbers=True)
def _masked_fill(x: Expression, mask: Expression, value: Expression | Number) -> Expression:
    return mask.where(value, x)


@elementwise(_ATEN.clamp.default, _ATEN.clamp.Tensor, puts_numbers=True)
def _clamp(
    x: Expression, low: Expression | Number | None = None, high: Expression | Number | None = None
) -> Expression:
    x = x if low is None else x.at_least(low)
    return x if high is None else x.at_most(high)


@elementwise(_ATEN.clamp_min.default, _ATEN.clamp_min.Tensor, puts_numbers=True)
def _clamp_min(x: Expression, low: Expression | Number) -> Expression:
    return x.at_least(low)


@elementwise(_ATEN.clamp_max.default, _ATEN.clamp_max.Tensor, puts_numbers=True)
def _clamp_max(x: Expression, high: Expression | Number) -> Expression:
    return x.at_most(high)


@elementwise(_ATEN.hardtanh.default)
def _hardtanh(x: Expression, low: Number = -1, high: Number = 1) -> Expression:
    return x.at_least(low).at_most(high)


@elementwise(_ATEN.leaky_relu.default)
def _leaky_relu(x: Expression, slope: Number = 0.01) -> Expression:
    return (x > 0).where(x, x * slope)


@elementwise(_ATEN.gelu.default)
def _gelu(x: Expression, *, approximate: str = "none") -> Expression:
    if approximate == "none":
        return x * x.normal_probability()
    return 0.5 * x * (1 + _tanh_argument(x).tanh())


@elementwise(_ATEN.gelu_backward.default)
def _gelu_backward(g: Expression, x: Expression, *, approximate: str = "none") -> Expression:
    if approximate == "none":
        return g * (x.normal_probability() + x * x.normal_density())
    bent = _tanh_argument(x).tanh()
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * (x * x))
    return g * (0.5 * (1 + bent) + 0.5 * x * (1 - bent * bent) * slope)


def _tanh_argument(x: Expression) -> Expression:
    return math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))


@elementwise(_ATEN.silu_backward.default)
def _silu_backward(g: Expression, x: Expression) -> Expression:
    s = x.sigmoid()
    return g * s * (1 + x * (1 - s))


@elementwise(_ATEN.threshold_backward.default)
def _threshold_backward(g: Expression, x: Expression, threshold: Number) -> Expression:
    return (x <= threshold).where(0, g)


@elementwise(_ATEN.threshold.default)
def _threshold(x: Expression, threshold: Number, value: Number) -> Expression:
    return (x <= threshold).where(value, x)


@elementwise(_ATEN.hardtanh_backward.default)
def _hardtanh_backward(g: Expression, x: Expression, low: Number, high: Number) -> Expression:
    return ((x <= low) | (x >= high)).where(0, g)


@elementwise(_ATEN.leaky_relu_backward.default)
def _leaky_relu_backward(
    g: Expression, x: Expression, slope: Number, _is_result: bool
) -> Expression:
    return (x > 0).where(g, g * slope)


@elementwise(_ATEN.native_dropout_backward.default, masks=(1,))
def _dropout_backward(g: Expression, mask: Expression, scale: Number) -> Expression:
    return g * mask.convert(g.dtype) * scale


@elementwise(_ATEN.addcmul.default)
def _addcmul(x: Expression, a: Expression, b: Expression, *, value: Number = 1) -> Expression:
    return x + a * b * value


@elementwise(_ATEN.addcdiv.default)
def _addcdiv(x: Expression, a: Expression, b: Expression, *, value: Number = 1) -> Expression:
    return x + a / b * value


@elementwise(_ATEN.lerp.Scalar, _ATEN.lerp.Tensor)
def _lerp(x: Expression, y: Expression, weight: Expression | Number) -> Expression:
    # Exact at both ends, as ATen has it.
    near = x + weight * (y - x) if isinstance(weight, Expression) else x + (y - x) * weight
    far = y - (y - x) * (1 - weight)
    if isinstance(weight, Expression):
        return (weight.abs() < 0.5).where(near, far)
    return near if abs(weight) < 0.5 else far


if hasattr(torch.ops.prims, "fma"):  # not in the first versions

    @elementwise(torch.ops.prims.fma.default)
    def _fma(a: Expression, b: Expression | Number, c: Expression | Number) -> Expression:
        return a * b + c


@elementwise(_ATEN.softplus.default)
def _softplus(x: Expression, beta: Number = 1, threshold: Number = 20) -> Expression:
    scaled = x * beta
    return (scaled > threshold).where(x, scaled.exp().log1p() / beta)


@elementwise(_ATEN.elu.default)
def _elu(x: Expression, alpha: Number = 1, scale: Number = 1, inner: Number = 1) -> Expression:
    return (x > 0).where(x * scale, (x * inner).apply("expm1") * (alpha * scale))


@elementwise(_ATEN.celu.default)
def _celu(x: Expression, alpha: Number = 1) -> Expression:
    return _elu(x, alpha, 1, 1 / alpha)


@elementwise(_ATEN.mish.default)
def _mish(x: Expression) -> Expression:
    return x * x.exp().log1p().tanh()


@elementwise(_ATEN.mish_backward.default)
def _mish_backward(g: Expression, x: Expression) -> Expression:
    bent = x.exp().log1p().tanh()
    return g * (bent + x * x.sigmoid() * (1 - bent * bent))


@elementwise(_ATEN._prelu_kernel.default)
def _prelu(x: Expression, weight: Expression) -> Expression:
    return (x > 0).where(x, x * weight)


@lowering(_ATEN._prelu_kernel_backward.default)
def _prelu_backward(b: Builder, gradient: Node, node: Node, slope: Node) -> tuple[Node, Node]:
    dtype = compute_dtype(node.dtype)
    g, x, weight = (Expression(b, b.convert(given, dtype)) for given in (gradient, node, slope))
    is_above = x > 0
    shape = broadcast([node.shape, slope.shape])
    inner, outer = (
        b.expand(b.convert(one.node, node.dtype), shape)
        for one in (is_above.where(g, g * weight), is_above.where(0, g * x))
    )
    return inner, outer


@elementwise(_ATEN.softplus_backward.default)
def _softplus_backward(g: Expression, x: Expression, beta: Number, threshold: Number) -> Expression:
    scaled = x * beta
    return (scaled > threshold).where(g, g * scaled.sigmoid())


@elementwise(_ATEN.elu_backward.default)
def _elu_backward(
    g: Expression, alpha: Number, scale: Number, inner: Number, is_result: bool, x: Expression
) -> Expression:
    slope = inner * alpha * scale
    # Of the result y = αs(e^(ix) − 1) the gradient is i(y + αs).
    below = g * (inner * (x + alpha * scale)) if is_result else g * slope * (x * inner).exp()
    return (x <= 0).where(below, g * scale)


@elementwise(_ATEN.hardsigmoid_backward.default)
def _hardsigmoid_backward(g: Expression, x: Expression) -> Expression:
    return ((x > -3) & (x < 3)).where(g * (1 / 6), 0)


@elementwise(_ATEN.hardswish_backward.default)
def _hardswish_backward(g: Expression, x: Expression) -> Expression:
    middle = (x < 3).where(g * (x / 3 + 0.5), g)
    return (x <= -3).where(0, middle)


@elementwise(_ATEN.exp2.default)
def _exp2(x: Expression) -> Expression:
    # The whole part's share of the exponent is exact: log 2 is cut to the digits that leave room.
    is_single = x.dtype is torch.float32
    high, low = _LN2_SINGLE if is_single else _LN2_DOUBLE
    x = x.at_least(-200.0 if is_single else -1100.0).at_most(128.0 if is_single else 1024.0)
    whole = x.floor()
    return (whole * high).exp() * ((x - whole) * math.log(2) + whole * low).exp()


@lowering(_ATEN.log_sigmoid_forward.default)
def _log_sigmoid(b: Builder, node: Node) -> tuple[Node, Node]:
    x = Expression(b, b.convert(node, compute_dtype(node.dtype)))
    power = (-x.abs()).exp()
    return b.convert((x.at_most(0) - power.log1p()).node, node.dtype), power.node


@elementwise(_ATEN.log_sigmoid_backward.default)
def _log_sigmoid_backward(g: Expression, x: Expression, _buffer: Expression) -> Expression:
    return g * (-x).sigmoid()


@elementwise(_ATEN.hardsigmoid.default)
def _hardsigmoid(x: Expression) -> Expression:
    return (x + 3).at_least(0).at_most(6) / 6


@elementwise(_ATEN.hardswish.default)
def _hardswish(x: Expression) -> Expression:
    return x * (x + 3).at_least(0).at_most(6) / 6
