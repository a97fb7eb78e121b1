"""Features of mean 0 and variance 1, whatever their units: from 1e-300 to 1e300.

Axes: n row, d feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Standardisation"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standardisation:
    """How raw features become features of mean 0 and variance 1.

    Example:
        >>> raw = np.array([[1e300, 5.0], [3e300, 5.0]])
        >>> Standardisation.of(raw)(raw).tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
    """

    mean_d: NDArray[np.float64]
    """(d,): subtracted."""
    scale_d: NDArray[np.float64]
    """(d,): then divided by; 0 for a constant feature, which becomes 0."""

    @classmethod
    def of(cls, features: NDArray[np.float64]) -> Standardisation:
        """That of a table's features (n, d)."""
        unit_d = _unit(np.abs(features).max(0))
        small = features / unit_d
        mean_d, scale_d = small.mean(0), small.std(0)
        # A constant column keeps the rounding of its mean, which must not be blown up.
        is_constant = scale_d <= 1e-12 * np.abs(small).max(0)
        return cls(mean_d=mean_d * unit_d, scale_d=np.where(is_constant, 0.0, scale_d * unit_d))

    def __call__(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """The features (n, d), standardised."""
        unit_d, mean_d, scale_d = self.in_units()
        is_constant = scale_d == 0
        centred = features / unit_d - mean_d
        return np.where(is_constant, 0.0, centred / np.where(is_constant, 1.0, scale_d))

    def in_units(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """A power of two near each feature's size, and mean and scale over it.

        Division by a power of two is exact, and nothing of size 1 over- or underflows after it.
        """
        unit_d = _unit(np.maximum(np.abs(self.mean_d), self.scale_d))
        return unit_d, self.mean_d / unit_d, self.scale_d / unit_d


def _unit(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The powers of two just above the sizes, within what float64 has; 1 for 0."""
    exponents = np.frexp(sizes)[1]
    return np.where(sizes > 0, np.ldexp(1.0, np.clip(exponents, -1021, 1023)), 1.0)
