"""Kernel matrices in plain PyTorch: any device, any network, and with gradients.

Sums run in float64 where the device has it: then no cosine needs special care but those of rows
that are parallel up to rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sestina.ntk.matrices.plans import Plan
from sestina.ntk.pairs import Kind

if TYPE_CHECKING:
    from sestina.ntk.architectures import FullyConnected

__all__ = ["differentiable", "fill", "second_moments", "working_dtype"]

_CHUNK_ELEMENTS = 1 << 24
"""Of the rows gathered at once: 128 MB."""
_NEARLY_PARALLEL = 1e-6
"""1 − |c| below which a float64 cosine is computed again from differences."""


def working_dtype(device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """What sums run in: float64, or the input's own on devices that have none."""
    return dtype if device.type == "mps" else torch.float64


def second_moments(rows: Tensor) -> Tensor:
    """|x|²/d of each row, (n,)."""
    return (rows * rows).sum(-1) / rows.shape[1]


def differentiable(
    network: FullyConnected, kinds: tuple[Kind, ...], x1: Tensor, x2: Tensor | None, tile: int
) -> list[Tensor]:
    """The matrices as functions of the inputs and the network's parameters.

    Args:
        network: at the inputs' width.
        kinds: which kernels.
        x1: (n, d).
        x2: (m, d), or None for x1: then the diagonal is exact.
        tile: rows that are computed at once.

    Returns:
        One (n, m) tensor of the inputs' dtype per kind.
    """
    work = working_dtype(x1.device, x1.dtype)
    rows1 = x1.to(work)
    rows2 = rows1 if x2 is None else x2.to(work)
    moments2 = second_moments(rows2)
    blocks = [
        _recursion(network, kinds, block, rows2, second_moments(block), moments2)
        for block in rows1.split(tile)
    ]
    values = [torch.cat(parts) for parts in zip(*blocks, strict=True)]
    if x2 is None:
        q = network.first_covariance(moments2)
        values = [
            torch.where(_is_diagonal(matrix), diagonal[:, None], matrix)
            for matrix, diagonal in zip(values, _diagonals(network, kinds, q), strict=True)
        ]
    return [matrix.to(x1.dtype) for matrix in values]


def fill(
    plan: Plan,
    x1: Tensor,
    x2: Tensor | None,
    outputs: list[Tensor],
    band: tuple[int, int],
    tile: int,
) -> None:
    """Write the rows of a band, but for the diagonal; see `native_tiles.fill`.

    Args:
        plan: a table or the recursion.
        x1: (n, d).
        x2: (m, d), or None for x1.
        outputs: one (n, m) tensor per kind.
        band: first row and end, multiples of `tile` or the last row.
        tile: rows and columns that are computed at once.
    """
    work = working_dtype(x1.device, x1.dtype)
    right = x1 if x2 is None else x2
    for row in range(band[0], band[1], tile):
        rows = slice(row, min(row + tile, band[1]))
        block1 = x1[rows].to(work)
        for column in range(0 if x2 is not None else row, len(right), tile):
            columns = slice(column, min(column + tile, len(right)))
            block2 = right[columns].to(work)
            values = _values(plan, block1, block2, rows, columns)
            for output, value in zip(outputs, values, strict=True):
                if x2 is not None:
                    output[rows, columns] = value
                elif column == row:
                    # A matrix product need not be symmetric to the last bit.
                    output[rows, columns] = value.triu() + value.triu(1).T
                else:
                    output[rows, columns] = value
                    output[columns, rows] = value.T


def _values(
    plan: Plan, block1: Tensor, block2: Tensor, rows: slice, columns: slice
) -> tuple[Tensor, ...] | list[Tensor]:
    if plan.table is None:
        moments = second_moments(block1), second_moments(block2)
        return _recursion(plan.network, plan.kinds, block1, block2, *moments)
    values = plan.table.at_defects(*_defects(block1, block2, _zone(plan, block1.dtype)))
    if plan.left_scale is None:
        return values
    right = plan.left_scale if plan.right_scale is None else plan.right_scale
    scale1 = torch.as_tensor(plan.left_scale[rows], dtype=block1.dtype, device=block1.device)
    scale2 = torch.as_tensor(right[columns], dtype=block1.dtype, device=block1.device)
    return [value * (scale1[:, None] * scale2) for value in values]


def _recursion(
    network: FullyConnected,
    kinds: tuple[Kind, ...],
    rows1: Tensor,
    rows2: Tensor,
    moments1: Tensor,
    moments2: Tensor,
) -> list[Tensor]:
    q1 = network.first_covariance(moments1)[:, None]
    q2 = network.first_covariance(moments2)
    k12 = network.first_covariance(_products(rows1, rows2, moments1, moments2))
    if kinds == ("nngp",):
        return [network.nngp_pairwise(q1, q2, k12)]
    kernels = network.pairwise(q1, q2, k12)
    return [getattr(kernels, kind) for kind in kinds]


def _diagonals(network: FullyConnected, kinds: tuple[Kind, ...], q: Tensor) -> list[Tensor]:
    if kinds == ("nngp",):
        return [network.nngp_diagonal(q)]
    kernels = network.diagonal(q)
    return [getattr(kernels, kind) for kind in kinds]


def _products(rows1: Tensor, rows2: Tensor, moments1: Tensor, moments2: Tensor) -> Tensor:
    """x·x'/d, where rows are nearly parallel summed just as their norms are.

    A matrix product sums in another order: equal rows would get a cosine a rounding error off 1,
    and gradients of a kinked activation's kernel grow like 1/√(1 − c) there.
    """
    products = rows1 @ rows2.T / rows1.shape[1]
    with torch.no_grad():
        sizes = torch.sqrt(moments1[:, None] * moments2)
        near = sizes - products.abs() <= _NEARLY_PARALLEL * sizes
        pairs = near.nonzero()
    if len(pairs) == 0:
        return products
    exact = torch.cat(
        [
            (rows1[i] * rows2[j]).sum(-1) / rows1.shape[1]
            for i, j in (chunk.unbind(1) for chunk in pairs.split(_chunk(rows1)))
        ]
    )
    return products.index_put(tuple(pairs.unbind(1)), exact)


def _zone(plan: Plan, work: torch.dtype) -> float:
    """The 1 − |c| below which cosines are computed again."""
    if work == torch.float64:
        return _NEARLY_PARALLEL
    return max(1 - plan.near[0], 1 + plan.near[1])


def _defects(rows1: Tensor, rows2: Tensor, zone: float) -> tuple[Tensor, Tensor]:
    """1 − |c|, and whether c < 0."""
    units1, units2 = _units(rows1), _units(rows2)
    cosines = units1 @ units2.T
    defects = (1 - cosines.abs()).clamp(min=0)
    pairs = (defects <= zone).nonzero()
    for chunk in pairs.split(_chunk(rows1)) if len(pairs) else ():
        i, j = chunk.unbind(1)
        signs = torch.where(cosines[i, j] < 0, -1.0, 1.0).to(units1.dtype)
        gaps = units1[i] - signs[:, None] * units2[j]
        defects[i, j] = (gaps * gaps).sum(-1) / 2
    return defects, cosines < 0


def _units(rows: Tensor) -> Tensor:
    norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    # A row of zeros has no direction, and its kernel depends on none: any cosine will do.
    return torch.where(norms > 0, rows / norms, 0.0)


def _chunk(rows: Tensor) -> int:
    return max(1, _CHUNK_ELEMENTS // rows.shape[1])


def _is_diagonal(matrix: Tensor) -> Tensor:
    return torch.eye(len(matrix), dtype=torch.bool, device=matrix.device)
