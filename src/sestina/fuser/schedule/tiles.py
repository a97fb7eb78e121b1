"""Transposes in tiles: where tensors are read across the grain, each row of a kernel is a tile.

A vector of a tensor that lies across would take a line of the cache for each lane, and leave the
rest of the line to rows that come too late. So loops are cut, and what is left around their inner
parts are the rows; the renderer turns the tiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sestina.fuser.ir.extents import Extent, is_known, product
from sestina.fuser.schedule.loops import Loop, Loops, steps_of
from sestina.fuser.schedule.steps import Step
from sestina.fuser.segment.axes import Axis, Domain

__all__ = ["Tile", "tile_of"]

Tile = tuple[tuple[Axis, ...], tuple[Axis, ...]]
"""The axes of the loop over rows of a tile, and of that over its columns."""

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
    loads = [step for step in steps if step.kind == "load"]
    row, column = _across(loads, loops), loops.vector
    if row is None:
        return None
    sides = [_side(row), _side(column)]
    if len(loops.rows) == 1 and sides == [row.extent, column.extent]:
        # There are to be several tiles, as they are what threads share.
        sides[0] = _part(row.axes[-1].extent, below=row.extent)
    turned = [load for load in loads if row.stride(load.place) == 1]
    area = product(-(-side // _VECTOR) * _VECTOR for side in sides)
    if 0 in sides or area * sum(load.dtype.itemsize for load in turned) > _MAX_BYTES:
        return None
    rows, columns = (
        loop.axes if side == loop.extent else (domain.cut(loop.axes[-1], side),)
        for loop, side in zip((row, column), sides, strict=True)
    )
    return rows, columns


def _across(loads: Iterable[Step], loops: Loops) -> Loop | None:
    """The loop over rows along which a tensor's elements lie side by side, and not the columns'."""
    for load in loads:
        assert load.place.base is not None
        size = load.place.base.num_elements
        is_small = not is_known(size) or size < _SMALL
        if is_small or loops.vector.stride(load.place) in {0, 1}:
            continue
        for loop in loops.rows:
            if loop.stride(load.place) == 1:
                return loop
    return None


def _side(loop: Loop) -> int:
    """How much of a loop is a side of a tile: all of it, or part of its last axis, or 0."""
    whole = loop.extent
    if isinstance(whole, int) and whole <= 2 * _MOST:
        return whole
    last = loop.axes[-1].extent
    if isinstance(last, int) and last <= 2 * _MOST:
        return last
    return _part(last)


def _part(extent: Extent, *, below: Extent | None = None) -> int:
    """The largest part of a loop that is a side of a tile; 0 if it has none."""
    if not isinstance(extent, int):
        return 0
    parts = [side for side in range(_LEAST, _MOST + 1) if extent % side == 0 and side != below]
    whole = [side for side in parts if side % _VECTOR == 0]
    return max(whole or parts, default=0)
