"""The values of a kernel's steps: one for a row, or a vector of them for some columns."""

from __future__ import annotations

import torch

from sestina.fuser.ir.extents import Extent, is_known
from sestina.fuser.ir.operations import OPERATIONS
from sestina.fuser.random import BLOCK
from sestina.fuser.render.access import Cursor, Memory, load_vector, store_vector
from sestina.fuser.render.randoms import at_least, block_counters, to_uniform, words
from sestina.fuser.render.tiles import Tiles
from sestina.fuser.render.values import combine, convert, operate, total_of
from sestina.fuser.render.writer import LANES, Value, Writer, llvm_type
from sestina.fuser.schedule.kernel import Kernel
from sestina.fuser.schedule.loops import Loop
from sestina.fuser.schedule.steps import Step

__all__ = ["Steps", "num_slots"]

# Two hide what additions wait for; more is no faster, and takes longer to compile. Random numbers
# come in blocks.
_SLOTS = 2
# Which operand says where in memory it is done.
_INDEX = {"take": 0, "scatter": 1}
_AT_PLACES = frozenset({"index", "inset", "load", "take", "uniform"})
_NOTHING = {"sum": 0, "prod": 1}
_COMBINED = {"sum": "add", "prod": "mul"}


def num_slots(kernel: Kernel) -> int:
    """How many vectors of a kernel are done at a time."""
    has_randoms = any(step.kind == "uniform" for step in kernel.steps)
    slots, extent = BLOCK // LANES if has_randoms else _SLOTS, kernel.loops.vector.extent
    return 1 if is_known(extent) and extent < slots * LANES else slots


class Steps:
    """Writes what makes the values of steps, each once a row or once a vector of columns."""

    def __init__(self, kernel: Kernel, w: Writer, memory: Memory) -> None:
        self.kernel, self.w, self.memory = kernel, w, memory
        self.row: dict[Step, Value] = {}
        self.row_indices: dict[Loop, str] = {}
        # Values that an earlier pass of the row has kept.
        self.finished: set[Step] = set()
        self._buffers: dict[Step, str] = {}
        self._carries: dict[Step, str] = {}
        self._bad = ""
        # Where lookups are done whose index is the same for all columns of the row.
        self._places: dict[Step, Value] = {}
        self.tiles = Tiles(kernel, w, memory)
        self.num_slots = num_slots(kernel)

    def begin(self) -> None:
        """What a function needs before its first row."""
        w = self.w
        if any(step.kind in _INDEX for step in self.kernel.steps):
            self._bad = w.alloca("i1", hint="bad")
            w.line(f"store i1 false, ptr {self._bad}")
        for step in dict.fromkeys(keep for one in self.kernel.passes for keep in one.keeps):
            count = self.memory.extent(_padded(self.kernel.num_columns))
            item = llvm_type(step.dtype, vector=False) if step.dtype is not torch.bool else "i8"
            self._buffers[step] = w.alloca(item, count, hint="kept")

    def begin_row(self) -> None:
        """Forgets what was of the row before."""
        self.row, self.row_indices, self.finished, self._places = {}, {}, set(), {}

    def end(self) -> None:
        """Tells whether an index was out of range."""
        w = self.w
        if self._bad:
            bad = w.raw(f"load i1, ptr {self._bad}")
            word = w.raw(f"zext i1 {bad} to i32")
            w.line(f"%ignored = atomicrmw or ptr %flag, i32 {word} monotonic")

    def linear(self, cursor: Cursor) -> str:
        """The number of a vector's first column among all columns of the row."""
        w = self.w
        total = "0"
        for loop in self.kernel.loops.columns:
            total = w.times(total, self.memory.extent(loop.extent))
            total = w.plus(total, cursor.indices[loop])
        total = w.times(total, self.memory.extent(self.kernel.loops.vector.extent))
        return w.plus(total, cursor.column)

    def kept(self, step: Step, linear: str) -> str:
        """Where a value is kept for later passes, from a column on."""
        item = llvm_type(step.dtype, vector=False) if step.dtype is not torch.bool else "i8"
        return self.w.raw(f"getelementptr {item}, ptr {self._buffers[step]}, i64 {linear}")

    def scalar(self, step: Step) -> Value:
        """A value that is the same for all columns of the row."""
        if step not in self.row:
            self.row[step] = self._made_scalar(step)
        return self.row[step]

    def _made_scalar(self, step: Step) -> Value:
        w, indices = self.w, self.row_indices
        if step.kind == "constant":
            return w.constant(step.attributes["value"], step.dtype, vector=False)
        if step.kind == "size":
            bits = self.memory.extent(step.attributes["extent"])
            return w.bitcast(Value(bits, torch.int64, is_vector=False), step.dtype)
        if step.kind == "load":
            return self.memory.load(step.place, step.dtype, indices)
        operands = [self.scalar(operand) for operand in step.operands]
        if step.kind in _AT_PLACES:
            return self._scalar_at_place(step, operands)
        return operate(w, step.kind, operands, step.dtype)

    def _scalar_at_place(self, step: Step, operands: list[Value]) -> Value:
        """What depends on the row's number, or is read where an operand says."""
        w = self.w
        if step.kind == "inset":
            inside = self._inside(step, operands[0])
            value = self.memory.load_if(step.place, step.dtype, inside, self.row_indices)
            return w.select(inside, value, operands[1])
        number = Value(
            self.memory.offset(step.place, self.row_indices, None), torch.int64, is_vector=False
        )
        if step.kind == "take":
            index = self.index(step, operands[0])
            return self.memory.take(step.place, step.dtype, index, number.name)
        if step.kind == "index":
            return number
        vector = self._uniform_any(step, w.splat(number))
        return w.emit(f"extractelement {vector}, i64 0", torch.float32, vector=False)

    def column(self, step: Step, memo: dict[Step, Value], cursor: Cursor) -> Value:
        """A value in a vector of columns; one that doesn't vary stays a scalar."""
        if not self.kernel.varies(step):
            return self.scalar(step)
        if step not in memo:
            if step in self.finished:
                pointer = self.kept(step, self.linear(cursor))
                memo[step] = load_vector(self.w, pointer, step.dtype, None)
            else:
                memo[step] = self._made_column(step, memo, cursor)
        return memo[step]

    def _made_column(self, step: Step, memo: dict[Step, Value], cursor: Cursor) -> Value:
        w = self.w
        if step in self.tiles:
            return self.tiles.load(step, cursor)
        if step.kind == "ge" and self._is_mask(step, cursor):
            uniform, probability = step.operands
            word = self._words(uniform, cursor)[cursor.slot]
            return at_least(w, word, probability.attributes["value"])
        operands = [self.column(operand, memo, cursor) for operand in step.operands]
        if step.kind in _AT_PLACES:
            return self._column_at_place(step, operands, cursor)
        if step.kind == "scan":
            value = w.splat(operands[0])
            if self._is_along_lanes(step):
                return self._scanned(step, value)
            return self._scanned_beside(step, value, cursor)
        assert step.kind in OPERATIONS, step.kind
        return operate(w, step.kind, operands, step.dtype)

    def _column_at_place(self, step: Step, operands: list[Value], cursor: Cursor) -> Value:
        """What depends on the columns' numbers, or is read where operands say."""
        w = self.w
        if step.kind == "load":
            return self.memory.load_columns(step.place, step.dtype, cursor)
        if step.kind == "inset":
            inside = self._inside(step, operands[0])
            value = self.memory.load_columns_if(step.place, step.dtype, inside, cursor)
            return w.select(w.splat(inside), value, w.splat(operands[1]))
        if step.kind == "take":
            index = self.index(step, operands[0], cursor.mask)
            return self.memory.take_columns(step.place, step.dtype, index, cursor)
        if step.kind == "uniform" and self._is_aligned(step, cursor):
            return to_uniform(w, self._words(step, cursor)[cursor.slot])
        start = self.memory.offset(step.place, cursor.indices, cursor.column)
        steps = self.memory.steps(self.kernel.loops.vector.stride(step.place))
        spread = w.splat(Value(start, torch.int64, is_vector=False))
        numbers = w.emit(f"add {spread}, {steps}", torch.int64, vector=True)
        return numbers if step.kind == "index" else self._uniform_any(step, numbers)

    def begin_scan(self, step: Step) -> None:
        """What is carried from vector to vector, or by each lane, at the beginning of a row."""
        w, dtype = self.w, _carried(step.dtype)
        in_lanes = self._is_along_lanes(step)
        if step not in self._carries:
            width = 1 if in_lanes else _padded(self.kernel.loops.vector.extent)
            item = llvm_type(dtype, vector=False)
            self._carries[step] = w.alloca(item, self.memory.extent(width), hint="carry")
        start = w.constant(_NOTHING[step.attributes["how"]], dtype, vector=not in_lanes)
        if in_lanes:
            w.line(f"store {start}, ptr {self._carries[step]}")
            return
        with w.loop("0", self.memory.extent(self.kernel.loops.vector.extent), LANES) as column:
            store_vector(w, self._carry(step, column), start, None)

    def _is_along_lanes(self, step: Step) -> bool:
        return not step.attributes["along"].isdisjoint(self.kernel.loops.vector.axes)

    def _carry(self, step: Step, column: str) -> str:
        item = llvm_type(_carried(step.dtype), vector=False)
        return self.w.raw(f"getelementptr {item}, ptr {self._carries[step]}, i64 {column}")

    def _scanned_beside(self, step: Step, value: Value, cursor: Cursor) -> Value:
        """Each lane combined with what it carries."""
        w, dtype = self.w, _carried(step.dtype)
        place = self._carry(step, cursor.column)
        carried = load_vector(w, place, dtype, None)
        name = _COMBINED[step.attributes["how"]]
        total = operate(w, name, [carried, convert(w, value, dtype)], dtype)
        store_vector(w, place, total, None)
        return convert(w, total, value.dtype)

    def _scanned(self, step: Step, value: Value) -> Value:
        """Each lane combined with those before it, by doubling, and with what was carried here."""
        w, how, dtype = self.w, step.attributes["how"], _carried(step.dtype)
        name = _COMBINED[how]
        nothing = w.constant(_NOTHING[how], value.dtype, vector=True)
        for distance in (1, 2, 4, 8):
            order = ", ".join(
                f"i32 {lane - distance if lane >= distance else LANES}" for lane in range(LANES)
            )
            moved = w.emit(
                f"shufflevector {value}, {nothing}, <{LANES} x i32> <{order}>",
                value.dtype,
                vector=True,
            )
            value = operate(w, name, [moved, value], value.dtype)
        slot, type_ = self._carries[step], llvm_type(dtype, vector=False)
        carried = w.emit(f"load {type_}, ptr {slot}", dtype, vector=False)
        last = w.emit(f"extractelement {value}, i64 {LANES - 1}", value.dtype, vector=False)
        total = operate(w, name, [carried, convert(w, last, dtype)], dtype)
        w.line(f"store {total}, ptr {slot}")
        return operate(w, name, [convert(w, carried, value.dtype), value], value.dtype)

    def _inside(self, step: Step, index: Value) -> Value:
        """Whether an index is within what is set into another tensor."""
        w = self.w
        start, extent = (
            Value(self.memory.extent(step.attributes[name]), torch.int64, is_vector=False)
            for name in ("start", "extent")
        )
        if index.is_vector:
            start, extent = w.splat(start), w.splat(extent)
        within = w.binary("sub", index, start)
        return w.emit(f"icmp ult {within}, {extent.name}", torch.bool, vector=index.is_vector)

    def look_up(self, step: Step) -> None:
        """Makes and checks a lookup's index before the columns, if it is one for all of them."""
        index = step.operands[_INDEX[step.kind]] if step.kind in _INDEX else step
        if index is not step and step not in self._places and not self.kernel.varies(index):
            self._places[step] = self._place(step, self.scalar(index), None)

    def index(self, step: Step, index: Value, mask: str | None = None) -> Value:
        """An index times its stride; 0 and a raised flag where it is out of range."""
        return self._places.get(step) or self._place(step, index, mask)

    def _place(self, step: Step, index: Value, mask: str | None) -> Value:
        w = self.w

        def number(extent: Extent) -> Value:
            one = Value(self.memory.extent(extent), torch.int64, is_vector=False)
            return w.splat(one) if index.is_vector else one

        # Unsigned, so that what is negative is out of range too.
        bad = w.emit(
            f"icmp uge {index}, {number(step.attributes['extent']).name}",
            torch.bool,
            vector=index.is_vector,
        )
        seen = bad
        if mask is not None and index.is_vector:
            seen = w.emit(f"and {bad}, {mask}", torch.bool, vector=True)
        is_bad = total_of(w, "any", seen) if index.is_vector else seen
        old = w.emit(f"load i1, ptr {self._bad}", torch.bool, vector=False)
        w.line(f"store {combine(w, 'any', old, is_bad)}, ptr {self._bad}")
        inside = w.select(bad, w.constant(0, torch.int64, vector=index.is_vector), index)
        return w.binary("mul", inside, number(step.attributes["stride"]))

    def _is_aligned(self, step: Step, cursor: Cursor) -> bool:
        """Whether the vectors of a turn are one block of the generator."""
        loops, place = self.kernel.loops, step.place
        others = [loop.stride(place) for loop in (*loops.rows, *loops.columns)]
        return (
            cursor.mask is None
            and self.num_slots * LANES == BLOCK
            and loops.vector.stride(place) == 1
            and all(is_known(stride) and stride % BLOCK == 0 for stride in others)
        )

    def _is_mask(self, step: Step, cursor: Cursor) -> bool:
        """Whether a step compares a random number, which is at hand as a word, with a constant."""
        uniform, other = step.operands
        is_random = uniform.kind == "uniform" and other.kind == "constant"
        return is_random and self._is_aligned(uniform, cursor)

    def _words(self, step: Step, cursor: Cursor) -> list[str]:
        """The words of a block of random numbers, made once for its four vectors."""
        key = (step, "words")
        if key not in cursor.shared:
            seed = convert(self.w, self.scalar(step.operands[0]), torch.int64)
            element = self.memory.offset(step.place, cursor.indices, cursor.column)
            low, high = block_counters(self.w, element)
            cursor.shared[key] = words(self.w, low, high, seed.name, step.attributes["stream"])
        made = cursor.shared[key]
        assert isinstance(made, list)
        return made

    def _uniform_any(self, step: Step, numbers: Value) -> Value:
        """Of elements in any order: each lane computes its own counter and picks its word."""
        w = self.w
        seed = convert(w, self.scalar(step.operands[0]), torch.int64)

        def shifted(value: Value, by: int) -> Value:
            return w.binary("lshr", value, w.constant(by, torch.int64, vector=True))

        def masked(value: Value, mask: int) -> Value:
            return w.binary("and", value, w.constant(mask, torch.int64, vector=True))

        block = w.binary("shl", shifted(numbers, 6), w.constant(4, torch.int64, vector=True))
        counter = w.binary("or", block, masked(numbers, LANES - 1))
        low, high = (convert(w, c, torch.int32) for c in (counter, shifted(counter, 32)))
        made = words(w, low.name, high.name, seed.name, step.attributes["stream"])
        which = convert(w, masked(shifted(numbers, 4), 3), torch.int32)
        chosen = Value(made[3], torch.int32, is_vector=True)
        for index in (2, 1, 0):
            here = w.compare("eq", which, w.constant(index, torch.int32, vector=True))
            chosen = w.select(here, Value(made[index], torch.int32, is_vector=True), chosen)
        return to_uniform(w, chosen.name)


def _carried(dtype: torch.dtype) -> torch.dtype:
    """The dtype of what a scan carries along a row: errors of long rows would add up."""
    return torch.float64 if dtype is torch.float32 else dtype


def _padded(columns: Extent) -> Extent:
    """Columns and a vector more: what is kept is written in whole vectors."""
    return columns + LANES
