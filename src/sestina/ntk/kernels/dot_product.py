"""Dot-product kernels: functions K(c) = Σ aₖ cᵏ of the cosine between two inputs.

With aₖ ≥ 0 for every k and a finite sum, K is a kernel on spheres of every dimension (Schoenberg
1942) and the NNGP or NTK of a network with one hidden layer (Simon, Anand & DeWeese 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls
from torch import Tensor

from sestina.core.errors import (
    DivergentKernelError,
    InvalidValueError,
    NonFiniteError,
    OffSphereError,
    ShapeError,
)
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

__all__ = ["DotProductKernel", "Form"]

Form: TypeAlias = Literal["radial", "normalise", "strict"]
"""What a kernel of cosines makes of inputs off the sphere."""

_FLOAT = NDArray[np.float64]

_CIRCLE_POINTS = 16
"""Points on the circle per coefficient read; more points lose fewer digits to the radius."""
_ALIASING_EXPONENT = 36.0
"""rᴹ = exp(−36), the rounding unit: what the coefficients from aₖ₊ₘ on add to aₖ."""
_MAX_FITTED_DEGREE = 255
"""Samples do not determine more coefficients than this; the rest is taken as zero."""
_ANALYTIC_TOLERANCE = 1e-8
_SPHERE_TOLERANCE = 1e-6
_PARALLEL_ULPS = 8.0


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
        values = np.array(coefficients, dtype=np.float64)
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
        if not 0 <= degree <= _MAX_FITTED_DEGREE:
            raise InvalidValueError(
                "degree",
                degree,
                expected=f"0 to {_MAX_FITTED_DEGREE}",
                remedy="samples in float64 determine no more coefficients",
            )
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
        """The largest error at the samples that the kernel was fitted to; 0 if it was not."""
        return self._expression.residual

    @overload
    def __call__(self, c: float) -> float: ...
    @overload
    def __call__(self, c: NDArray[Any]) -> NDArray[Any]: ...
    @overload
    def __call__(self, c: Tensor) -> Tensor: ...
    def __call__(self, c: float | NDArray[Any] | Tensor) -> float | NDArray[Any] | Tensor:
        """K(c), for a number, an array or a tensor; differentiable for tensors.

        Args:
            c: real in [−1, 1], or complex in the open unit disc where K is analytic.
        """
        if isinstance(c, Tensor):
            wide = c if c.is_complex() else c.to(torch.float64)
            values = self._expression.evaluate(wide)
            return values if c.is_complex() else values.to(c.dtype)
        array = np.asarray(c)
        wide_array = array if np.iscomplexobj(array) else array.astype(np.float64)
        with torch.no_grad():
            result = self._expression.evaluate(torch.from_numpy(np.atleast_1d(wide_array))).numpy()
        if isinstance(c, np.ndarray):
            return result.reshape(array.shape)
        return float(result[0])

    def coefficients(self, n: int) -> _FLOAT:
        """a₀ … aₙ₋₁.

        An analytic kernel's are read by FFT on a circle just inside the unit disc, with an absolute
        error of some 1e-15·K(1). Others are fitted at 1,024 evenly spaced angles, non-negative;
        only the first 256 then differ from zero.

        Raises:
            InvalidValueError: if K turns out not to be analytic in the disc.
        """
        if n < 0:
            raise InvalidValueError("n", n, expected="at least 0", remedy="pass how many to read")
        if isinstance(self._expression, Series):
            known = self._expression.coefficients[:n]
            return np.pad(known, (0, n - len(known)))
        if not self.is_analytic:
            c = np.cos(np.linspace(0, np.pi, 4 * (_MAX_FITTED_DEGREE + 1)))
            fitted = _fit(c, self(c), min(n, _MAX_FITTED_DEGREE + 1))[0]
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
        directions1, radii1 = _polar("x1", x1, form)
        directions2, radii2 = (directions1, radii1) if x2 is None else _polar("x2", x2, form)
        values = self(_cosines(directions1, directions2, same=x2 is None))
        if form == "radial":
            values = radii1[:, None] * radii2 * values
        return values.to(x1.dtype)

    def __add__(self, other: DotProductKernel) -> DotProductKernel:
        if not isinstance(other, DotProductKernel):
            return NotImplemented
        return DotProductKernel(Sum(self._expression, other._expression))

    def __mul__(self, other: DotProductKernel | float) -> DotProductKernel:
        if isinstance(other, DotProductKernel):
            return DotProductKernel(Product(self._expression, other._expression))
        if not isinstance(other, (int, float)):
            return NotImplemented
        if not 0 <= other < math.inf:
            raise InvalidValueError(
                "factor",
                other,
                expected="a finite number of at least 0",
                remedy="a negative multiple of a kernel is no kernel",
            )
        return DotProductKernel(Scaled(float(other), self._expression))

    __rmul__ = __mul__

    def __matmul__(self, inner: DotProductKernel) -> DotProductKernel:
        """The composition K(inner(c)); `inner.total` must not leave the domain of K."""
        if not isinstance(inner, DotProductKernel):
            return NotImplemented
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
        error = float(np.abs(np.polynomial.polynomial.polyval(c, coefficients) - self(c)).max())
        if error > _ANALYTIC_TOLERANCE * max(1.0, abs(self.total)):
            raise InvalidValueError(
                "kernel",
                f"off by {error:.2g} from its own series",
                expected="a function that is analytic in the unit disc",
                remedy="pass complex_argument=False if it is only defined on real numbers",
            )


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


def _polar(name: str, x: Tensor, form: Form) -> tuple[Tensor, Tensor]:
    """Unit rows and |x|/√d, in float64."""
    if form not in ("radial", "normalise", "strict"):
        raise InvalidValueError(
            "form", form, expected="'radial', 'normalise' or 'strict'", remedy="pass one of them"
        )
    wide = x.to(torch.float64)
    is_zero = (wide == 0).all(1)
    norms = torch.linalg.vector_norm(torch.where(is_zero[:, None], 1.0, wide), dim=1)
    radii = torch.where(is_zero, 0.0, norms / math.sqrt(x.shape[1]))
    is_off = is_zero if form == "normalise" else (radii - 1).abs() > _SPHERE_TOLERANCE
    if form != "radial" and bool(is_off.any()):
        row = int(is_off.nonzero()[0])
        raise OffSphereError(
            name,
            f"of norm {float(radii[row].detach() * math.sqrt(x.shape[1])):.6g} in row {row}",
            expected="a norm above 0"
            if form == "normalise"
            else f"the norm √d = {math.sqrt(x.shape[1]):.6g}",
            remedy="remove it, or use form='radial'"
            if form == "normalise"
            else "use form='normalise' or form='radial'",
        )
    return wide / norms[:, None], radii


def _cosines(directions1: Tensor, directions2: Tensor, *, same: bool) -> Tensor:
    cosines = directions1 @ directions2.T
    # Equal and opposite rows: K may have a square-root singularity there, which would turn the
    # product's rounding error of 1e-16 into one of 1e-8.
    is_parallel = 1 - cosines.abs() <= _PARALLEL_ULPS * torch.finfo(cosines.dtype).eps
    cosines = torch.where(is_parallel, cosines.detach().sign(), cosines)
    if not same:
        return cosines
    is_diagonal = torch.eye(len(cosines), dtype=torch.bool, device=cosines.device)
    return torch.where(is_diagonal, 1.0, cosines)


def _checked_samples(c: ArrayLike, values: ArrayLike) -> tuple[_FLOAT, _FLOAT]:
    points = np.array(c, dtype=np.float64)
    targets = np.array(values, dtype=np.float64)
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


def _check_finite(name: str, values: _FLOAT) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise NonFiniteError(
            name,
            f"{values[bad[0]]} at [{bad[0]}], {len(bad)} of {values.size} not finite",
            expected="finite numbers only",
            remedy="remove them, or damp the kernel so that it is finite",
        )
