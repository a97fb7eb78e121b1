"""C++ kernels of sestina.ntk, see csrc/ntk. Arrays are never converted."""

from typing import Annotated, overload

import numpy
from numpy.typing import NDArray


tile_size: int = 144

def simd_levels() -> list[str]:
    """The instruction sets of this processor, portable first."""

def simd_level() -> str:
    """The best of them."""

def table_degree(is_double: bool) -> int:
    """The degree of a table's polynomials."""

def angle_degree(is_double: bool) -> int:
    """The degree of the angle's polynomials."""

class PackedFloats:
    """Rows divided by their norms, in the order of the tiles."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    @property
    def norms(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]:
        """Euclidean norms; not finite where a row is not."""

def new_float_matrices(count: int, rows: int, columns: int, threads: int) -> list[Annotated[NDArray[numpy.float32], dict(shape=(None, None))]]:
    """Matrices of any contents, in large pages if there are."""

def pack_floats(matrix: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device='cpu', writable=False)], level: str, threads: int) -> PackedFloats:
    """Rows for the tiles of an instruction set, one of simd_levels()."""

@overload
def fill_from_table(left: PackedFloats, right: PackedFloats | None, first: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device='cpu')] | None, second: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device='cpu')] | None, coefficients: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None, None), order='C', device='cpu', writable=False)], placement: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], graded: bool, first_scale: float, near: tuple[float, float], left_scale: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], right_scale: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], band: tuple[int, int], threads: int) -> None: ...

@overload
def fill_from_table(left: PackedDoubles, right: PackedDoubles | None, first: Annotated[NDArray[numpy.float64], dict(shape=(None, None), device='cpu')] | None, second: Annotated[NDArray[numpy.float64], dict(shape=(None, None), device='cpu')] | None, coefficients: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None, None), order='C', device='cpu', writable=False)], placement: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], graded: bool, first_scale: float, near: tuple[float, float], left_scale: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], right_scale: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], band: tuple[int, int], threads: int) -> None:
    """
    Fill the rows of a band from a KernelTable; without right, their transposes, too.
    """

@overload
def fill_rectifier(left: PackedFloats, right: PackedFloats | None, nngp: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device='cpu')] | None, ntk: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device='cpu')] | None, slopes: tuple[float, float], layers: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], scale: float, polynomials: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], near: tuple[float, float], band: tuple[int, int], threads: int) -> None: ...

@overload
def fill_rectifier(left: PackedDoubles, right: PackedDoubles | None, nngp: Annotated[NDArray[numpy.float64], dict(shape=(None, None), device='cpu')] | None, ntk: Annotated[NDArray[numpy.float64], dict(shape=(None, None), device='cpu')] | None, slopes: tuple[float, float], layers: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], scale: float, polynomials: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], near: tuple[float, float], band: tuple[int, int], threads: int) -> None:
    """
    Fill the rows of a band by a RectifierNetwork; without right, their transposes, too.
    """

class PackedDoubles:
    """Rows divided by their norms, in the order of the tiles."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    @property
    def norms(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]:
        """Euclidean norms; not finite where a row is not."""

def new_double_matrices(count: int, rows: int, columns: int, threads: int) -> list[Annotated[NDArray[numpy.float64], dict(shape=(None, None))]]:
    """Matrices of any contents, in large pages if there are."""

def pack_doubles(matrix: Annotated[NDArray[numpy.float64], dict(shape=(None, None), device='cpu', writable=False)], level: str, threads: int) -> PackedDoubles:
    """Rows for the tiles of an instruction set, one of simd_levels()."""
