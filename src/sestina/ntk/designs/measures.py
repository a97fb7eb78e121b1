"""What an activation's network has: kernel and spread, by quadrature on the activation itself.

The design declares what is measured here, not what it intended: tables, clamping and fits included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sestina.ntk.activations import Activation
from sestina.ntk.designs.variance import (
    ERROR_ANGLES,
    ERROR_COSINES,
    UnitVariance,
    unit_variance,
    variation,
)
from sestina.ntk.gaussian.series import HalfGrid, Parts, project
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.pairs import Kind

__all__ = ["KernelError", "Measured", "kernel_error", "measured", "measured_parts"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """An activation's infinitely wide network, and the spread of a finite one."""

    coefficients_k: Floats
    """aₖ of its kernel; what lies beyond the last degree measured stands at the two after it, so
    that K(1) and K(−1) are right."""
    variance: UnitVariance

    @property
    def kernel(self) -> DotProductKernel:
        """The kernel Σ aₖ cᵏ."""
        return DotProductKernel.from_coefficients(self.coefficients_k)


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelError:
    """Achieved minus asked kernel on `ERROR_COSINES`, 100 equidistant angles from 0 to π."""

    max: float
    """The largest absolute error."""
    rms: float
    """The root of the mean square."""
    sse: float
    """The sum of squares."""
    sse_interior: float
    """The sum of squares without c = 1."""
    at_one: float
    """The signed error at c = 1."""


def kernel_error(target: DotProductKernel, achieved: DotProductKernel) -> KernelError:
    """How far one kernel is from another.

    Example:
        >>> one, other = (DotProductKernel.from_coefficients(a) for a in ([1.0], [1.0, 0.1]))
        >>> round(kernel_error(one, other).max, 6)
        0.1
    """
    difference_a = achieved(ERROR_COSINES) - target(ERROR_COSINES)
    squares_a = difference_a**2
    assert ERROR_ANGLES[0] == 0
    return KernelError(
        max=float(np.abs(difference_a).max()),
        rms=float(np.sqrt(squares_a.mean())),
        sse=float(squares_a.sum()),
        sse_interior=float(squares_a[1:].sum()),
        at_one=float(difference_a[0]),
    )


def measured(activation: Activation, kind: Kind, *, degrees: int, limit: float) -> Measured:
    """Kernel and spread of one hidden layer of an activation, on the unit sphere.

    Args:
        activation: φ.
        kind: which kernel.
        degrees: Hermite coefficients of φ to compute.
        limit: |z| beyond which φ's energy is negligible.
    """

    def function(z: Floats) -> tuple[Floats, Floats]:
        points = torch.from_numpy(z)
        with torch.no_grad():
            return activation(points).numpy(), activation.derivative(points).numpy()

    grid = HalfGrid.panels(limit, activation.kinks)
    values, slopes = function(np.stack([grid.z_g, -grid.z_g]))
    parts = Parts.of(values[0], values[1], slopes[0], slopes[1])
    return measured_parts(grid, parts, kind, degrees=degrees, variation=variation(function, kind))


def measured_parts(
    grid: HalfGrid, parts: Parts, kind: Kind, *, degrees: int, variation: float
) -> Measured:
    """The same from a function on a grid, with its `variation` known."""
    even, odd = project(grid, parts.even_g[None], parts.odd_g[None], degrees)
    a_k = np.zeros(degrees + 2)
    a_k[0:degrees:2], a_k[1:degrees:2] = even[0] ** 2, odd[0] ** 2
    totals = [grid.mean(parts.even_g**2), grid.mean(parts.odd_g**2)]
    if kind == "ntk":
        a_k *= 1 + np.arange(a_k.size)
        totals[0] += grid.mean(parts.even_slope_g**2)
        totals[1] += grid.mean(parts.odd_slope_g**2)
    for parity, total in enumerate(totals):
        rest = total - float(a_k[parity::2].sum())
        a_k[degrees + (degrees + parity) % 2] = max(rest, 0.0)
    kernel = DotProductKernel.from_coefficients(a_k)
    variance = unit_variance(grid, parts, kernel, variation, kind)
    return Measured(coefficients_k=a_k, variance=variance)
