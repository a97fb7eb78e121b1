"""A kernel as a module of LLVM IR.

    @rows(args, begin, end, part)   the rows of one part, in one thread
    @finish(args, parts)            sums over all parts, always in the same order; if there are any

How rows are divided into parts depends on sizes alone, so results don't depend on the threads.
Arguments are an array of i64: the tensors' addresses, one of partial results for each total, that
of a flag for indices out of range, and the sizes that are known at run time only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from sestina.fuser.ir.extents import Extent, is_known
from sestina.fuser.ir.nodes import Node
from sestina.fuser.ir.operations import OPERATIONS
from sestina.fuser.random import BLOCK
from sestina.fuser.render.access import Cursor, Memory, lanes_below, load_vector, store_vector
from sestina.fuser.render.randoms import at_least, block_counters, to_uniform, words
from sestina.fuser.render.totals import Totals
from sestina.fuser.render.values import combine, convert, identity, operate, total_of
from sestina.fuser.render.writer import LANES, Value, Writer, llvm_type
from sestina.fuser.schedule.kernel import Kernel, Pass
from sestina.fuser.schedule.loops import Loop, steps_of
from sestina.fuser.schedule.steps import Step

__all__ = ["Rendered", "render"]

_SLOTS = 4


@dataclass(frozen=True, slots=True)
class Rendered:
    """A kernel's source and what it is called with.

    Attributes:
        source: LLVM IR.
        bases: tensors whose addresses come first.
        totals: roots that need partial results.
        parameters: the sizes that come last, as expressions.
    """

    kernel: Kernel
    source: str
    bases: tuple[Node, ...]
    totals: tuple[Step, ...]
    parameters: tuple[Extent, ...]


def render(kernel: Kernel, features: frozenset[str]) -> Rendered:
    """The LLVM IR of a kernel for a CPU with these features."""
    rows = _Rows(kernel, features)
    body = rows.written()
    functions = []
    parameters = rows.memory.parameters
    if kernel.totals:
        finish, more = rows.totals.finish(features)
        assert set(more) <= set(parameters), "sizes of the columns are known to the rows"
        functions = [_with_arguments(finish, kernel, more | parameters)]
    functions.insert(0, _with_arguments(body, kernel, parameters))
    declares = sorted(rows.w.declares | rows.totals.declares)
    header = "\n".join(f"; {node}" for node in kernel.nodes)
    parts = [header, *(["\n".join(declares)] if declares else []), *functions, ""]
    source = "\n\n".join(parts)
    return Rendered(kernel, source, kernel.bases, kernel.totals, tuple(parameters))


def _with_arguments(function: str, kernel: Kernel, parameters: Mapping[Extent, str]) -> str:
    """Loads the arguments where a function begins."""
    head, rest = function.split("entry:\n", 1)
    names = [f"%p{index}" for index in range(len(kernel.bases))]
    names += [f"%t{index}" for index in range(len(kernel.totals))]
    names += ["%flag"]
    lines = []
    for index, name in enumerate([*names, *parameters.values()]):
        type_ = "i64" if index >= len(names) else "ptr"
        slot = f"%a{index}"
        lines.append(f"  {slot} = getelementptr i64, ptr %args, i64 {index}")
        lines.append(f"  {name} = load {type_}, ptr {slot}")
    return head + "entry:\n" + "\n".join(lines) + "\n" + rest


class _Rows:
    """Writes the function that runs over rows."""

    def __init__(self, kernel: Kernel, features: frozenset[str]) -> None:
        self.kernel = kernel
        self.w = Writer(features)
        self.memory = Memory(self.w, kernel.bases, kernel.loops.vector)
        self.totals = Totals(kernel, self.w, self.memory)
        self.row: dict[Step, Value] = {}
        self.row_indices: dict[Loop, str] = {}
        self.buffers: dict[Step, str] = {}
        self.accumulators: dict[Step, list[str]] = {}
        # Values that an earlier pass of the row has kept.
        self.finished: set[Step] = set()
        self.has_take = any(step.kind == "take" for step in steps_of(kernel.roots))
        self.bad = ""

    def written(self) -> str:
        """The whole function."""
        w, loops = self.w, self.kernel.loops
        if self.has_take:
            self.bad = w.alloca("i1", hint="bad")
            w.line(f"store i1 false, ptr {self.bad}")
        for step in dict.fromkeys(keep for one in self.kernel.passes for keep in one.keeps):
            count = self.memory.extent(_padded(self.kernel.num_columns))
            item = llvm_type(step.dtype, vector=False) if step.dtype is not torch.bool else "i8"
            self.buffers[step] = w.alloca(item, count, hint="kept")
        self.totals.begin()
        if loops.rows:
            with w.loop("%begin", "%end", hint="row") as row:
                self._row(row)
        else:
            self._row(None)
        self.totals.end()
        if self.has_take:
            bad = w.raw(f"load i1, ptr {self.bad}")
            word = w.raw(f"zext i1 {bad} to i32")
            w.line(f"%ignored = atomicrmw or ptr %flag, i32 {word} monotonic")
        return w.function("@rows(ptr %args, i64 %begin, i64 %end, i64 %part)")

    def _row(self, row: str | None) -> None:
        w = self.w
        self.row, self.row_indices, self.finished = {}, {}, set()
        if row is not None:
            rest = row
            *slower, first = reversed(self.kernel.loops.rows)
            for loop in slower:
                extent = self.memory.extent(loop.extent)
                self.row_indices[loop] = w.raw(f"urem i64 {rest}, {extent}")
                rest = w.raw(f"udiv i64 {rest}, {extent}")
            self.row_indices[first] = rest
        for number, one in enumerate(self.kernel.passes):
            w.comment(f"pass {number + 1} of {len(self.kernel.passes)}")
            self._pass(one)
            self.finished |= set(one.keeps)
        for root in self.kernel.row_roots:
            value = self._scalar(root.operands[0])
            if root.kind == "store":
                self.memory.store(root.place, value, self.row_indices)
            else:
                self.totals.add_row(root, value)

    def _pass(self, one: Pass) -> None:
        goals = (*one.reductions, *one.roots)
        for step in steps_of(goals):
            self._scalar_if_constant(step)
        self.accumulators = {}
        scalars = [root for root in one.roots if root.kind == "total" and not self._varies(root)]
        for step in (*one.reductions, *scalars):
            self.accumulators[step] = self._accumulators(step)
        self._over_columns(one)
        for step in one.reductions:
            self.row[step] = self._combined(step)
        for step in scalars:
            self.totals.add_row(step, self._combined(step))

    def _scalar_if_constant(self, step: Step) -> None:
        is_goal = step.kind in {"store", "total", "reduce"}
        if not is_goal and not self._varies(step) and step.kind != "constant":
            self._scalar(step)

    def _varies(self, step: Step) -> bool:
        return self.kernel.varies(step)

    def _accumulators(self, step: Step) -> list[str]:
        w = self.w
        value = step.operands[0]
        type_ = llvm_type(value.dtype, vector=True)
        start = w.constant(identity(step.attributes["how"], value.dtype), value.dtype, vector=True)
        slots = [w.alloca(type_, hint="sum") for _ in range(self._slots())]
        for slot in slots:
            w.line(f"store {start}, ptr {slot}")
        return slots

    def _combined(self, step: Step) -> Value:
        w = self.w
        dtype = step.operands[0].dtype
        vector = llvm_type(dtype, vector=True)
        how = step.attributes["how"]
        parts = [
            w.emit(f"load {vector}, ptr {slot}", dtype, vector=True)
            for slot in self.accumulators[step]
        ]
        while len(parts) > 1:
            parts = [combine(w, how, a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        return total_of(w, how, parts[0])

    def _slots(self) -> int:
        extent = self.kernel.loops.vector.extent
        if is_known(extent) and extent < BLOCK:
            return 1
        return _SLOTS

    def _over_columns(
        self, one: Pass, outer: int = 0, indices: dict[Loop, str] | None = None
    ) -> None:
        w, loops = self.w, self.kernel.loops
        indices = dict(self.row_indices) if indices is None else indices
        if outer < len(loops.columns):
            loop = loops.columns[outer]
            with w.loop("0", self.memory.extent(loop.extent), hint="c") as index:
                self._over_columns(one, outer + 1, {**indices, loop: index})
            return
        extent = loops.vector.extent
        begin, end = ("0", self.memory.extent(extent)) if loops.rows else ("%begin", "%end")
        if not loops.vector.axes:
            self._body(one, [Cursor("0", None, 0, indices)])
            return
        width = LANES * self._slots()
        is_whole = bool(loops.rows) and is_known(extent) and extent % width == 0
        middle = end
        if not is_whole:
            span = w.raw(f"sub i64 {end}, {begin}")
            whole = w.raw(f"and i64 {span}, {-width}")
            middle = w.raw(f"add i64 {begin}, {whole}")
        with w.loop(begin, middle, width, hint="j") as column:
            shared: dict[object, object] = {}
            columns = [
                column if k == 0 else w.raw(f"add nuw nsw i64 {column}, {k * LANES}")
                for k in range(self._slots())
            ]
            self._body(one, [Cursor(c, None, k, indices, shared) for k, c in enumerate(columns)])
        if not is_whole:
            with w.loop(middle, end, LANES, hint="rest") as column:
                mask = lanes_below(w, column, end)
                self._body(one, [Cursor(column, mask, 0, indices)])

    def _body(self, one: Pass, cursors: list[Cursor]) -> None:
        """What is done for some vectors of columns."""
        w = self.w
        for cursor in cursors:
            memo: dict[Step, Value] = {}
            for step in one.keeps:
                value = w.splat(self._column(step, memo, cursor))
                linear = self._linear(cursor)
                store_vector(w, self._kept(step, linear), value, None)
            for step, slots in self.accumulators.items():
                self._accumulate(step, slots[cursor.slot], memo, cursor)
            for root in one.roots:
                value = self._column(root.operands[0], memo, cursor)
                if root.kind == "store":
                    self.memory.store_columns(root.place, value, cursor)
                elif root not in self.accumulators:
                    self.totals.add_columns(root, w.splat(value), self._linear(cursor), cursor.mask)

    def _accumulate(self, step: Step, slot: str, memo: dict[Step, Value], cursor: Cursor) -> None:
        w = self.w
        how = step.attributes["how"]
        value = w.splat(self._column(step.operands[0], memo, cursor))
        if not self.kernel.loops.vector.axes:
            # A single element: it is in lane 0 only.
            cursor = Cursor(cursor.column, lanes_below(w, "0", "1"), 0, cursor.indices)
        old = w.emit(f"load {value.type}, ptr {slot}", value.dtype, vector=True)
        new = combine(w, how, old, value)
        if cursor.mask is not None:
            chosen = Value(cursor.mask, torch.bool, is_vector=True)
            new = w.select(chosen, new, old)
        w.line(f"store {new}, ptr {slot}")

    def _linear(self, cursor: Cursor) -> str:
        """The number of a vector's first column among all columns of the row."""
        w = self.w
        total = "0"
        for loop in self.kernel.loops.columns:
            total = w.times(total, self.memory.extent(loop.extent))
            total = w.plus(total, cursor.indices[loop])
        total = w.times(total, self.memory.extent(self.kernel.loops.vector.extent))
        return w.plus(total, cursor.column)

    def _kept(self, step: Step, linear: str) -> str:
        item = llvm_type(step.dtype, vector=False) if step.dtype is not torch.bool else "i8"
        return self.w.raw(f"getelementptr {item}, ptr {self.buffers[step]}, i64 {linear}")

    def _scalar(self, step: Step) -> Value:
        """A value that is the same for all columns of the row."""
        if step not in self.row:
            self.row[step] = self._made_scalar(step)
        return self.row[step]

    def _made_scalar(self, step: Step) -> Value:
        w = self.w
        if step.kind == "constant":
            return w.constant(step.attributes["value"], step.dtype, vector=False)
        if step.kind == "load":
            return self.memory.load(step.place, step.dtype, self.row_indices)
        if step.kind == "index":
            offset = self.memory.offset(step.place, self.row_indices, None)
            return Value(offset, torch.int64, is_vector=False)
        operands = [self._scalar(operand) for operand in step.operands]
        if step.kind == "uniform":
            number = self.memory.offset(step.place, self.row_indices, None)
            vector = self._uniform_any(step, w.splat(Value(number, torch.int64, is_vector=False)))
            return w.emit(f"extractelement {vector}, i64 0", torch.float32, vector=False)
        if step.kind == "take":
            index = self._index(step, operands[0])
            offset = self.memory.offset(step.place, self.row_indices, None)
            return self.memory.take(step.place, step.dtype, index, offset)
        return operate(w, step.kind, operands, step.dtype)

    def _column(self, step: Step, memo: dict[Step, Value], cursor: Cursor) -> Value:
        """A value in a vector of columns; one that doesn't vary stays a scalar."""
        if not self._varies(step):
            return self._scalar(step)
        if step not in memo:
            if step in self.finished:
                pointer = self._kept(step, self._linear(cursor))
                memo[step] = load_vector(self.w, pointer, step.dtype, None)
            else:
                memo[step] = self._made_column(step, memo, cursor)
        return memo[step]

    def _made_column(self, step: Step, memo: dict[Step, Value], cursor: Cursor) -> Value:
        w = self.w
        if step.kind == "load":
            return self.memory.load_columns(step.place, step.dtype, cursor)
        if step.kind in {"index", "uniform"}:
            if step.kind == "uniform" and self._is_aligned(step, cursor):
                return self._uniform_block(step, cursor)
            start = self.memory.offset(step.place, cursor.indices, cursor.column)
            steps = self.memory.steps(self.kernel.loops.vector.stride(step.place))
            spread = w.splat(Value(start, torch.int64, is_vector=False))
            numbers = w.emit(f"add {spread}, {steps}", torch.int64, vector=True)
            return numbers if step.kind == "index" else self._uniform_any(step, numbers)
        if step.kind == "ge" and self._is_mask(step, cursor):
            uniform, probability = step.operands
            word = self._words(uniform, cursor)[cursor.slot]
            return at_least(w, word, probability.attributes["value"])
        operands = [self._column(operand, memo, cursor) for operand in step.operands]
        if step.kind == "take":
            index = self._index(step, operands[0], cursor.mask)
            return self.memory.take_columns(step.place, step.dtype, index, cursor)
        assert step.kind in OPERATIONS, step.kind
        return operate(w, step.kind, operands, step.dtype)

    def _index(self, step: Step, index: Value, mask: str | None = None) -> Value:
        """An index times its stride; 0 and a raised flag where it is out of range."""
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
        old = w.emit(f"load i1, ptr {self.bad}", torch.bool, vector=False)
        w.line(f"store {combine(w, 'any', old, is_bad)}, ptr {self.bad}")
        inside = w.select(bad, w.constant(0, torch.int64, vector=index.is_vector), index)
        return w.binary("mul", inside, number(step.attributes["stride"]))

    def _is_aligned(self, step: Step, cursor: Cursor) -> bool:
        """Whether the vectors of a turn are one block of the generator."""
        loops, place = self.kernel.loops, step.place
        others = [loop.stride(place) for loop in (*loops.rows, *loops.columns)]
        return (
            cursor.mask is None
            and self._slots() * LANES == BLOCK
            and loops.vector.stride(place) == 1
            and all(is_known(stride) and stride % BLOCK == 0 for stride in others)
        )

    def _is_mask(self, step: Step, cursor: Cursor) -> bool:
        """Whether a step compares a random number, which is at hand as a word, with a constant."""
        uniform, other = step.operands
        is_random = uniform.kind == "uniform" and other.kind == "constant"
        return is_random and self._is_aligned(uniform, cursor)

    def _uniform_block(self, step: Step, cursor: Cursor) -> Value:
        return to_uniform(self.w, self._words(step, cursor)[cursor.slot])

    def _words(self, step: Step, cursor: Cursor) -> list[str]:
        """The words of a block of random numbers, made once for its four vectors."""
        key = (step, "words")
        if key not in cursor.shared:
            seed = convert(self.w, self._scalar(step.operands[0]), torch.int64)
            element = self.memory.offset(step.place, cursor.indices, cursor.column)
            low, high = block_counters(self.w, element)
            cursor.shared[key] = words(self.w, low, high, seed.name, step.attributes["stream"])
        made = cursor.shared[key]
        assert isinstance(made, list)
        return made

    def _uniform_any(self, step: Step, numbers: Value) -> Value:
        """Of elements in any order: each lane computes its own counter and picks its word."""
        w = self.w
        seed = convert(w, self._scalar(step.operands[0]), torch.int64)

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


def _padded(columns: Extent) -> Extent:
    """Columns and a vector more: what is kept is written in whole vectors."""
    return columns + LANES
