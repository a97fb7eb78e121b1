"""The loops of a kernel in order, with those run together that step through memory as one.

Two axes are one loop if in every tensor of the kernel a step of the slower one goes as far as all
steps of the faster one. So a kernel of contiguous tensors has a single loop, whatever their shapes.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from sestina.fuser.ir.extents import Extent, is_known, product
from sestina.fuser.schedule.steps import Place, Step
from sestina.fuser.segment.axes import Axis
from sestina.fuser.segment.roles import Roles

__all__ = ["Loop", "Loops", "arrange", "steps_of"]

_MIN_ROWS = 16
_FLAT = 4096


@dataclass(frozen=True, slots=True)
class Loop:
    """Axes that run as one; the last of them is fastest."""

    axes: tuple[Axis, ...]

    @property
    def extent(self) -> Extent:
        """How often it runs."""
        return product(axis.extent for axis in self.axes)

    def stride(self, place: Place) -> Extent:
        """How far a step goes in a tensor."""
        return place.stride(self.axes[-1]) if self.axes else 0

    def __str__(self) -> str:
        return f"{'·'.join(f'a{axis.number}' for axis in self.axes) or 'one'} of {self.extent}"


@dataclass(frozen=True, slots=True)
class Loops:
    """The loops of a kernel, slowest first.

    Attributes:
        rows: run in parallel; none where the vectors' loop itself is divided.
        columns: those around the vectors' loop.
        vector: the loop that runs in vectors.
        is_tiled: whether the columns are the two sides of a tile.
    """

    rows: tuple[Loop, ...]
    columns: tuple[Loop, ...]
    vector: Loop
    is_tiled: bool = False

    @property
    def num_rows(self) -> Extent:
        """How many rows there are; 1 where only the vectors' loop is divided."""
        return product(loop.extent for loop in self.rows)

    def __str__(self) -> str:
        rows = ", ".join(map(str, self.rows)) or "one"
        columns = ", ".join(map(str, (*self.columns, self.vector)))
        return f"rows: {rows}; columns: {columns}, the last in vectors"


def arrange(
    roots: Sequence[Step],
    roles: Roles,
    tile: tuple[tuple[Axis, ...], tuple[Axis, ...]] | None = None,
) -> Loops:
    """The loops for the steps under some roots.

    Args:
        roots: stores and totals.
        roles: which loops are rows, and which are columns.
        tile: the axes of the sides of the tiles that each row is, if there are any.
    """
    steps = steps_of(roots)
    places = [step.place for step in steps if "place" in step.attributes]
    has_sums = any(step.kind in {"reduce", "total", "scan"} for step in steps)
    rows, columns = _ordered(roles.rows, places), _ordered(roles.columns, places)
    if along := [step.attributes["along"] for step in steps if step.kind == "scatter"]:
        # Places may be the same for several rows, so these run one after another, in their order.
        rows = [*along[0], *(axis for axis in rows if axis not in along[0])]
        return Loops((), tuple(_run_together(rows, places)), Loop(tuple(columns)))
    if tile is not None:
        row, column = tile
        within = {*row, *column}
        around = [axis for axis in _ordered([*rows, *columns], places) if axis not in within]
        tiles = tuple(_run_together(around, places))
        return Loops(tiles, (Loop(row),), Loop(column), is_tiled=True)
    if not has_sums:
        # Along what is written; tiles of what is read across that can be turned.
        written = [root.place for root in roots]
        axes = _ordered([*rows, *columns], places, written)
        *outer, vector = _run_together(axes, places) or [Loop(())]
        if not outer or (_few(outer) and is_known(vector.extent) and vector.extent >= _FLAT):
            return Loops((), tuple(outer), vector)
        return Loops(tuple(outer), (), vector)
    scanned = {axis for step in steps if step.kind == "scan" for axis in step.attributes["along"]}
    # Where lanes are scanned side by side, the scan's loop is around theirs.
    columns = sorted(columns, key=lambda axis: axis not in scanned)
    loops = _run_together(columns, places, apart=scanned) or [Loop(())]
    return Loops(tuple(_run_together(rows, places)), tuple(loops[:-1]), loops[-1])


def steps_of(roots: Iterable[Step]) -> list[Step]:
    """All steps under some roots, operands first."""
    order: dict[Step, None] = {}
    stack = [(root, False) for root in reversed(list(roots))]
    while stack:
        step, is_done = stack.pop()
        if is_done:
            order.setdefault(step)
        elif step not in order:
            stack.append((step, True))
            stack.extend((operand, False) for operand in reversed(step.operands))
    return list(order)


def _few(loops: Sequence[Loop]) -> bool:
    rows = product(loop.extent for loop in loops)
    return isinstance(rows, int) and rows < _MIN_ROWS


def _ordered(
    axes: Sequence[Axis], places: Sequence[Place], first: Sequence[Place] = ()
) -> list[Axis]:
    """Axes so that most tensors are run through in the order of their memory; stable otherwise.

    Args:
        axes: of a kernel.
        places: of its tensors.
        first: those that count more than all others.
    """
    votes = dict.fromkeys(axes, 0)
    for place in (*places, *(place for place in first for _ in places)):
        for axis in axes:
            if place.stride(axis) == 1:
                votes[axis] += 1
    if not votes:
        return []
    fastest = max(axes, key=lambda axis: (votes[axis], axis.number))
    rest = [axis for axis in axes if axis is not fastest]
    leading = max(places, key=lambda place: len(place.strides), default=None)
    if leading is not None and all(is_known(leading.stride(axis)) for axis in rest):
        rest.sort(key=lambda axis: -int(leading.stride(axis)))
    return [*rest, fastest]


def _run_together(
    axes: Sequence[Axis], places: Sequence[Place], *, apart: Container[Axis] = ()
) -> list[Loop]:
    loops: list[Loop] = []
    for axis in axes:
        if (
            loops
            and loops[-1].axes[-1] not in apart
            and all(
                place.stride(loops[-1].axes[-1]) == place.stride(axis) * axis.extent
                for place in places
            )
        ):
            loops[-1] = Loop((*loops[-1].axes, axis))
        else:
            loops.append(Loop((axis,)))
    return loops
