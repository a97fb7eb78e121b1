"""Transposes in tiles: where tensors are read across the grain, each row of a kernel is a tile.

A vector of a tensor that lies across would take a line of the cache for each lane, and leave the
rest of the line to rows that come too late. So loops are cut, and what is left around their inner
parts are the rows; the renderer turns the tiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sestina.fuser.ir.extents import Extent, is_known, product
from sestina.fuser.schedule.loops import Loops, steps_of
from sestina.fuser.schedule.steps import Step
from sestina.fuser.segment.axes import Axis, Domain

__all__ = ["Tile", "tile_of"]

Tile = tuple[Axis, Axis]
"""The loop over rows and that over columns of a tile, in this order."""

# Of a tile's sides, which are whole vectors if they can be.
_MOST, _LEAST, _VECTOR = 64, 8, 16
# Smaller tensors stay in the first cache whatever the order.
_SMALL = 1 << 12
# Of all tiles of a row, which lie on the stack.
_MAX_BYTES = 1 << 18


def tile_of(domain: Domain, roots: Sequence[Step], loops: Loops) -> Tile | None:
    """The loops of tiles, cut out of a kernel's own; None where nothing is read across the grain.

    Args:
        domain: of the kernel, whose axes are cut.
        roots: its stores.
        loops: those that it would run without.
    """
    steps = steps_of(roots)
    kinds = {step.kind for step in steps}
    if kinds & {"reduce", "total", "scan", "scatter", "uniform"} or not loops.vector.axes:
        return None
    rows, column = {loop.axes[-1] for loop in loops.rows}, loops.vector.axes[-1]
    loads = [step for step in steps if step.kind == "load"]
    across = _across(loads, rows, column)
    if across is None:
        return None
    sides = [_side(axis.extent) for axis in (across, column)]
    if len(rows) == 1 and sides == [across.extent, column.extent]:
        # There are to be several tiles, as they are what threads share.
        sides[0] = _side(across.extent, below=across.extent)
    turned = [load for load in loads if load.place.stride(across) == 1]
    area = product(-(-side // _VECTOR) * _VECTOR for side in sides)
    if 0 in sides or area * sum(load.dtype.itemsize for load in turned) > _MAX_BYTES:
        return None
    inner = [domain.cut(axis, side) for axis, side in zip((across, column), sides, strict=True)]
    return inner[0], inner[1]


def _across(loads: Iterable[Step], rows: set[Axis], column: Axis) -> Axis | None:
    """The loop over rows along which a tensor's elements lie side by side, and not the columns'."""
    for load in loads:
        assert load.place.base is not None
        size = load.place.base.num_elements
        if not is_known(size) or size < _SMALL or load.place.stride(column) in {0, 1}:
            continue
        for axis in rows & load.place.strides.keys():
            if load.place.stride(axis) == 1:
                return axis
    return None


def _side(extent: Extent, *, below: Extent | None = None) -> int:
    """The largest part of a loop that is a side of a tile; 0 if it has none."""
    if not isinstance(extent, int):
        return 0
    if below is None and extent <= 2 * _MOST:
        return extent
    parts = [side for side in range(_LEAST, _MOST + 1) if extent % side == 0 and side != below]
    whole = [side for side in parts if side % _VECTOR == 0]
    return max(whole or parts, default=0)
