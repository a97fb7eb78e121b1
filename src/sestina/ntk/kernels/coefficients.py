"""From a kernel to the coefficients that one hidden layer can have.

A kernel K(c) = Σ aₖ cᵏ is a network's if and only if every aₖ ≥ 0 and the sum is finite
(Schoenberg 1942; Simon, Anand & DeWeese 2022). `asked_coefficients` reads the aₖ and refuses the
others with a certificate. `truncated` cuts a long series without the harm that a cut does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from sestina.core.errors import (
    DivergentKernelError,
    InvalidValueError,
    NotAchievableError,
    NotAnalyticError,
)
from sestina.ntk.kernels.dot_product import DotProductKernel

__all__ = ["AskedCoefficients", "asked_coefficients", "truncated"]

Floats = NDArray[np.float64]

_NEGATIVE = 1e-12
"""A coefficient above −1e-12·Σ|aₖ| counts as zero. Coefficients are read with an error of 1e-15 to
1e-14·Σ|aₖ| (rounding, amplified by the circle's radius): a hundred times less, so that no sound
kernel is refused. What passes is within 1e-12·Σ|aₖ| per coefficient of an achievable kernel."""
_NOISE = 1e-14
"""Read coefficients below this fraction of K(1) are not told from rounding and taken as zero."""
_UNFITTED = 1e-2
"""A kernel without complex values is fitted by non-negative coefficients up to degree 255. ReLU
networks, square-root singularities at c = ±1 included, leave less than this fraction of it, and
more is refused."""
_UNLIKE = 0.1
"""Of samples more may be noise: a kernel that is off by more of its size is refused."""
_PROJECTED_DEGREES = (48, 256)
"""The nearest kernel changes coefficients below the first of these degrees, or up to the last
negative one, but none from the second on, where it clips."""
_PROJECTION_COSINES: Floats = np.cos(np.linspace(0, math.pi, 1025))
_LOCAL_RADII = (0.9, 0.7, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05, 0.02)
_LOCAL_POINTS = 256
_LOCAL_DEGREES = 12
"""Coefficients of a kernel that is a power series only near zero: a few first ones show enough."""
_LOCAL_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCoefficients:
    """What a kernel asks for."""

    a_k: Floats
    """a₀, a₁, …, non-negative, trailing zeros removed."""
    total: float
    """K(1)."""

    @property
    def tail(self) -> float:
        """What the coefficients at hand leave out of K(1)."""
        return max(self.total - float(self.a_k.sum()), 0.0)


def asked_coefficients(kernel: DotProductKernel, degrees: int) -> AskedCoefficients:
    """The first aₖ of an achievable kernel.

    Args:
        kernel: the target.
        degrees: how many, at most.

    Raises:
        DivergentKernelError: if Σ aₖ is infinite.
        NotAchievableError: if an aₖ is negative, with the nearest kernel that can be had.
        InvalidValueError: if the kernel is zero or of higher degrees, or if neither coefficients
            nor a fit of some can be had.

    Example:
        >>> asked = asked_coefficients(DotProductKernel.from_coefficients([0, 0, 1, 1]), 100)
        >>> asked.a_k.tolist(), asked.total
        ([0.0, 0.0, 1.0, 1.0], 2.0)
    """
    if not math.isfinite(kernel.total):
        raise DivergentKernelError(
            "K(1)",
            kernel.total,
            expected="a finite sum of coefficients, Σ a_k = K(1)",
            remedy="damp the kernel, e.g. K(0.99 c)",
        )
    a_k = _read(kernel, degrees)
    _check_size(kernel, a_k, degrees)
    a_k = np.where(a_k < _NOISE * kernel.total, 0.0, a_k)
    return AskedCoefficients(a_k=np.trim_zeros(a_k, "b"), total=kernel.total)


def truncated(asked: AskedCoefficients, degrees: int) -> Floats:
    """Non-negative coefficients of that many degrees with the sum K(1).

    A series cut at degree N rings: φ oscillates at large |z|, where the finite-width variance is
    made, and K(1) lacks the tail. Instead the last quarter is faded out (cos²) and what is missing
    from K(1) comes back as a smooth bump (sin⁴) there. K(1) is then exact, and elsewhere the error
    is about c^(3N/4) times the tail, like the cut's. The smoothness matters: at 4,000 degrees of
    the 4-layer ReLU tangent kernel a flat bump leaves 4e-4 of E[φ'²] at |z| > 6, this one 1e-8.

    A series that ends before `degrees` comes back as it is.

    Example:
        >>> asked = asked_coefficients(DotProductKernel.from_coefficients([1.0, 0.5]), 9)
        >>> truncated(asked, 9).tolist()
        [1.0, 0.5]
    """
    if asked.a_k.size < degrees and asked.tail <= _NEGATIVE * asked.total:
        return asked.a_k
    if asked.a_k.size <= 2 or degrees <= 2:
        return asked.a_k[:degrees]
    a_k = asked.a_k[:degrees]
    start = (3 * a_k.size) // 4
    place = (np.arange(start, a_k.size) - start + 0.5) / (a_k.size - start)
    result = a_k.copy()
    result[start:] *= np.cos(math.pi / 2 * place) ** 2
    bump = np.sin(math.pi * place) ** 4
    result[start:] += bump * ((asked.total - float(result.sum())) / float(bump.sum()))
    return result


def _read(kernel: DotProductKernel, degrees: int) -> Floats:
    """The coefficients, if none is negative."""
    try:
        a_k = kernel.coefficients(degrees)
    except NotAnalyticError as error:
        raise _no_series(kernel) or error from error
    if not kernel.is_analytic:
        _check_fitted(kernel)
    elif kernel.residual > _UNLIKE * max(kernel.total, kernel.residual):
        raise InvalidValueError(
            "samples",
            f"off by up to {kernel.residual:.3g} from every kernel with a_k >= 0",
            expected="those of a kernel that a network has",
            remedy="design the nearest all the same: "
            "DotProductKernel.from_coefficients(kernel.coefficients(n))",
        )
    # Reading is off by a fraction of K(1), even where the mass lies at degrees not read.
    scale = max(float(np.abs(a_k).sum()), abs(kernel.total))
    negative = np.flatnonzero(a_k < -_NEGATIVE * scale)
    if negative.size:
        raise _refusal(kernel, negative, a_k[negative], _nearest(kernel, a_k))
    return a_k


def _check_size(kernel: DotProductKernel, a_k: Floats, degrees: int) -> None:
    if kernel.total <= 0:
        raise InvalidValueError(
            "kernel",
            f"zero: K(1) = {kernel.total:g}",
            expected="a kernel with K(1) > 0",
            remedy="a network without hidden units has the zero kernel; ask for another",
        )
    found = float(a_k[a_k > _NOISE * kernel.total].sum())
    if found <= _NEGATIVE * kernel.total or not math.isfinite(found):
        raise InvalidValueError(
            "kernel",
            f"K(1) = {kernel.total:g}; its first {degrees:,} coefficients make {found:.2g} of it",
            expected="a kernel that these degrees tell something of",
            remedy="ask for more degrees, or for a kernel that is less sharp",
        )


def _refusal(
    kernel: DotProductKernel, negative: NDArray[np.intp], values: Floats, nearest_k: Floats
) -> NotAchievableError:
    nearest = DotProductKernel.from_coefficients(nearest_k)
    distance = float(np.abs(kernel(_PROJECTION_COSINES) - nearest(_PROJECTION_COSINES)).max())
    return NotAchievableError(
        tuple(int(k) for k in negative),
        tuple(float(value) for value in values),
        nearest=nearest,
        distance=distance,
        remedy=f"design error.nearest instead, which differs from it by at most {distance:.3g}"
        if nearest_k.any()
        else "ask for another: the nearest kernel is zero",
    )


def _nearest(kernel: DotProductKernel, a_k: Floats) -> Floats:
    """The achievable coefficients nearest in the mean square over angles."""
    fewest, most = _PROJECTED_DEGREES
    degrees = min(max(fewest, int(np.flatnonzero(a_k < 0)[-1]) + 1), most, a_k.size)
    nearest_k = np.maximum(a_k, 0.0)
    nearest_k[:degrees] = 0.0
    values = kernel(_PROJECTION_COSINES)
    target = values - np.polynomial.polynomial.polyval(_PROJECTION_COSINES, nearest_k)
    powers = _PROJECTION_COSINES[:, None] ** np.arange(degrees)
    low_k: Floats = nnls(powers, target, maxiter=100 * degrees)[0]
    nearest_k[:degrees] = np.where(low_k > _NEGATIVE * np.abs(values).max(), low_k, 0.0)
    return np.trim_zeros(nearest_k, "b") if nearest_k.any() else nearest_k[:1]


def _no_series(kernel: DotProductKernel) -> NotAchievableError | None:
    """The refusal of an analytic function whose series ends within the disc, if that shows why."""
    values = kernel(_PROJECTION_COSINES)
    fitted_k = DotProductKernel.from_samples(_PROJECTION_COSINES, values).coefficients(101)
    for radius in _LOCAL_RADII:
        angles = np.arange(_LOCAL_POINTS) * (2 * np.pi / _LOCAL_POINTS)
        on_circle = kernel(radius * np.exp(1j * angles))
        a_k = (
            np.fft.fft(on_circle).real / _LOCAL_POINTS * radius ** -np.arange(float(_LOCAL_POINTS))
        )
        c = np.linspace(-radius / 2, radius / 2, 9)
        gap = np.abs(np.polynomial.polynomial.polyval(c, a_k[: _LOCAL_POINTS // 2]) - kernel(c))
        if gap.max() <= _LOCAL_TOLERANCE * np.abs(on_circle).max():
            return _local_refusal(kernel, a_k[:_LOCAL_DEGREES], fitted_k)
    return None


def _check_fitted(kernel: DotProductKernel) -> None:
    """Refuses a kernel known on the real axis only, if no achievable one is near it.

    Raises:
        NotAchievableError: if its first derivatives at zero show a negative coefficient.
        InvalidValueError: if they do not.
    """
    values = kernel(_PROJECTION_COSINES)
    if kernel.residual <= _UNFITTED * np.abs(values).max():
        return
    for low, high in ((-0.5, 0.5), (0.0, 0.5)):  # a power series is one on either side of zero
        nodes = (low + high) / 2 + (high - low) / 2 * np.cos(np.linspace(0, math.pi, 201))
        at_nodes = kernel(nodes)
        fit = np.polynomial.Chebyshev.fit(nodes, at_nodes, 2 * _LOCAL_DEGREES, domain=[low, high])
        # A smooth function is found to rounding.
        if np.abs(fit(nodes) - at_nodes).max() <= _LOCAL_TOLERANCE * np.abs(values).max():
            a_k = np.asarray(fit.convert(kind=np.polynomial.Polynomial).coef, dtype=np.float64)
            refusal = _local_refusal(kernel, a_k[:_LOCAL_DEGREES], kernel.coefficients(256))
            if refusal is not None:
                raise refusal
    raise InvalidValueError(
        "kernel",
        f"off by up to {kernel.residual:.3g} from every series with a_k >= 0 of 256 terms",
        expected="a kernel that a network has, of degrees that real values tell apart",
        remedy="pass a function that takes complex arrays, or the coefficients",
    )


def _local_refusal(
    kernel: DotProductKernel, a_k: Floats, nearest_k: Floats
) -> NotAchievableError | None:
    """The refusal by coefficients read near zero, if one is negative beyond their error."""
    noise = _LOCAL_TOLERANCE * np.abs(kernel(_PROJECTION_COSINES)).max()
    negative = np.flatnonzero(a_k < -noise * 16.0 ** np.arange(a_k.size))
    if not negative.size:
        return None
    return _refusal(kernel, negative, a_k[negative], nearest_k)
