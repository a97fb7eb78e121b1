"""Tiles of tensors that lie across, turned in registers: 16 by 16 elements at a time.

What is read along its own grain is written to the stack the other way around, where the vectors of
the kernel find it. So each line of the cache is read once, and none waits for its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from sestina.fuser.render.access import Cursor, Memory, lanes_below, load_vector, store_vector
from sestina.fuser.render.values import item_type
from sestina.fuser.render.writer import LANES, Value, Writer
from sestina.fuser.schedule.kernel import Kernel
from sestina.fuser.schedule.loops import Loop, steps_of
from sestina.fuser.schedule.steps import Step

__all__ = ["Tiles"]


class Tiles:
    """Writes what turns the tiles of a row, and what reads them."""

    def __init__(self, kernel: Kernel, w: Writer, memory: Memory) -> None:
        self.w, self.memory = w, memory
        self._turned: dict[Step, str] = {}
        if not kernel.loops.is_tiled:
            return
        (self.row,), self.column = kernel.loops.columns, kernel.loops.vector
        self._width = -(-_known(self.column) // LANES) * LANES
        height = -(-_known(self.row) // LANES) * LANES
        for step in steps_of(kernel.roots):
            if step.kind == "load" and self._lies_across(step):
                item = item_type(step.dtype)
                self._turned[step] = w.alloca(item, str(height * self._width), hint="tile")

    def __contains__(self, step: Step) -> bool:
        return step in self._turned

    def load(self, step: Step, cursor: Cursor) -> Value:
        """The elements of a vector's columns."""
        w = self.w
        offset = w.plus(w.times(cursor.indices[self.row], str(self._width)), cursor.column)
        return load_vector(w, self._place(step, offset), step.dtype, None)

    def turn(self, indices: Mapping[Loop, str]) -> None:
        """Turns the tiles of a row of the kernel."""
        for step in self._turned:
            for columns in self._parts(self.column):
                for rows in self._parts(self.row):
                    self._block(step, indices, rows, columns)

    def _parts(self, loop: Loop) -> Iterator[tuple[str, int]]:
        """Where 16 of a side of the tile begin, in a loop, and then what is left, with its size."""
        extent = _known(loop)
        whole = extent // LANES * LANES
        if whole:
            with self.w.loop("0", str(whole), LANES, hint="tile") as begin:
                yield begin, LANES
        if extent > whole:
            yield str(whole), extent - whole

    def _lies_across(self, step: Step) -> bool:
        place = step.place
        return self.column.stride(place) not in {0, 1} and self.row.stride(place) == 1

    def _place(self, step: Step, offset: str) -> str:
        item, tile = item_type(step.dtype), self._turned[step]
        return self.w.raw(f"getelementptr {item}, ptr {tile}, i64 {offset}")

    def _block(
        self,
        step: Step,
        indices: Mapping[Loop, str],
        rows: tuple[str, int],
        columns: tuple[str, int],
    ) -> None:
        w, (row, num_rows), (column, num_columns) = self.w, rows, columns
        dtype = torch.uint8 if step.dtype is torch.bool else step.dtype
        start = self.memory.offset(step.place, {**indices, self.row: row}, column)
        stride = self.memory.extent(self.column.stride(step.place))
        mask = None if num_rows == LANES else lanes_below(w, "0", str(num_rows))
        vectors = []
        for number in range(LANES):
            # Beyond the last column any other will do.
            offset = w.plus(start, w.times(stride, str(min(number, num_columns - 1))))
            pointer = self.memory.address(step.place, dtype, offset)
            vectors.append(load_vector(w, pointer, dtype, mask))
        for number, vector in enumerate(_transposed(w, vectors)[:num_rows]):
            at = w.plus(w.times(w.plus(row, str(number)), str(self._width)), column)
            store_vector(w, self._place(step, at), vector, None)


def _transposed(w: Writer, vectors: Sequence[Value]) -> list[Value]:
    """Vectors of the first elements, the second ones, …: blocks swapped, from halves to pairs."""
    turned = list(vectors)
    distance = LANES // 2
    while distance:
        near = [lane if not lane & distance else LANES + lane - distance for lane in range(LANES)]
        far = [lane + distance if not lane & distance else LANES + lane for lane in range(LANES)]
        for index in range(LANES):
            if not index & distance:
                a, b = turned[index], turned[index + distance]
                turned[index] = _shuffled(w, a, b, near)
                turned[index + distance] = _shuffled(w, a, b, far)
        distance //= 2
    return turned


def _shuffled(w: Writer, a: Value, b: Value, lanes: Sequence[int]) -> Value:
    order = ", ".join(f"i32 {lane}" for lane in lanes)
    return w.emit(f"shufflevector {a}, {b}, <{LANES} x i32> <{order}>", a.dtype, vector=True)


def _known(loop: Loop) -> int:
    extent = loop.extent
    assert isinstance(extent, int), "tiles are of loops of known length"
    return extent
