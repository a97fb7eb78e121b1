"""Makes the polynomials of `sestina/fuser/render/mathematics.py`.

    python recipes/fuser_polynomials.py

Each is fitted in float64 to the function's reference by least squares whose weights are raised
where the error is large, until it is level: close to the polynomial of least largest error
(Lawson's algorithm). The printed coefficients are those of the file, in order of rising powers; the
error is relative to the function, or absolute where the result is 1 minus the polynomial.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["fitted", "main"]

Array = NDArray[np.float64]
_ROUNDS = 60


def fitted(
    function: Callable[[float], float],
    weight: Callable[[float], float],
    powers: range,
    points: Array,
    centre: float = 0.0,
) -> tuple[Array, float]:
    """Coefficients of powers of x less a centre, and the largest weighted error at the points."""
    basis = np.stack([(points - centre) ** power for power in powers], axis=1)
    values = np.array([function(x) for x in points])
    weights = np.array([weight(x) for x in points])
    raised = np.ones(len(points))
    coefficients, error = np.zeros(len(powers)), math.inf
    for _ in range(_ROUNDS):
        scale = weights * np.sqrt(raised)
        coefficients, *_ = np.linalg.lstsq(basis * scale[:, None], values * scale, rcond=None)
        errors = np.abs((basis @ coefficients - values) * weights)
        error = float(errors.max())
        raised *= np.sqrt(errors / error + 1e-9)
        raised /= raised.max()
    return coefficients, error


def _points(low: float, high: float, count: int = 400, gap: float = 0.0) -> Array:
    """Chebyshev's points of an interval, less those near 0, where a quotient is lost."""
    angles = np.pi * (np.arange(count) + 0.5) / count
    points: Array = (low + high) / 2 + (high - low) / 2 * np.cos(angles)
    return points[np.abs(points) > gap]


def main() -> None:
    """Prints every polynomial."""
    half = math.log(2) / 2
    low, high = math.sqrt(0.5) - 1, math.sqrt(2) - 1
    fits = {
        "exp: (e^x - 1 - x) / x^2": fitted(
            lambda x: (math.expm1(x) - x) / x**2,
            lambda x: x**2,
            range(6),
            _points(-half, half, gap=1e-2),
        ),
        "log: (log(1 + x) - x + x^2 / 2) / x^3": fitted(
            lambda x: (math.log1p(x) - x + x * x / 2) / x**3,
            lambda x: abs(x**3 / math.log1p(x)),
            range(9),
            _points(low, high, gap=1e-2),
        ),
        "tanh: tanh(x) / x": fitted(
            lambda x: math.tanh(x) / x,
            lambda x: x / math.tanh(x),
            range(0, 11, 2),
            _points(1e-4, 0.625),
        ),
        "erf below 1: erf(x) / x": fitted(
            lambda x: math.erf(x) / x,
            lambda x: x / math.erf(x),
            range(0, 13, 2),
            _points(1e-4, 1.0),
        ),
        "erf above 1: 1 - erf(x)": fitted(
            math.erfc, lambda _: 1.0, range(13), _points(1.0, 3.95, 600), centre=2.475
        ),
    }
    for name, (coefficients, error) in fits.items():
        print(f"{name}: error {error:.1e}")
        for coefficient in coefficients:
            print(f"    {float(coefficient)!r}")


if __name__ == "__main__":
    main()
