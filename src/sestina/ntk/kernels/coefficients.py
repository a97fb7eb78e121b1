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

from sestina.core.errors import DivergentKernelError, InvalidValueError, NotAchievableError
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
"""A kernel without complex values is fitted by non-negative coefficients. Square-root singularities
at c = ±1 leave up to half of this fraction of K(1); what leaves more is refused."""
_PROJECTED_DEGREES = 48
"""The nearest kernel changes coefficients below this degree (and clips those from it on)."""
_PROJECTION_COSINES: Floats = np.cos(np.linspace(0, math.pi, 401))


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
        InvalidValueError: if the kernel is zero, or not analytic in the unit disc.

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
    a_k = kernel.coefficients(degrees)
    scale = float(np.abs(a_k).sum())
    if not kernel.is_analytic:
        _check_fitted(kernel, a_k)
    if (a_k < -_NEGATIVE * scale).any():
        raise _refusal(kernel, a_k, np.flatnonzero(a_k < -_NEGATIVE * scale))
    if kernel.total <= 0 or scale == 0:
        raise InvalidValueError(
            "kernel",
            f"zero: K(1) = {kernel.total:g}",
            expected="a kernel with K(1) > 0",
            remedy="a network without hidden units has the zero kernel; ask for another",
        )
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


def _refusal(
    kernel: DotProductKernel, a_k: Floats, negative: NDArray[np.intp]
) -> NotAchievableError:
    nearest_k = _nearest(kernel, a_k)
    nearest = DotProductKernel.from_coefficients(nearest_k)
    distance = float(np.abs(kernel(_PROJECTION_COSINES) - nearest(_PROJECTION_COSINES)).max())
    return NotAchievableError(
        tuple(int(k) for k in negative),
        tuple(float(a_k[k]) for k in negative),
        nearest=nearest,
        distance=distance,
        remedy=f"design error.nearest instead, which differs from it by at most {distance:.3g}",
    )


def _nearest(kernel: DotProductKernel, a_k: Floats) -> Floats:
    """The achievable coefficients nearest in the mean square over angles."""
    tail_k = np.maximum(a_k, 0.0)
    tail_k[:_PROJECTED_DEGREES] = 0.0
    target = kernel(_PROJECTION_COSINES) - np.polynomial.polynomial.polyval(
        _PROJECTION_COSINES, tail_k
    )
    powers = _PROJECTION_COSINES[:, None] ** np.arange(min(_PROJECTED_DEGREES, a_k.size))
    low_k: Floats = nnls(powers, target, maxiter=100 * powers.shape[1])[0]
    nearest_k = tail_k
    nearest_k[: low_k.size] = low_k
    return np.trim_zeros(nearest_k, "b") if nearest_k.any() else nearest_k[:1]


def _check_fitted(kernel: DotProductKernel, a_k: Floats) -> None:
    """Refuses a kernel known on the real axis only, if no achievable one is near it."""
    values = kernel(_PROJECTION_COSINES)
    residual = np.abs(np.polynomial.polynomial.polyval(_PROJECTION_COSINES, a_k) - values).max()
    if residual <= _UNFITTED * np.abs(values).max():
        return
    # The signed coefficients of a smooth fit of low degree show where the kernel goes wrong.
    chebyshev = np.polynomial.chebyshev.chebfit(_PROJECTION_COSINES, values, 8)
    signed_k: Floats = np.polynomial.chebyshev.cheb2poly(chebyshev).astype(np.float64)
    negative = np.flatnonzero(signed_k < -_UNFITTED * np.abs(values).max())
    if not negative.size:
        negative = np.array([int(signed_k.argmin())], dtype=np.intp)
    raise _refusal(kernel, signed_k, negative)
