"""A kernel as a module of LLVM IR.

    @rows(args, begin, end, part)   the rows of one part, in one thread
    @finish(args, parts)            sums over all parts, always in the same order; if there are any

How rows are divided into parts depends on sizes alone, so results don't depend on the threads.
Arguments are an array of i64: the tensors' addresses, one of partial results for each total, that
of a flag for indices out of range, and the sizes that are known at run time only.
"""

from __future__ import annotations

import functools
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager, nullcontext

import torch

from sestina.fuser.ir.extents import Extent, is_known
from sestina.fuser.ir.nodes import Node
from sestina.fuser.render.access import Cursor, Memory, lanes_below, store_vector, streamed
from sestina.fuser.render.steps import Steps, num_slots
from sestina.fuser.render.totals import Totals
from sestina.fuser.render.values import combine, identity, total_of
from sestina.fuser.render.writer import LANES, Value, Writer, llvm_type
from sestina.fuser.schedule.kernel import Kernel, Pass
from sestina.fuser.schedule.loops import Loop, steps_of
from sestina.fuser.schedule.signature import signature
from sestina.fuser.schedule.steps import Step

__all__ = ["Rendered", "render"]

# Columns side by side from which on they are added up by themselves.
_LONG = 512


class Rendered:
    """A kernel's source and what it is called with.

    The source is written when it is first asked for: code that is there already needs none.

    Attributes:
        bases: tensors whose addresses come first.
        totals: roots that need partial results.
    """

    def __init__(
        self, kernel: Kernel, features: frozenset[str], aligned: Container[Node] = ()
    ) -> None:
        self.kernel, self.features = kernel, features
        self.bases, self.totals = kernel.bases, kernel.totals
        self.streamed = streamed(kernel.bases, aligned)

    @property
    def source(self) -> str:
        """LLVM IR."""
        return self._written[0]

    @property
    def parameters(self) -> tuple[Extent, ...]:
        """The sizes that come last, as expressions."""
        return self._written[1] if self.signature is None else ()

    @functools.cached_property
    def has_flag(self) -> bool:
        """Whether it tells when an index is out of range."""
        return any(step.kind in {"take", "scatter"} for step in self.kernel.steps)

    @functools.cached_property
    def signature(self) -> str | None:
        """What the source follows from, if that is known without writing it."""
        found = signature(self.kernel, self.streamed)
        if found is None:
            return None
        return f"{_named(self.features)}\n{num_slots(self.kernel)}\n{found}"

    @functools.cached_property
    def _written(self) -> tuple[str, tuple[Extent, ...]]:
        kernel = self.kernel
        rows = _Rows(kernel, self.features, self.streamed)
        body = rows.written()
        functions = []
        parameters = rows.memory.parameters
        if kernel.totals:
            finish, more = rows.totals.finish(self.features)
            assert set(more) <= set(parameters), "sizes of the columns are known to the rows"
            functions = [_with_arguments(finish, kernel, more | parameters)]
        functions.insert(0, _with_arguments(body, kernel, parameters))
        declares = sorted(rows.w.declares | rows.totals.declares)
        header = "\n".join(f"; {node}" for node in kernel.nodes)
        parts = [header, *(["\n".join(declares)] if declares else []), *functions, ""]
        if rows.memory.has_streamed:
            parts.insert(-1, "!0 = !{i32 1}")
        return "\n\n".join(parts), tuple(parameters)


@functools.cache
def _named(features: frozenset[str]) -> str:
    return " ".join(sorted(features))


def render(kernel: Kernel, features: frozenset[str], *, aligned: Container[Node] = ()) -> Rendered:
    """The LLVM IR of a kernel.

    Args:
        kernel: what it is to do.
        features: of the CPU, by LLVM's names.
        aligned: tensors that surely begin at a multiple of 64 bytes.
    """
    return Rendered(kernel, features, aligned)


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

    def __init__(self, kernel: Kernel, features: frozenset[str], streamed: frozenset[Node]) -> None:
        self.kernel = kernel
        self.w = Writer(features)
        self.memory = Memory(self.w, kernel.bases, kernel.loops.vector, streamed)
        self.totals = Totals(kernel, self.w, self.memory)
        self.steps = Steps(kernel, self.w, self.memory)
        self.accumulators: dict[Step, list[str]] = {}

    def written(self) -> str:
        """The whole function."""
        w, loops = self.w, self.kernel.loops
        self.steps.begin()
        self.totals.begin()
        if loops.rows:
            with w.loop("%begin", "%end", hint="row") as row:
                self._row(row)
        else:
            self._row(None)
        self.totals.end()
        self.steps.end()
        if self.memory.has_streamed:
            # What went past the caches is there before another thread is told that it is.
            w.declares.add("declare void @llvm.x86.sse.sfence()")
            w.line("call void @llvm.x86.sse.sfence()")
        return w.function("@rows(ptr %args, i64 %begin, i64 %end, i64 %part)")

    def _row(self, row: str | None) -> None:
        w = self.w
        self.steps.begin_row()
        if row is not None:
            rest = row
            *slower, first = reversed(self.kernel.loops.rows)
            for loop in slower:
                extent = self.memory.extent(loop.extent)
                self.steps.row_indices[loop] = w.raw(f"urem i64 {rest}, {extent}")
                rest = w.raw(f"udiv i64 {rest}, {extent}")
            self.steps.row_indices[first] = rest
        self.steps.tiles.turn(self.steps.row_indices)
        for number, one in enumerate(self.kernel.passes):
            w.comment(f"pass {number + 1} of {len(self.kernel.passes)}")
            self._pass(one)
            self.steps.finished |= set(one.keeps)
        for root in self.kernel.row_roots:
            value = self.steps.scalar(root.operands[0])
            if root.kind == "store":
                self.memory.store(root.place, value, self.steps.row_indices)
            else:
                self.totals.add_row(root, value)

    def _pass(self, one: Pass) -> None:
        goals = (*one.reductions, *one.roots)
        for step in steps_of(goals):
            self._scalar_if_constant(step)
            self.steps.look_up(step)
            if step.kind == "scan" and step not in self.steps.finished:
                self.steps.begin_scan(step)
        self.accumulators = {}
        scalars = [
            root for root in one.roots if root.kind == "total" and not self.kernel.varies(root)
        ]
        for step in (*one.reductions, *scalars):
            self.accumulators[step] = self._accumulators(step)
        self._over_columns(one)
        for step in one.reductions:
            self.steps.row[step] = self._combined(step)
        for step in scalars:
            self.totals.add_row(step, self._combined(step))

    def _scalar_if_constant(self, step: Step) -> None:
        is_goal = step.kind in {"store", "total", "reduce", "scatter"}
        if not is_goal and not self.kernel.varies(step) and step.kind != "constant":
            self.steps.scalar(step)

    def _accumulators(self, step: Step) -> list[str]:
        w = self.w
        value = step.operands[0]
        type_ = llvm_type(value.dtype, vector=True)
        start = w.constant(identity(step.attributes["how"], value.dtype), value.dtype, vector=True)
        slots = [w.alloca(type_, hint="sum") for _ in range(self.steps.num_slots)]
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

    @contextmanager
    def _sums_of_their_own(self) -> Iterator[None]:
        """Adds a long run of vectors up by itself first: fewer roundings, one after another."""
        extent, whole = self.kernel.loops.vector.extent, self.accumulators
        if is_known(extent) and extent < _LONG:
            yield
            return
        self.accumulators = {step: self._accumulators(step) for step in whole}
        yield
        for step, slots in whole.items():
            value = step.operands[0]
            type_ = llvm_type(value.dtype, vector=True)
            for slot, own in zip(slots, self.accumulators[step], strict=True):
                parts = [
                    self.w.emit(f"load {type_}, ptr {place}", value.dtype, vector=True)
                    for place in (slot, own)
                ]
                made = combine(self.w, step.attributes["how"], *parts)
                self.w.line(f"store {made}, ptr {slot}")
        self.accumulators = whole

    def _over_columns(
        self, one: Pass, outer: int = 0, indices: dict[Loop, str] | None = None
    ) -> None:
        w, loops = self.w, self.kernel.loops
        indices = dict(self.steps.row_indices) if indices is None else indices
        if outer < len(loops.columns):
            loop = loops.columns[outer]
            with w.loop("0", self.memory.extent(loop.extent), hint="c") as index:
                is_last = outer == len(loops.columns) - 1
                with self._sums_of_their_own() if is_last else nullcontext():
                    self._over_columns(one, outer + 1, {**indices, loop: index})
            return
        extent = loops.vector.extent
        begin, end = ("0", self.memory.extent(extent)) if loops.rows else ("%begin", "%end")
        if not loops.vector.axes:
            self._body(one, [Cursor("0", None, 0, indices)])
            return
        width = LANES * self.steps.num_slots
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
                for k in range(self.steps.num_slots)
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
                value = w.splat(self.steps.column(step, memo, cursor))
                linear = self.steps.linear(cursor)
                store_vector(w, self.steps.kept(step, linear), value, None)
            for step, slots in self.accumulators.items():
                self._accumulate(step, slots[cursor.slot], memo, cursor)
            for root in one.roots:
                value = self.steps.column(root.operands[0], memo, cursor)
                if root.kind == "store":
                    self.memory.store_columns(root.place, value, cursor)
                elif root.kind == "scatter":
                    self._scatter(root, w.splat(value), memo, cursor)
                elif root not in self.accumulators:
                    self.totals.add_columns(
                        root, w.splat(value), self.steps.linear(cursor), cursor.mask
                    )

    def _accumulate(self, step: Step, slot: str, memo: dict[Step, Value], cursor: Cursor) -> None:
        w = self.w
        how = step.attributes["how"]
        value = w.splat(self.steps.column(step.operands[0], memo, cursor))
        if not self.kernel.loops.vector.axes:
            # A single element: it is in lane 0 only.
            cursor = Cursor(cursor.column, lanes_below(w, "0", "1"), 0, cursor.indices)
        old = w.emit(f"load {value.type}, ptr {slot}", value.dtype, vector=True)
        new = combine(w, how, old, value)
        if cursor.mask is not None:
            chosen = Value(cursor.mask, torch.bool, is_vector=True)
            new = w.select(chosen, new, old)
        w.line(f"store {new}, ptr {slot}")

    def _scatter(self, root: Step, value: Value, memo: dict[Step, Value], cursor: Cursor) -> None:
        """Puts or adds a vector of columns where their index says, one for all or one for each."""
        index = self.steps.column(root.operands[1], memo, cursor)
        if index.is_vector and not set(self.kernel.loops.vector.axes) & root.operands[1].axes:
            index = self.w.emit(f"extractelement {index}, i64 0", torch.int64, vector=False)
        further = self.steps.index(root, index, cursor.mask)
        self.memory.scatter_columns(root, value, further, cursor)
