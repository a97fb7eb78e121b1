"""Sums over rows: each part of the rows has its own, and in the end they are added in order."""

from __future__ import annotations

import torch

from sestina.fuser.ir.extents import Extent
from sestina.fuser.render.access import (
    Cursor,
    Memory,
    lanes_below,
    load_one,
    load_vector,
    store_vector,
)
from sestina.fuser.render.values import combine, convert, identity, item_type
from sestina.fuser.render.writer import LANES, Value, Writer, llvm_type
from sestina.fuser.schedule.kernel import Kernel
from sestina.fuser.schedule.loops import Loop
from sestina.fuser.schedule.steps import Step

__all__ = ["Totals", "partial_dtype"]


def partial_dtype(root: Step, kernel: Kernel) -> torch.dtype:
    """The dtype of partial results: single numbers add up in float64, columns as they are."""
    dtype = root.operands[0].dtype
    is_single = not kernel.varies(root)
    return torch.float64 if is_single and dtype is torch.float32 else dtype


class Totals:
    """What concerns totals in the function of the rows, and the function that ends them."""

    def __init__(self, kernel: Kernel, w: Writer, memory: Memory) -> None:
        self.kernel, self.w, self.memory = kernel, w, memory
        self.single: dict[Step, str] = {}
        self.declares: set[str] = set()

    def begin(self) -> None:
        """Each partial result is its identity when a part begins."""
        w = self.w
        for root in self.kernel.totals:
            dtype = partial_dtype(root, self.kernel)
            start = identity(root.attributes["how"], dtype)
            if not self.kernel.varies(root):
                slot = w.alloca(llvm_type(dtype, vector=False), hint="total")
                w.line(f"store {w.constant(start, dtype, vector=False)}, ptr {slot}")
                self.single[root] = slot
                continue
            end = self.memory.extent(self.kernel.num_columns)
            with w.loop("0", end, LANES, hint="z") as column:
                value = w.constant(start, dtype, vector=True)
                mask = lanes_below(w, column, end)
                store_vector(w, self._pointer(root, column, "%part"), value, mask)

    def add_columns(self, root: Step, value: Value, linear: str, mask: str | None) -> None:
        """Adds a row's vector of columns."""
        w = self.w
        pointer = self._pointer(root, linear, "%part")
        old = load_vector(w, pointer, value.dtype, mask)
        store_vector(w, pointer, combine(w, root.attributes["how"], old, value), mask)

    def add_row(self, root: Step, value: Value) -> None:
        """Adds a row's number."""
        w = self.w
        dtype = partial_dtype(root, self.kernel)
        type_ = llvm_type(dtype, vector=False)
        old = w.emit(f"load {type_}, ptr {self.single[root]}", dtype, vector=False)
        new = combine(w, root.attributes["how"], old, convert(w, value, dtype))
        w.line(f"store {new}, ptr {self.single[root]}")

    def end(self) -> None:
        """Writes the numbers of this part to memory."""
        w = self.w
        for root, slot in self.single.items():
            dtype = partial_dtype(root, self.kernel)
            type_ = llvm_type(dtype, vector=False)
            value = w.emit(f"load {type_}, ptr {slot}", dtype, vector=False)
            stored = convert(w, value, torch.uint8) if dtype is torch.bool else value
            w.line(f"store {stored}, ptr {self._pointer(root, None, '%part')}")

    def finish(self, features: frozenset[str]) -> tuple[str, dict[Extent, str]]:
        """The function that adds the parts up, and the sizes that it uses."""
        w = self.w = Writer(features)
        rows_memory = self.memory
        self.memory = Memory(w, self.kernel.bases, self.kernel.loops.vector)
        self.memory.parameters = dict(rows_memory.parameters)
        for root in self.kernel.totals:
            if self.kernel.varies(root):
                self._finish_columns(root, 0, {})
            else:
                self._finish_single(root)
        self.declares = w.declares
        text = w.function("@finish(ptr %args, i64 %parts)")
        more = self.memory.parameters
        rows_memory.parameters |= more
        return text, more

    def _finish_single(self, root: Step) -> None:
        w = self.w
        dtype = partial_dtype(root, self.kernel)
        type_ = llvm_type(dtype, vector=False)
        slot = w.alloca(type_, hint="total")
        how = root.attributes["how"]
        w.line(f"store {w.constant(identity(how, dtype), dtype, vector=False)}, ptr {slot}")
        with w.loop("0", "%parts", hint="part") as part:
            one = load_one(w, self._pointer(root, None, part), dtype)
            old = w.emit(f"load {type_}, ptr {slot}", dtype, vector=False)
            w.line(f"store {combine(w, how, old, one)}, ptr {slot}")
        result = w.emit(f"load {type_}, ptr {slot}", dtype, vector=False)
        self.memory.store(root.place, convert(w, result, root.dtype), {})

    def _finish_columns(self, root: Step, outer: int, indices: dict[Loop, str]) -> None:
        w, loops = self.w, self.kernel.loops
        if outer < len(loops.columns):
            loop = loops.columns[outer]
            with w.loop("0", self.memory.extent(loop.extent), hint="c") as index:
                self._finish_columns(root, outer + 1, {**indices, loop: index})
            return
        dtype = partial_dtype(root, self.kernel)
        how = root.attributes["how"]
        vector = llvm_type(dtype, vector=True)
        slot = w.alloca(vector, hint="total")
        end = self.memory.extent(loops.vector.extent)
        with w.loop("0", end, LANES, hint="j") as column:
            mask = lanes_below(w, column, end)
            start = w.constant(identity(how, dtype), dtype, vector=True)
            w.line(f"store {start}, ptr {slot}")
            linear = column
            scale: Extent = loops.vector.extent
            for loop in reversed(loops.columns):
                linear = w.plus(linear, w.times(indices[loop], self.memory.extent(scale)))
                scale = scale * loop.extent
            with w.loop("0", "%parts", hint="part") as part:
                one = load_vector(w, self._pointer(root, linear, part), dtype, mask)
                old = w.emit(f"load {vector}, ptr {slot}", dtype, vector=True)
                w.line(f"store {combine(w, how, old, one)}, ptr {slot}")
            result = w.emit(f"load {vector}, ptr {slot}", dtype, vector=True)
            cursor = Cursor(column, mask, 0, indices)
            self.memory.store_columns(root.place, convert(w, result, root.dtype), cursor)

    def _pointer(self, root: Step, linear: str | None, part: str) -> str:
        """The place of a column, or the single number, of a part."""
        w = self.w
        item = item_type(partial_dtype(root, self.kernel))
        index = part
        if linear is not None:
            width = self.memory.extent(self.kernel.num_columns)
            index = w.plus(w.times(part, width), linear)
        number = self.kernel.totals.index(root)
        return w.raw(f"getelementptr {item}, ptr %t{number}, i64 {index}")
