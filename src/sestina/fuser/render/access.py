"""Elements between memory and registers: addresses, masks, vectors, gathers."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

import torch

from sestina.fuser.ir.extents import Extent, is_known
from sestina.fuser.ir.nodes import Node
from sestina.fuser.render.values import convert, item_type, operate
from sestina.fuser.render.writer import LANES, Value, Writer, llvm_type
from sestina.fuser.schedule.loops import Loop
from sestina.fuser.schedule.steps import Place, Step

__all__ = ["Cursor", "Memory", "lanes_below", "load_one", "load_vector", "store_vector", "streamed"]

# Larger tensors are written past the caches: they would have left them before they are read.
_STREAMED_BYTES = 8 << 20

_OFFSETS = f"<{LANES} x i64>"
_LANES = "<" + ", ".join(f"i64 {lane}" for lane in range(LANES)) + ">"


@dataclass(slots=True)
class Cursor:
    """Where in the columns the code is that is being written.

    Attributes:
        column: i64, the index in the vectors' loop of lane 0.
        mask: of the lanes that are there; None where all are.
        slot: which of the vectors that are done at a time.
        indices: of the loops around, by loop.
    """

    column: str
    mask: str | None
    slot: int
    indices: Mapping[Loop, str]
    shared: dict[object, object] = field(default_factory=dict)


class Memory:
    """The tensors of a kernel: their pointers, and the sizes known at run time only."""

    def __init__(
        self,
        w: Writer,
        bases: tuple[Node, ...],
        vector: Loop,
        streamed: frozenset[Node] = frozenset(),
    ) -> None:
        self.w, self.vector, self.streamed = w, vector, streamed
        self.has_streamed = False
        self.pointers = {base: f"%p{index}" for index, base in enumerate(bases)}
        self.parameters: dict[Extent, str] = {}

    def extent(self, extent: Extent) -> str:
        """A size as an i64: a literal, or an argument of the kernel."""
        if isinstance(extent, int):
            return str(extent)
        if extent not in self.parameters:
            self.parameters[extent] = f"%n{len(self.parameters)}"
        return self.parameters[extent]

    def offset(self, place: Place, indices: Mapping[Loop, str], column: str | None) -> str:
        """The number of an element from the start of its tensor."""
        w = self.w
        total = self.extent(place.offset)
        for loop, index in indices.items():
            total = w.plus(total, w.times(index, self.extent(loop.stride(place))))
        if column is not None:
            step = self.extent(self.vector.stride(place))
            total = w.plus(total, w.times(column, step))
        return total

    def address(self, place: Place, dtype: torch.dtype, offset: str) -> str:
        """The pointer to an element."""
        assert place.base is not None
        item = item_type(dtype)
        return self.w.raw(f"getelementptr {item}, ptr {self.pointers[place.base]}, i64 {offset}")

    def load(self, place: Place, dtype: torch.dtype, indices: Mapping[Loop, str]) -> Value:
        """One element, the same for all columns."""
        pointer = self.address(place, dtype, self.offset(place, indices, None))
        return load_one(self.w, pointer, dtype)

    def load_columns(self, place: Place, dtype: torch.dtype, cursor: Cursor) -> Value:
        """The elements of a vector's columns."""
        if self.vector.stride(place) == 0:
            return self.w.splat(self.load(place, dtype, cursor.indices))
        offset = self.offset(place, cursor.indices, cursor.column)
        return self._columns_from(place, dtype, offset, cursor)

    def _columns_from(self, place: Place, dtype: torch.dtype, offset: str, cursor: Cursor) -> Value:
        """The elements of a vector's columns, the first of them at an offset."""
        stride = self.vector.stride(place)
        pointer = self.address(place, dtype, offset)
        if stride == 1:
            return load_vector(self.w, pointer, dtype, cursor.mask)
        return _gather(self.w, self._spread(pointer, dtype, stride), dtype, cursor.mask)

    def load_if(
        self, place: Place, dtype: torch.dtype, inside: Value, indices: Mapping[Loop, str]
    ) -> Value:
        """One element where a condition holds, and anything where it does not."""
        w = self.w
        pointer = self.address(place, dtype, self.offset(place, indices, None))
        nowhere = w.alloca(item_type(dtype), hint="nowhere")
        return load_one(w, w.raw(f"select {inside}, ptr {pointer}, ptr {nowhere}"), dtype)

    def load_columns_if(
        self, place: Place, dtype: torch.dtype, inside: Value, cursor: Cursor
    ) -> Value:
        """The elements of a vector's columns where a condition holds."""
        w = self.w
        stride = self.vector.stride(place)
        if stride == 0 and not inside.is_vector:
            return w.splat(self.load_if(place, dtype, inside, cursor.indices))
        mask = w.splat(inside).name
        if cursor.mask is not None:
            mask = w.raw(f"and <{LANES} x i1> {mask}, {cursor.mask}")
        pointer = self.address(place, dtype, self.offset(place, cursor.indices, cursor.column))
        if stride == 1:
            return load_vector(w, pointer, dtype, mask)
        return _gather(w, self._spread(pointer, dtype, stride), dtype, mask)

    def store(self, place: Place, value: Value, indices: Mapping[Loop, str]) -> None:
        """Writes one element."""
        pointer = self.address(place, value.dtype, self.offset(place, indices, None))
        stored = _in_memory(self.w, value)
        self.w.line(f"store {stored}, ptr {pointer}")

    def store_columns(self, place: Place, value: Value, cursor: Cursor) -> None:
        """Writes the elements of a vector's columns."""
        stride = self.vector.stride(place)
        if not self.vector.axes or stride == 0:
            first = self.w.raw(f"extractelement {value}, i64 0") if value.is_vector else value.name
            one = Value(first, value.dtype, is_vector=False)
            self.store(place, one, cursor.indices)
            return
        value = self.w.splat(value)
        pointer = self.address(
            place, value.dtype, self.offset(place, cursor.indices, cursor.column)
        )
        if stride == 1 and cursor.mask is None and self._is_streamed(place, cursor):
            self.has_streamed = True
            whole = _in_memory(self.w, value)
            align = LANES * whole.dtype.itemsize
            self.w.line(f"store {whole}, ptr {pointer}, align {align}, !nontemporal !0")
        elif stride == 1:
            store_vector(self.w, pointer, value, cursor.mask)
        else:
            pointers = self._spread(pointer, value.dtype, stride)
            _scatter(self.w, pointers, value, cursor.mask)

    def _is_streamed(self, place: Place, cursor: Cursor) -> bool:
        """Whether vectors go past the caches: each has to begin at a multiple of its size."""
        steps = [place.offset, *(loop.stride(place) for loop in cursor.indices)]
        is_aligned = all(is_known(step) and step % LANES == 0 for step in steps)
        return place.base in self.streamed and is_aligned and "avx2" in self.w.features

    def scatter_columns(self, root: Step, value: Value, further: Value, cursor: Cursor) -> None:
        """Puts or adds the elements of a vector's columns, each an offset further on."""
        w, dtype, place = self.w, value.dtype, root.place
        adds = root.attributes["how"] == "sum"
        start = self.address(place, dtype, self.offset(place, cursor.indices, cursor.column))
        stride = self.vector.stride(place)
        if not self.vector.axes:
            pointer = w.raw(f"getelementptr {item_type(dtype)}, ptr {start}, i64 {further.name}")
            one = w.emit(f"extractelement {value}, i64 0", dtype, vector=False)
            if adds:
                one = operate(w, "add", [load_one(w, pointer, dtype), one], dtype)
            w.line(f"store {_in_memory(w, one)}, ptr {pointer}")
        elif stride == 1 and not further.is_vector:
            pointer = w.raw(f"getelementptr {item_type(dtype)}, ptr {start}, i64 {further.name}")
            if adds:
                old = load_vector(w, pointer, dtype, cursor.mask)
                value = operate(w, "add", [old, value], dtype)
            store_vector(w, pointer, value, cursor.mask)
        else:
            # No two lanes are at one place: they differ in a dimension besides that of places.
            pointers = self._apart(start, dtype, self.steps(stride), further)
            if adds:
                old = _gather(w, pointers, dtype, cursor.mask)
                value = operate(w, "add", [old, value], dtype)
            _scatter(w, pointers, value, cursor.mask)

    def take(self, place: Place, dtype: torch.dtype, index: Value, offset: str) -> Value:
        """One element at an index that was computed; the offset is that of index 0."""
        assert not index.is_vector
        total = self.w.plus(offset, index.name)
        return load_one(self.w, self.address(place, dtype, total), dtype)

    def take_columns(self, place: Place, dtype: torch.dtype, index: Value, cursor: Cursor) -> Value:
        """Elements at indices that were computed, one a column or one for all."""
        w = self.w
        offset = self.offset(place, cursor.indices, cursor.column)
        if not index.is_vector:
            return self._columns_from(place, dtype, w.plus(offset, index.name), cursor)
        start = self.address(place, dtype, offset)
        steps = self.steps(self.vector.stride(place))
        return _gather(w, self._apart(start, dtype, steps, index), dtype, cursor.mask)

    def _apart(self, start: str, dtype: torch.dtype, steps: str, further: Value) -> str:
        """Pointers to elements that lie so many steps from the first lane's, and further on."""
        total = self.w.raw(f"add {_OFFSETS} {steps}, {self.w.splat(further).name}")
        item = item_type(dtype)
        return self.w.raw(f"getelementptr {item}, ptr {start}, {_OFFSETS} {total}")

    def _spread(self, pointer: str, dtype: torch.dtype, stride: Extent) -> str:
        """Pointers to elements a stride apart."""
        steps = self.steps(stride)
        item = item_type(dtype)
        return self.w.raw(f"getelementptr {item}, ptr {pointer}, {_OFFSETS} {steps}")

    def steps(self, stride: Extent) -> str:
        """How far the lanes are from the first of them, a stride apart."""
        spread = self.w.splat(Value(self.extent(stride), torch.int64, is_vector=False)).name
        return self.w.raw(f"mul {_OFFSETS} {spread}, {_LANES}")


def streamed(bases: Iterable[Node], aligned: Container[Node]) -> frozenset[Node]:
    """The tensors that are written past the caches, if they are written in whole vectors."""
    return frozenset(base for base in bases if base in aligned and _is_large(base))


def _is_large(node: Node) -> bool:
    size = node.num_elements * node.dtype.itemsize
    return is_known(size) and size >= _STREAMED_BYTES


def lanes_below(w: Writer, column: str, end: str) -> str:
    """The mask of the lanes whose column is below an end."""
    spread = w.splat(Value(column, torch.int64, is_vector=False)).name
    columns = w.raw(f"add {_OFFSETS} {spread}, {_LANES}")
    limit = w.splat(Value(end, torch.int64, is_vector=False)).name
    return w.raw(f"icmp slt {_OFFSETS} {columns}, {limit}")


def load_one(w: Writer, pointer: str, dtype: torch.dtype) -> Value:
    """An element as it is in registers."""
    if dtype is torch.bool:
        byte = w.emit(f"load i8, ptr {pointer}", torch.uint8, vector=False)
        return convert(w, byte, torch.bool)
    item = item_type(dtype)
    return w.emit(f"load {item}, ptr {pointer}", dtype, vector=False)


def _in_memory(w: Writer, value: Value) -> Value:
    """A value as it is in memory: bools are bytes."""
    return convert(w, value, torch.uint8) if value.dtype is torch.bool else value


def load_vector(w: Writer, pointer: str, dtype: torch.dtype, mask: str | None) -> Value:
    """16 elements side by side."""
    if dtype is torch.bool:
        return convert(w, load_vector(w, pointer, torch.uint8, mask), torch.bool)
    vector = llvm_type(dtype, vector=True)
    align = dtype.itemsize
    if mask is None:
        return w.emit(f"load {vector}, ptr {pointer}, align {align}", dtype, vector=True)
    function = f"@llvm.masked.load.{_mangled(dtype)}.p0"
    types = f"ptr, i32, <{LANES} x i1>, {vector}"
    w.declares.add(f"declare {vector} {function}({types})")
    arguments = f"ptr {pointer}, i32 {align}, <{LANES} x i1> {mask}, {vector} zeroinitializer"
    return w.emit(f"call {vector} {function}({arguments})", dtype, vector=True)


def store_vector(w: Writer, pointer: str, value: Value, mask: str | None) -> None:
    """Writes 16 elements side by side."""
    value = _in_memory(w, value)
    align = value.dtype.itemsize
    if mask is None:
        w.line(f"store {value}, ptr {pointer}, align {align}")
        return
    function = f"@llvm.masked.store.{_mangled(value.dtype)}.p0"
    w.declares.add(f"declare void {function}({value.type}, ptr, i32, <{LANES} x i1>)")
    w.line(f"call void {function}({value}, ptr {pointer}, i32 {align}, <{LANES} x i1> {mask})")


def _gather(w: Writer, pointers: str, dtype: torch.dtype, mask: str | None) -> Value:
    """16 elements anywhere."""
    if dtype is torch.bool:
        return convert(w, _gather(w, pointers, torch.uint8, mask), torch.bool)
    vector = llvm_type(dtype, vector=True)
    function = f"@llvm.masked.gather.{_mangled(dtype)}.v{LANES}p0"
    types = f"<{LANES} x ptr>, i32, <{LANES} x i1>, {vector}"
    w.declares.add(f"declare {vector} {function}({types})")
    arguments = (
        f"<{LANES} x ptr> {pointers}, i32 {dtype.itemsize}, "
        f"<{LANES} x i1> {mask or 'splat (i1 true)'}, {vector} zeroinitializer"
    )
    return w.emit(f"call {vector} {function}({arguments})", dtype, vector=True)


def _scatter(w: Writer, pointers: str, value: Value, mask: str | None) -> None:
    """Writes 16 elements anywhere."""
    value = _in_memory(w, value)
    function = f"@llvm.masked.scatter.{_mangled(value.dtype)}.v{LANES}p0"
    w.declares.add(f"declare void {function}({value.type}, <{LANES} x ptr>, i32, <{LANES} x i1>)")
    w.line(
        f"call void {function}({value}, <{LANES} x ptr> {pointers}, i32 {value.dtype.itemsize}, "
        f"<{LANES} x i1> {mask or 'splat (i1 true)'})"
    )


def _mangled(dtype: torch.dtype) -> str:
    scalar = llvm_type(dtype, vector=False)
    return f"v{LANES}" + {"float": "f32", "double": "f64", "half": "f16"}.get(scalar, scalar)
