"""Formulas as they are written: tensors of one shape with arithmetic between them.

An `Expression` is a node and the builder that makes more of them, so that a lowering reads like the
formula in a paper: `0.5 * x * (1 + (x * 2**-0.5).erf())`.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import sympy
import torch

from sestina.fuser.ir.extents import Extent
from sestina.fuser.ir.nodes import Builder, Node
from sestina.fuser.ir.operations import compute_dtype

__all__ = ["Expression", "NotLowered", "Number", "check_fit"]

Number: TypeAlias = "int | float | bool | sympy.Expr"


class NotLowered(Exception):  # noqa: N818 - a signal inside the room
    """This call has no lowering; the message says why, and ATen computes it instead."""


def check_fit(dtype: torch.dtype, *values: object) -> None:
    """Leaves numbers that are to become elements, and do not fit, to ATen, which refuses them.

    Raises:
        NotLowered: for such a number; not for what is no number, nor for infinity among floats.
    """
    for value in values:
        if isinstance(value, (int, float)) and not _fits(value, dtype):
            raise NotLowered(f"{value} is no number of {dtype}")


def _fits(value: float, dtype: torch.dtype) -> bool:
    if dtype is torch.bool:
        return True
    if dtype.is_floating_point:
        return not math.isfinite(value) or abs(value) <= torch.finfo(dtype).max
    limits = torch.iinfo(dtype)
    # ATen counts back from the end of numbers without a sign.
    least = limits.min if limits.min < 0 else -limits.max
    return math.isfinite(value) and least <= int(value) <= limits.max


class Expression:
    """A tensor in a formula; numbers beside it take its dtype."""

    __slots__ = ("builder", "node")

    def __init__(self, builder: Builder, node: Node) -> None:
        self.builder = builder
        self.node = node

    @property
    def dtype(self) -> torch.dtype:
        """Of the tensor."""
        return self.node.dtype

    def number(self, value: Number) -> Expression:
        """A number of this tensor's dtype; one known at run time only is that of a size."""
        if isinstance(value, sympy.Expr):
            return Expression(self.builder, self.builder.size(value, self.dtype))
        return Expression(self.builder, self.builder.constant(value, self.dtype))

    def over(self, count: Extent | float) -> Expression:
        """Divided by a number of elements, which may be known at run time only; by none is NaN."""
        if isinstance(count, (int, float)):
            return self * (1 / count if count else math.nan)
        return self * (1 / Expression(self.builder, self.builder.size(count, self.dtype)))

    def apply(self, name: str, *others: Expression | Number) -> Expression:
        """An elementwise operation on this tensor and others, or numbers."""
        operands = [
            other if isinstance(other, Expression) else self.number(other) for other in others
        ]
        nodes = [self.node, *(operand.node for operand in operands)]
        return Expression(self.builder, self.builder.apply(name, *nodes))

    def convert(self, dtype: torch.dtype, *, is_asked: bool = False) -> Expression:
        """In another dtype; what is not 0 is true."""
        if dtype is torch.bool and self.dtype is not torch.bool:
            return self.convert(compute_dtype(self.dtype)) != 0
        made = self.builder.convert(self.node, dtype, is_asked=is_asked)
        return Expression(self.builder, made)

    def where(self, chosen: Expression | Number, other: Expression | Number) -> Expression:
        """One value where this is true and another where it's not."""
        given = chosen if isinstance(chosen, Expression) else other
        assert isinstance(given, Expression), "numbers alone have no dtype"
        first, second = (
            value if isinstance(value, Expression) else given.number(value)
            for value in (chosen, other)
        )
        made = self.builder.apply("where", self.node, first.node, second.node)
        return Expression(self.builder, made)

    def __add__(self, other: Expression | Number) -> Expression:
        return self.apply("add", other)

    def __radd__(self, other: Number) -> Expression:
        return self.number(other).apply("add", self)

    def __sub__(self, other: Expression | Number) -> Expression:
        return self.apply("sub", other)

    def __rsub__(self, other: Number) -> Expression:
        return self.number(other).apply("sub", self)

    def __mul__(self, other: Expression | Number) -> Expression:
        if not isinstance(other, Expression) and other == 1:
            return self
        return self.apply("mul", other)

    __rmul__ = __mul__

    def __truediv__(self, other: Expression | Number) -> Expression:
        return self.apply("div", other)

    def __rtruediv__(self, other: Number) -> Expression:
        return self.number(other).apply("div", self)

    def __neg__(self) -> Expression:
        return self.apply("neg")

    def __and__(self, other: Expression | Number) -> Expression:
        return self.apply("and", other)

    def __or__(self, other: Expression | Number) -> Expression:
        return self.apply("or", other)

    def __xor__(self, other: Expression | Number) -> Expression:
        return self.apply("xor", other)

    def __invert__(self) -> Expression:
        return self.apply("not")

    def __lt__(self, other: Expression | Number) -> Expression:
        return self.apply("lt", other)

    def __le__(self, other: Expression | Number) -> Expression:
        return self.apply("le", other)

    def __gt__(self, other: Expression | Number) -> Expression:
        return self.apply("gt", other)

    def __ge__(self, other: Expression | Number) -> Expression:
        return self.apply("ge", other)

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        assert isinstance(other, (Expression, int, float)), type(other)
        return self.apply("eq", other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        assert isinstance(other, (Expression, int, float)), type(other)
        return self.apply("ne", other)

    __hash__ = None  # type: ignore[assignment]  # == makes a tensor

    def abs(self) -> Expression:
        """|x|."""
        return self.apply("abs")

    def exp(self) -> Expression:
        """eˣ."""
        return self.apply("exp")

    def log(self) -> Expression:
        """The natural logarithm."""
        return self.apply("log")

    def log1p(self) -> Expression:
        """log(1 + x), exact near 0."""
        return self.apply("log1p")

    def sqrt(self) -> Expression:
        """√x."""
        return self.apply("sqrt")

    def rsqrt(self) -> Expression:
        """1/√x."""
        return 1 / self.apply("sqrt")

    def tanh(self) -> Expression:
        """The hyperbolic tangent."""
        return self.apply("tanh")

    def erf(self) -> Expression:
        """The error function."""
        return self.apply("erf")

    def sigmoid(self) -> Expression:
        """1/(1 + e⁻ˣ)."""
        return 1 / (1 + (-self).exp())

    def floor(self) -> Expression:
        """The largest whole number that is no larger."""
        return self.apply("floor") if self.dtype.is_floating_point else self

    def at_least(self, low: Expression | Number) -> Expression:
        """The larger of this and a bound; of two zeros it is this, as in ATen, so −0 stays."""
        if isinstance(low, Expression) or low != low:  # noqa: PLR0124 - not a number
            return self.maximum(low)
        return (self < low).where(low, self)

    def at_most(self, high: Expression | Number) -> Expression:
        """The smaller of this and a bound; likewise."""
        if isinstance(high, Expression) or high != high:  # noqa: PLR0124 - not a number
            return self.minimum(high)
        return (self > high).where(high, self)

    def maximum(self, other: Expression | Number) -> Expression:
        """The larger of two; NaN where either is."""
        return self.apply("or" if self.dtype is torch.bool else "maximum", other)

    def minimum(self, other: Expression | Number) -> Expression:
        """The smaller of two; NaN where either is."""
        return self.apply("and" if self.dtype is torch.bool else "minimum", other)

    def normal_density(self) -> Expression:
        """The density of the standard normal distribution."""
        return self.apply("normal_density")

    def normal_probability(self) -> Expression:
        """The probability that a standard normal variable is below."""
        return self.apply("normal_probability")
