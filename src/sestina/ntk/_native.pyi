"""C++ kernels of sestina.ntk; see csrc/ntk. Arrays are never converted."""

from typing import overload

import numpy as np
from numpy.typing import NDArray

tile_size: int
"""Rows and columns of a tile: bands begin and end at multiples of it."""

def simd_level() -> str:
    """The best instruction set of this processor: "avx512", "avx2" or "portable"."""

def simd_levels() -> list[str]:
    """All that it has, "portable" first."""

def table_degree(is_double: bool) -> int:
    """The degree of a table's polynomials."""

def angle_degree(is_double: bool) -> int:
    """The degree of the polynomials of `angle_polynomials`."""

class PackedFloats:
    """Rows divided by their norms, in the order that tiles are computed in."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def norms(self) -> NDArray[np.float64]: ...

class PackedDoubles:
    """Rows divided by their norms, in the order that tiles are computed in."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def norms(self) -> NDArray[np.float64]: ...

@overload
def pack_rows(matrix: NDArray[np.float32], level: str, threads: int) -> PackedFloats: ...
@overload
def pack_rows(matrix: NDArray[np.float64], level: str, threads: int) -> PackedDoubles: ...
def fill_from_table(
    left: PackedFloats | PackedDoubles,
    right: PackedFloats | PackedDoubles | None,
    first: NDArray[np.float32] | NDArray[np.float64],
    second: NDArray[np.float32] | NDArray[np.float64] | None,
    coefficients: NDArray[np.float32] | NDArray[np.float64],
    placement: NDArray[np.float64],
    graded: bool,
    first_scale: float,
    near: tuple[float, float],
    left_scale: NDArray[np.float64],
    right_scale: NDArray[np.float64],
    band: tuple[int, int],
    threads: int,
) -> None:
    """Fill the rows of `band` from a `KernelTable`; without `right`, their transposes, too."""

def fill_rectifier(
    left: PackedFloats | PackedDoubles,
    right: PackedFloats | PackedDoubles | None,
    nngp: NDArray[np.float32] | NDArray[np.float64] | None,
    ntk: NDArray[np.float32] | NDArray[np.float64] | None,
    slopes: tuple[float, float],
    layers: NDArray[np.float64],
    scale: float,
    polynomials: NDArray[np.float32] | NDArray[np.float64],
    near: tuple[float, float],
    band: tuple[int, int],
    threads: int,
) -> None:
    """Fill the rows of `band` by a `RectifierNetwork`; without `right`, their transposes, too."""

def advise_large_pages(array: NDArray[np.float32] | NDArray[np.float64]) -> None:
    """Ask the system for large pages under fresh memory. A hint."""
