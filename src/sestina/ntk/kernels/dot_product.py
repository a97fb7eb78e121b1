"""Dot-product kernels: functions K(c) = Σ aₖ cᵏ of the cosine between two inputs.

With aₖ ≥ 0 for every k and a finite sum, K is a kernel on spheres of every dimension (Schoenberg
1942) and the NNGP or NTK of a network with one hidden layer (Simon, Anand & DeWeese 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls
from torch import Tensor

from sestina.core.errors import (
    DivergentKernelError,
    DtypeError,
    InvalidValueError,
    NonFiniteError,
    NotAnalyticError,
    ShapeError,
)
from sestina.ntk.kernels.directions import Form, check_range, cosines, polar
from sestina.ntk.kernels.expressions import (
    CallableCurve,
    Composition,
    Expression,
    Product,
    Scaled,
    Series,
    Sum,
    read_expression,
)
from sestina.tensors.checks import check_matching, check_matrix

__all__ = ["DotProductKernel"]

_FLOAT = NDArray[np.float64]

_CIRCLE_POINTS = 16
"""Points on the circle per coefficient read; more points lose fewer digits to the radius."""
_ALIASING_EXPONENT = 36.0
"""rᴹ = exp(−36), the rounding unit: what the coefficients from aₖ₊ₘ on add to aₖ."""
_MAX_FITTED_DEGREE = 255
"""Samples do not determine more coefficients than this; the rest is taken as zero."""
_ANALYTIC_TOLERANCE = 1e-8
_DOMAIN_TOLERANCE = 1e-9
"""By so much a cosine may exceed 1, from rounding, and counts as 1."""
_MOST_COEFFICIENTS = 1 << 20


class DotProductKernel:
    """A kernel of the cosine between inputs.

    Args:
        function: K on NumPy arrays, elementwise; or an `Expression`, from this room itself.
        complex_argument: whether it takes complex arrays and continues K analytically into the unit
            disc; then coefficients are read to machine precision. Otherwise they are fitted.

    Raises:
        DivergentKernelError: if K(1) = Σ aₖ is not finite.

    Example:
        >>> kernel = DotProductKernel(lambda c: np.exp(c - 1))
        >>> kernel(0.0), kernel.total
        (0.36787944117144233, 1.0)
        >>> (kernel.coefficients(4) * np.e).round(12).tolist()  # 1/k!
        [1.0, 1.0, 0.5, 0.166666666667]
    """

    def __init__(
        self,
        function: Callable[[NDArray[Any]], NDArray[Any]] | Expression,
        *,
        complex_argument: bool = True,
    ) -> None:
        if not isinstance(function, Expression):
            function = CallableCurve(function, is_analytic=complex_argument)
        self._expression = function
        self._total = _checked_total(function)
        self._fitted: tuple[_FLOAT, float] | None = None

    @classmethod
    def from_coefficients(cls, coefficients: ArrayLike) -> DotProductKernel:
        """Σ aₖ cᵏ from a₀, a₁, …; negative ones are allowed here and refused by `design`.

        Raises:
            ShapeError: if the coefficients are not a list.
            NonFiniteError: if one is NaN or infinite.

        Example:
            >>> DotProductKernel.from_coefficients([0, 0, 1, 1])(0.5)  # c² + c³
            0.375
        """
        values = _real_array("coefficients", coefficients)
        if values.ndim != 1 or values.size == 0:
            raise ShapeError(
                "coefficients",
                values.shape,
                expected="one axis of at least one number",
                remedy="pass a_0, a_1, … as a list",
            )
        _check_finite("coefficients", values)
        return cls(Series(values))

    @classmethod
    def from_samples(
        cls, c: ArrayLike, values: ArrayLike, *, degree: int = 100
    ) -> DotProductKernel:
        """The kernel with coefficients aₖ ≥ 0 nearest to samples (c, K(c)), by least squares.

        Args:
            c: (m,) cosines; evenly spaced angles condition the fit best.
            values: (m,) the kernel there.
            degree: highest k; at most 255.

        Returns:
            The kernel; its `residual` is the largest error at the samples.

        Example:
            >>> c = np.cos(np.linspace(0, np.pi, 50))
            >>> kernel = DotProductKernel.from_samples(c, (c + c**3) / 2, degree=10)
            >>> kernel.coefficients(4).round(6).tolist(), kernel.residual < 1e-9
            ([0.0, 0.5, 0.0, 0.5], True)
        """
        points, targets = _checked_samples(c, values)
        remedy = "samples in float64 determine no more coefficients"
        _check_count("degree", degree, _MAX_FITTED_DEGREE, remedy)
        coefficients, residual = _fit(points, targets, degree + 1)
        return cls(Series(coefficients, residual=residual))

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> DotProductKernel:
        """The kernel that `spec()` described.

        Raises:
            UnknownNameError: if the form is not known.
            InvalidValueError: if a key is missing.
        """
        return cls(read_expression(spec))

    def spec(self) -> dict[str, object]:
        """The kernel as JSON-able values.

        Raises:
            InvalidValueError: if a Python function is part of it; store its coefficients instead.

        Example:
            >>> DotProductKernel.from_coefficients([0.5, 1]).spec()
            {'form': 'series', 'coefficients': [0.5, 1.0]}
        """
        return self._expression.spec()

    @property
    def expression(self) -> Expression:
        """What the kernel is made of."""
        return self._expression

    @property
    def is_analytic(self) -> bool:
        """Whether coefficients are read from complex values and not fitted."""
        return self._expression.is_analytic

    @property
    def total(self) -> float:
        """K(1) = Σ aₖ."""
        return self._total

    @property
    def residual(self) -> float:
        """The largest error of the fit that the coefficients come from; 0 if they are exact.

        Coefficients are fitted to samples, and to functions that take no complex numbers.
        """
        if not self.is_analytic:
            return self._fit_on_angles()[1]
        return self._expression.residual

    @overload
    def __call__(self, c: float) -> float: ...
    @overload
    def __call__(self, c: complex) -> complex: ...
    @overload
    def __call__(self, c: Sequence[float]) -> NDArray[Any]: ...
    @overload
    def __call__(self, c: NDArray[Any]) -> NDArray[Any]: ...
    @overload
    def __call__(self, c: Tensor) -> Tensor: ...
    def __call__(
        self, c: complex | Sequence[float] | NDArray[Any] | Tensor
    ) -> complex | NDArray[Any] | Tensor:
        """K(c), for a number, a list, an array or a tensor; differentiable for tensors.

        Args:
            c: real in [−1, 1], or complex in the open unit disc where K is analytic. Values of a
                tensor are not looked at.

        Raises:
            DtypeError: if c is not made of numbers.
            InvalidValueError: if a cosine is NaN or lies outside [−1, 1].
        """
        if isinstance(c, Tensor):
            wide = c if c.is_complex() else c.to(torch.float64)
            values = self._expression.evaluate(wide)
            return values.to(c.dtype) if c.is_floating_point() else values
        array = _checked_cosines(c)
        with torch.no_grad():
            result = self._expression.evaluate(torch.from_numpy(np.atleast_1d(array))).numpy()
        if array.ndim > 0 or isinstance(c, np.ndarray):
            return result.reshape(array.shape)
        return complex(result[0]) if np.iscomplexobj(array) else float(result[0])

    def coefficients(self, n: int) -> _FLOAT:
        """a₀ … aₙ₋₁.

        An analytic kernel's are read by FFT on a circle just inside the unit disc, with an absolute
        error of some 1e-15·K(1). Others are fitted at 1,024 evenly spaced angles, non-negative,
        with an error of `residual`; only the first 256 then differ from zero.

        Raises:
            NotAnalyticError: if K turns out not to be analytic in the disc.
        """
        _check_count("n", n, _MOST_COEFFICIENTS, "pass how many to read")
        if isinstance(self._expression, Series):
            known = self._expression.coefficients[:n]
            return np.pad(known, (0, n - len(known)))
        if not self.is_analytic:
            fitted = self._fit_on_angles()[0][:n]
            return np.pad(fitted, (0, n - len(fitted)))
        coefficients = self._read_coefficients(n)
        return coefficients[:n]

    def tail(self, n: int) -> float:
        """K(1) − Σ_{k<n} aₖ: what the first n coefficients leave out, at most, at any c."""
        return self.total - float(self.coefficients(n).sum())

    def matrix(self, x1: Tensor, x2: Tensor | None = None, *, form: Form = "radial") -> Tensor:
        """The kernel of the rows of x1 with the rows of x2.

        Args:
            x1: (n, d), float32 or float64.
            x2: (m, d); default x1, when the diagonal is exact.
            form: for inputs off the sphere |x|² = d. "radial": r r' K(c) with r = |x|/√d, which is
                what a network with positively homogeneous activation and without biases does;
                "normalise": K(c), norms ignored; "strict": refuse them.

        Returns:
            (n, m), of the inputs' dtype, differentiable.

        Raises:
            OffSphereError: if form is "strict" and a norm is not √d, or a row is zero and has no
                direction ("normalise").
        """
        check_matrix("x1", x1)
        if x2 is not None:
            check_matrix("x2", x2, num_columns=x1.shape[1])
            check_matching("x1", x1, "x2", x2)
        directions1, radii1 = polar("x1", x1, form)
        directions2, radii2 = (directions1, radii1) if x2 is None else polar("x2", x2, form)
        values = self(cosines(directions1, directions2, same=x2 is None))
        if form == "radial":
            check_range(
                "x1", radii1, "x2" if x2 is not None else "x1", radii2, self.total, x1.dtype
            )
            values = radii1[:, None] * radii2 * values
        return values.to(x1.dtype)

    def __add__(self, other: DotProductKernel | float) -> DotProductKernel:
        """The sum with another kernel, or with a constant of at least 0."""
        if isinstance(other, (int, float)):
            other = DotProductKernel(Series(np.array([_checked_factor("constant", other)])))
        if not isinstance(other, DotProductKernel):
            return NotImplemented
        left, right = self._expression, other._expression
        if isinstance(left, Series) and isinstance(right, Series):
            return DotProductKernel(left.plus(right))
        return DotProductKernel(Sum(left, right))

    __radd__ = __add__

    def __mul__(self, other: DotProductKernel | float) -> DotProductKernel:
        if isinstance(other, DotProductKernel):
            return DotProductKernel(Product(self._expression, other._expression))
        if not isinstance(other, (int, float)):
            return NotImplemented
        factor = _checked_factor("factor", other)
        if isinstance(self._expression, Series):
            return DotProductKernel(self._expression.times(factor))
        return DotProductKernel(Scaled(factor, self._expression))

    __rmul__ = __mul__

    def __matmul__(self, inner: DotProductKernel) -> DotProductKernel:
        """The composition K(inner(c)).

        Raises:
            DivergentKernelError: if `inner.total` exceeds 1, where K itself is known, and K is not
                given by finitely many coefficients.
        """
        if not isinstance(inner, DotProductKernel):
            return NotImplemented
        is_polynomial = isinstance(self._expression, Series)
        if not is_polynomial and inner.total > 1 + _DOMAIN_TOLERANCE:
            raise DivergentKernelError(
                "inner.total",
                inner.total,
                expected="at most 1: beyond it the outer kernel's series need not converge",
                remedy=f"scale it: outer @ ({1 / inner.total:.6g} * inner)",
            )
        return DotProductKernel(Composition(self._expression, inner._expression))

    def __repr__(self) -> str:
        return f"DotProductKernel({type(self._expression).__name__}, total={self.total:.6g})"

    def _read_coefficients(self, n: int) -> _FLOAT:
        num_points = 1 << max(12, (_CIRCLE_POINTS * n - 1).bit_length())
        radius = math.exp(-_ALIASING_EXPONENT / num_points)
        angles = np.arange(num_points // 2 + 1) * (2 * np.pi / num_points)
        # K is real on the real axis, so the lower half of the circle is the upper one's conjugate.
        values = self(radius * np.exp(1j * angles))
        _check_finite("K on the circle", np.abs(values))
        coefficients = np.fft.irfft(values.conj(), num_points) * radius ** -np.arange(num_points)
        self._check_analytic(coefficients[: num_points // 2])
        return coefficients

    def _check_analytic(self, coefficients: _FLOAT) -> None:
        """Raises unless the series gives back K on the real axis."""
        c = np.array([-0.9, -0.4, 0.1, 0.7, 0.95])
        values = self(c)
        _check_finite("K on [-1, 1]", values)
        error = float(np.abs(np.polynomial.polynomial.polyval(c, coefficients) - values).max())
        if error > _ANALYTIC_TOLERANCE * max(1.0, float(np.abs(values).max()), abs(self.total)):
            raise NotAnalyticError(
                "kernel",
                f"off by {error:.2g} from its own series",
                expected="a function that is analytic in the unit disc",
                remedy="pass complex_argument=False if it is only defined on real numbers",
            )

    def _fit_on_angles(self) -> tuple[_FLOAT, float]:
        """Non-negative coefficients for a function on the real axis, and the largest error left."""
        if self._fitted is None:
            c = np.cos(np.linspace(0, np.pi, 4 * (_MAX_FITTED_DEGREE + 1)))
            values = self(c)
            _check_finite("K on [-1, 1]", values)
            self._fitted = _fit(c, values, _MAX_FITTED_DEGREE + 1)
        return self._fitted


def _checked_total(expression: Expression) -> float:
    """K(1), if it is finite."""
    with torch.no_grad():
        total = float(expression.evaluate(torch.ones(1, dtype=torch.float64))[0])
    if not math.isfinite(total):
        raise DivergentKernelError(
            "K(1)",
            total,
            expected="a finite sum of coefficients, Σ a_k = K(1)",
            remedy="damp the kernel, e.g. K(0.99 c), or give it a finite value at c = 1",
        )
    return total


def _fit(c: _FLOAT, values: _FLOAT, num_coefficients: int) -> tuple[_FLOAT, float]:
    """Non-negative coefficients and the largest error left."""
    powers = c[:, None] ** np.arange(num_coefficients)
    coefficients: _FLOAT = nnls(powers, values, maxiter=100 * num_coefficients)[0]
    return coefficients, float(np.abs(powers @ coefficients - values).max())


def _checked_samples(c: ArrayLike, values: ArrayLike) -> tuple[_FLOAT, _FLOAT]:
    points = _real_array("c", c)
    targets = _real_array("values", values)
    if points.ndim != 1 or points.shape != targets.shape or points.size == 0:
        raise ShapeError(
            "c and values",
            (points.shape, targets.shape),
            expected="two lists of one length, at least 1",
            remedy="pass one value per cosine",
        )
    _check_finite("c", points)
    _check_finite("values", targets)
    if np.abs(points).max() > 1:
        raise InvalidValueError(
            "c",
            float(points[np.abs(points).argmax()]),
            expected="cosines in [-1, 1]",
            remedy="pass x·x'/(|x||x'|), not x·x'",
        )
    return points, targets


def _checked_cosines(c: object) -> NDArray[Any]:
    """Cosines as float64 in [−1, 1], or complex numbers as they are."""
    array = np.asarray(c)
    if array.dtype.kind not in "biufc":
        raise DtypeError(
            "c", array.dtype, expected="numbers", remedy="pass cosines, or a tensor of them"
        )
    if array.dtype.kind == "c":
        return array.astype(np.complex128)
    cosines = array.astype(np.float64)
    is_outside = ~(np.abs(cosines) <= 1 + _DOMAIN_TOLERANCE)
    if is_outside.any():
        raise InvalidValueError(
            "c",
            float(cosines[is_outside].flat[0]),
            expected="cosines in [-1, 1]",
            remedy="pass x·x'/(|x||x'|), not x·x'",
        )
    return np.clip(cosines, -1, 1)


def _check_count(name: str, value: object, most: int, remedy: str) -> None:
    if not isinstance(value, (int, np.integer)) or not 0 <= value <= most:
        expected = f"a whole number from 0 to {most:,}"
        raise InvalidValueError(name, value, expected=expected, remedy=remedy)


def _checked_factor(name: str, value: float) -> float:
    if isinstance(value, bool) or not 0 <= value < math.inf:
        raise InvalidValueError(
            name,
            value,
            expected="a finite number of at least 0",
            remedy="a negative multiple of a kernel is no kernel",
        )
    return float(value)


def _real_array(name: str, values: ArrayLike) -> _FLOAT:
    array = np.array(values)
    if array.dtype.kind not in "biuf" and array.size:
        raise DtypeError(name, array.dtype, expected="real numbers", remedy="convert them first")
    return array.astype(np.float64)


def _check_finite(name: str, values: _FLOAT) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise NonFiniteError(
            name,
            f"{values[bad[0]]} at [{bad[0]}], {len(bad)} of {values.size} not finite",
            expected="finite numbers only",
            remedy="remove them, or damp the kernel so that it is finite",
        )
