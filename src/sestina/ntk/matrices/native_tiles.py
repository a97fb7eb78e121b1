"""Kernel matrices of CPU tensors by the C++ kernel: cosines and values tile by tile, in cache."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sestina.core.errors import UnknownNameError
from sestina.ntk import _native
from sestina.ntk.matrices.plans import Plan
from sestina.ntk.matrices.rectifiers import angle_polynomials

__all__ = ["TILE", "PackedRows", "fill", "new_matrices", "pack", "simd_level"]

Floats = NDArray[np.float64]
Values: TypeAlias = NDArray[Any]
"""float32 or float64."""

TILE = _native.tile_size
"""Rows of a tile: bands begin and end at its multiples."""
PackedRows: TypeAlias = _native.PackedFloats | _native.PackedDoubles

# Overloads go by element type, which an array's static type does not tell here.
_calls: Any = _native
_NONE = np.zeros(0)
_LARGE_BYTES = 8 << 20
"""From here on large pages are worth asking for."""


def simd_level() -> str:
    """The instruction set in use: the best of this machine, or what `SESTINA_SIMD` names.

    Raises:
        UnknownNameError: if `SESTINA_SIMD` names one that this machine does not have.
    """
    level = os.environ.get("SESTINA_SIMD") or _native.simd_level()
    if level not in _native.simd_levels():
        raise UnknownNameError(
            "SESTINA_SIMD",
            level,
            expected=f"one of {', '.join(_native.simd_levels())} on this machine",
            remedy="unset the variable to use the best",
        )
    return level


def pack(rows: Tensor, num_threads: int) -> PackedRows:
    """The rows divided by their norms, in the order of the tiles; and the norms, in float64.

    Args:
        rows: (n, d), float32 or float64, on the CPU, any strides. NaN and infinity are not looked
            for, but make the norm of their row not finite.
        num_threads: how many threads may work.
    """
    array = rows.detach().resolve_neg().numpy()
    if array.dtype == np.float32:
        return _native.pack_floats(array, simd_level(), num_threads)
    return _native.pack_doubles(array, simd_level(), num_threads)


def fill(
    plan: Plan,
    left: PackedRows,
    right: PackedRows | None,
    outputs: list[Values],
    band: tuple[int, int],
    num_threads: int,
) -> None:
    """Write the rows of a band, but for the diagonal.

    Args:
        plan: a table or rectifiers.
        left: the rows of x1.
        right: the rows of x2; None where x2 is x1: then entries right of the band's first column
            are computed and mirrored below, so that all bands together fill the matrix.
        outputs: one (n, m) array per kind, with contiguous rows.
        band: first row and end, multiples of `TILE` or the last row.
        num_threads: how many threads may work.
    """
    dtype = np.float32 if plan.precision == "float32" else np.float64
    if plan.table is not None:
        table = plan.table
        scaled = plan.left_scale is not None
        _calls.fill_from_table(
            left,
            right,
            outputs[0],
            outputs[1] if len(outputs) > 1 else None,
            table.coefficients.astype(dtype),
            table.placement,
            table.is_graded,
            table.first_scale,
            plan.near,
            _NONE if plan.left_scale is None else plan.left_scale,
            _right_scale(plan) if scaled else _NONE,
            band,
            num_threads,
        )
        return
    assert plan.rectifiers is not None
    by_kind = dict(zip(plan.kinds, outputs, strict=True))
    _calls.fill_rectifier(
        left,
        right,
        by_kind.get("nngp"),
        by_kind.get("ntk"),
        (plan.rectifiers.a, plan.rectifiers.b),
        plan.rectifiers.layers,
        float(np.sqrt(left.shape[1])),
        angle_polynomials(_native.angle_degree(dtype is np.float64)).astype(dtype),
        plan.near,
        band,
        num_threads,
    )


def new_matrices(
    count: int, shape: tuple[int, int], dtype: torch.dtype, num_threads: int
) -> list[Tensor]:
    """Matrices to fill, on the CPU; large ones in large pages.

    Fresh pages of 4 KiB cost more than all that is computed: 26 ms for 72 MB, 3 ms in large pages.
    """
    if count * shape[0] * shape[1] * dtype.itemsize < _LARGE_BYTES:
        return [torch.empty(shape, dtype=dtype) for _ in range(count)]
    new = _calls.new_float_matrices if dtype == torch.float32 else _calls.new_double_matrices
    return [torch.from_numpy(matrix) for matrix in new(count, *shape, num_threads)]


def _right_scale(plan: Plan) -> Floats:
    assert plan.left_scale is not None
    return plan.left_scale if plan.right_scale is None else plan.right_scale
