"""Signs and limit of a designed activation, chosen together."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sestina.ntk.designs.measures import kernel_error, measured_parts
from sestina.ntk.designs.signs import alternating_signs, chosen_signs, magnitudes
from sestina.ntk.gaussian.series import HalfGrid, evaluate
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.pairs import Kind

__all__ = ["signs_and_limit"]

Floats = NDArray[np.float64]

_LIMITS = (7.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 16.0, 24.0)
"""Where φ may be clamped, i.e. continued by its tangent. The usual one comes first: among 10¹¹
draws of N(0, 1) one has |z| > 7."""
_GOOD_ENOUGH = 1.2
"""Squared errors this near to the least one are as good, i.e. a tenth in the error itself: of such
limits the one with the nearest kernel is taken."""
_LOST_ENOUGH = 1e-9
"""A limit beyond which there is less of the energy E[φ² + φ'²] than this need not be wider."""


def signs_and_limit(
    a_k: Floats, kind: Kind, *, width: int, signs: Literal["searched", "alternating"]
) -> tuple[Floats, float]:
    """The signs and the limit with the least expected error of a network of one width.

    A polynomial explodes at large |z|, where no unit of a real network ever is but where its fourth
    moments are made: 33 terms for the 4-layer ReLU kernel have σ(1) = 1e12 in theory, and 5 when
    continued by the tangent from |z| = 5 on. A smaller limit loses energy (bias), a wider one may
    add variance; both are measured for each limit.

    Args:
        a_k: the kernel's coefficients, a thousand at most.
        kind: which kernel.
        width: of the network.
        signs: "alternating" takes + + − − and chooses the limit only.

    Returns:
        ±1 for each degree, and the limit.
    """
    b_k = magnitudes(a_k, kind)
    target = DotProductKernel.from_coefficients(a_k)
    tried: list[tuple[float, float, Floats, float]] = []
    for limit in _LIMITS:
        if signs == "searched":
            signs_k = chosen_signs(b_k, kind, width=width, limit=limit)
        else:
            signs_k = alternating_signs(b_k.size)
        grid = HalfGrid.panels(limit + 3, [limit])
        parts = evaluate(signs_k * b_k, np.minimum(grid.z_g, limit)).beyond(limit, grid.z_g)
        result = measured_parts(grid, parts, kind, degrees=max(b_k.size, 64), variation=1.0)
        bias = kernel_error(target, result.kernel).rms
        squared_error = bias**2 + result.variance.rms**2 / width
        tried.append((squared_error, limit, signs_k, bias))
        is_inside = grid.z_g <= limit
        energy = grid.mean(parts.square_g * is_inside)
        energy += grid.mean(parts.slope_square_g * is_inside) if kind == "ntk" else 0.0
        if limit >= _LIMITS[0] and energy > (1 - _LOST_ENOUGH) * target.total:
            break  # the others could only cost bias, or change nothing
    least = min(choice[0] for choice in tried)
    good = [choice for choice in tried if choice[0] <= _GOOD_ENOUGH * least]
    _, limit, signs_k, _ = min(good, key=lambda choice: choice[3])
    return signs_k, limit
