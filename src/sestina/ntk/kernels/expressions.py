"""Dot-product kernels as expressions: what a `DotProductKernel` is made of."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sestina.core.errors import InvalidValueError, ShapeError
from sestina.core.registry import Registry

__all__ = [
    "READERS",
    "CallableCurve",
    "Composition",
    "Expression",
    "Product",
    "Scaled",
    "Series",
    "Sum",
    "read_expression",
]

ArrayFunction = Callable[[NDArray[Any]], NDArray[Any]]

_SERIES_BLOCK = 8192
"""Elements that a long series runs over at once: they stay in the cache."""
_COMPLEX_STEP = 1e-30


class Expression(ABC):
    """A function of the cosine."""

    is_analytic: bool
    """Whether it can be evaluated at complex arguments."""
    residual: float = 0.0
    """The largest error at the samples that it was fitted to, if it was."""

    @abstractmethod
    def evaluate(self, c: Tensor) -> Tensor:
        """Values at c, float64 in [−1, 1] or complex128 in the open unit disc; differentiable."""

    @abstractmethod
    def spec(self) -> dict[str, object]:
        """JSON-able values from which a reader in `READERS` makes an equal expression."""


READERS: Registry[Callable[[Mapping[str, Any]], Expression]] = Registry("kernel form")
"""From the value of "form" in a spec to the function that reads the spec."""


def read_expression(spec: Mapping[str, Any]) -> Expression:
    """The expression that `Expression.spec` described.

    Raises:
        UnknownNameError: if no reader knows the form.
        InvalidValueError: if a key is missing.
    """
    try:
        return READERS[str(spec["form"])](spec)
    except KeyError as error:
        raise InvalidValueError(
            "kernel spec",
            dict(spec),
            expected=f"a key {error.args[0]!r}",
            remedy="write it as DotProductKernel.spec() does",
        ) from None


class Series(Expression):
    """Σ aₖ cᵏ.

    Args:
        coefficients: a₀, a₁, …
        residual: see `Expression.residual`.
    """

    is_analytic = True

    def __init__(self, coefficients: NDArray[np.float64], *, residual: float = 0.0) -> None:
        self.coefficients = coefficients
        self.residual = residual

    def evaluate(self, c: Tensor) -> Tensor:
        """The sum, by Horner's rule."""
        blocks = c.reshape(-1).split(_SERIES_BLOCK) if c.numel() else [c.reshape(-1)]
        return torch.cat([self._horner(block) for block in blocks]).reshape(c.shape)

    def plus(self, other: Series) -> Series:
        """The sum, term by term."""
        total = np.zeros(max(self.coefficients.size, other.coefficients.size))
        total[: self.coefficients.size] = self.coefficients
        total[: other.coefficients.size] += other.coefficients
        return Series(total, residual=self.residual + other.residual)

    def times(self, factor: float) -> Series:
        """The multiple, term by term."""
        return Series(factor * self.coefficients, residual=factor * self.residual)

    def _horner(self, c: Tensor) -> Tensor:
        total = torch.zeros_like(c)
        for coefficient in self.coefficients[::-1].tolist():
            total = total * c + coefficient
        return total

    def spec(self) -> dict[str, object]:
        """The coefficients."""
        return {"form": "series", "coefficients": self.coefficients.tolist()}


class CallableCurve(Expression):
    """A Python function of NumPy arrays.

    Args:
        function: elementwise.
        is_analytic: whether it takes complex arrays.
    """

    def __init__(self, function: ArrayFunction, *, is_analytic: bool) -> None:
        self.function = function
        self.is_analytic = is_analytic

    def evaluate(self, c: Tensor) -> Tensor:
        """The function's values; the gradient is taken by a complex step where it is analytic."""
        values: Tensor = _CallArray.apply(c, self)  # type: ignore[no-untyped-call]
        return values

    def call(self, c: NDArray[Any]) -> NDArray[Any]:
        """The function's values, checked.

        Raises:
            InvalidValueError: if it cannot take these numbers.
            ShapeError: if it is not elementwise.
        """
        try:
            # Infinite values are reported by who asked, with the kernel's name.
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                values = np.asarray(self.function(c))
        except (TypeError, np.exceptions.ComplexWarning) as error:
            raise InvalidValueError(
                "function",
                f"{self.function!r}, which fails on {c.dtype} arrays: {error}",
                expected="an elementwise function of NumPy arrays",
                remedy="pass complex_argument=False if it only takes real numbers"
                if np.iscomplexobj(c)
                else "write it with NumPy's functions, or wrap it in np.vectorize",
            ) from error
        if values.shape != c.shape:
            raise ShapeError(
                "function(c)",
                values.shape,
                expected=f"the shape of c, {c.shape}",
                remedy="write it elementwise, e.g. np.exp(c - 1)",
            )
        return values.astype(c.dtype)

    def slope(self, c: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivatives: Im K(c + ih)/h, exact to rounding.

        At c = ±1, where the derivative may be infinite, that of the nearest number inside.

        Raises:
            InvalidValueError: if the function takes no complex argument.
        """
        if not self.is_analytic:
            raise InvalidValueError(
                "function",
                self.function,
                expected="a function that takes complex arrays, to be differentiated",
                remedy="use DotProductKernel.from_coefficients(kernel.coefficients(n))",
            )
        end = np.nextafter(1.0, 0.0)
        point = np.clip(c, -end, end) + 1j * _COMPLEX_STEP
        slopes: NDArray[np.float64] = self.call(point).imag / _COMPLEX_STEP
        return slopes

    def spec(self) -> dict[str, object]:
        """Refused: Python code is not written to files.

        Raises:
            InvalidValueError: always.
        """
        raise InvalidValueError(
            "kernel",
            self.function,
            expected="coefficients or a network: Python functions are not written to files",
            remedy="use DotProductKernel.from_coefficients(kernel.coefficients(n))",
        )


class _CallArray(torch.autograd.Function):
    """A NumPy function inside autograd."""

    @staticmethod
    def forward(ctx: Any, c: Tensor, curve: CallableCurve) -> Tensor:
        ctx.save_for_backward(c)
        ctx.curve = curve
        return torch.as_tensor(curve.call(c.detach().cpu().numpy()), device=c.device)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (c,) = ctx.saved_tensors
        slopes = ctx.curve.slope(c.detach().cpu().numpy())
        return grads[0] * torch.as_tensor(slopes, device=c.device), None


class Sum(Expression):
    """left + right."""

    def __init__(self, left: Expression, right: Expression) -> None:
        self.left, self.right = left, right
        self.is_analytic = left.is_analytic and right.is_analytic

    def evaluate(self, c: Tensor) -> Tensor:
        """The sum."""
        return self.left.evaluate(c) + self.right.evaluate(c)

    def spec(self) -> dict[str, object]:
        """Both terms."""
        return {"form": "sum", "left": self.left.spec(), "right": self.right.spec()}


class Product(Expression):
    """left · right."""

    def __init__(self, left: Expression, right: Expression) -> None:
        self.left, self.right = left, right
        self.is_analytic = left.is_analytic and right.is_analytic

    def evaluate(self, c: Tensor) -> Tensor:
        """The product."""
        return self.left.evaluate(c) * self.right.evaluate(c)

    def spec(self) -> dict[str, object]:
        """Both factors."""
        return {"form": "product", "left": self.left.spec(), "right": self.right.spec()}


class Scaled(Expression):
    """factor · inner."""

    def __init__(self, factor: float, inner: Expression) -> None:
        self.factor, self.inner = factor, inner
        self.is_analytic = inner.is_analytic

    def evaluate(self, c: Tensor) -> Tensor:
        """The multiple."""
        return self.factor * self.inner.evaluate(c)

    def spec(self) -> dict[str, object]:
        """The factor and what it multiplies."""
        return {"form": "scaled", "factor": self.factor, "inner": self.inner.spec()}


class Composition(Expression):
    """outer(inner(c))."""

    def __init__(self, outer: Expression, inner: Expression) -> None:
        self.outer, self.inner = outer, inner
        self.is_analytic = outer.is_analytic and inner.is_analytic

    def evaluate(self, c: Tensor) -> Tensor:
        """The composition."""
        return self.outer.evaluate(self.inner.evaluate(c))

    def spec(self) -> dict[str, object]:
        """Both functions."""
        return {"form": "composition", "outer": self.outer.spec(), "inner": self.inner.spec()}


READERS.add("series", lambda spec: Series(np.asarray(spec["coefficients"], dtype=np.float64)))
READERS.add("sum", lambda s: Sum(read_expression(s["left"]), read_expression(s["right"])))
READERS.add("product", lambda s: Product(read_expression(s["left"]), read_expression(s["right"])))
READERS.add("scaled", lambda s: Scaled(float(s["factor"]), read_expression(s["inner"])))
READERS.add(
    "composition", lambda s: Composition(read_expression(s["outer"]), read_expression(s["inner"]))
)
