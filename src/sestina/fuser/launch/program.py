"""The function that runs a graph: allocations, kernels and ATen calls in order, as Python source.

The source is written once for a graph, and is what a profiler shows and a reader can read: each
tensor has the name that it has in the IR and is dropped after its last use.
"""

from __future__ import annotations

import ctypes
import itertools
import linecache
import time
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

import sympy
import torch
from torch.utils._sympy.printers import PythonPrinter

from sestina.fuser.compile.native import (
    code_key,
    compiled,
    compiled_table,
    machine,
)
from sestina.fuser.gemm import ROUTED
from sestina.fuser.ir.extents import Extent, product
from sestina.fuser.ir.layouts import Layout
from sestina.fuser.ir.nodes import Graph, Node, Slot, base_of, layout_of, reached
from sestina.fuser.ir.operations import HALVES
from sestina.fuser.launch.division import divide
from sestina.fuser.launch.names import NAMES
from sestina.fuser.launch.order import launches
from sestina.fuser.launch.placing import in_place, reused
from sestina.fuser.render.kernel import Rendered, render
from sestina.fuser.render.totals import partial_dtype
from sestina.fuser.schedule.kernel import Kernel, schedule
from sestina.fuser.segment.groups import Group, Segments, segment

__all__ = ["Program", "assemble"]

_ATEN = torch.ops.aten
# The group that reads an argument last, where none does.
_UNUSED = -1
# New memory of kernels that are launched before their turn, with others that are alike.
_SMALL_BYTES = 1 << 16
# Calls that can write into memory that is there, so that large results come from the pool.
_INTO = {
    _ATEN.bmm.default: _ATEN.bmm.out,
    _ATEN.baddbmm.default: _ATEN.baddbmm.out,
}


class Program:
    """A compiled graph.

    Attributes:
        source: the Python that runs.
        kernels: what was generated, in the order of launches; several that are alike, for tensors
            of their own, have one.
        segments: the plan.
    """

    def __init__(
        self,
        source: str,
        names: dict[str, Any],
        kernels: list[tuple[Rendered, ...]],
        segments: Segments,
    ) -> None:
        self.source = source
        self.kernels = kernels
        self.segments = segments
        self._names = names
        self.run: Callable[[list[Any]], list[Any]] = _executed(source, names)

    @property
    def origins(self) -> list[str]:
        """Where the code of each kernel is from: compiled, disk, or memory."""
        return [self._names[f"k{index}"].origin for index in range(len(self.kernels))]

    def timed(self, tell: Callable[[str, float], None]) -> Callable[[list[Any]], list[Any]]:
        """The function that runs the graph and tells how long each kernel and call of ATen took.

        Args:
            tell: is given `k0`, `k1`, … or the name of the tensor that ATen made, and seconds.
        """
        lines = []
        for line in self.source.splitlines():
            word = line.split()[0] if line.strip() else ""
            is_kernel = line.startswith("    k") and "(" in word
            lines.append(line)
            if line.startswith("    ") and not word.startswith(("#", "return")):
                name = word.partition("(")[0] if is_kernel or " = empty(" not in line else ""
                lines.append(f"    tick({name!r})")
        clock = _Clock(tell)
        run = _executed("\n".join([*lines, ""]), self._names | {"tick": clock.tick})

        def timed_run(args: list[Any]) -> list[Any]:
            clock.start()
            return run(args)

        return timed_run


class _Clock:
    """Time between ticks; the CPU's if there is one thread, as others may have the core, too."""

    def __init__(self, tell: Callable[[str, float], None]) -> None:
        self.tell, self.last = tell, 0.0
        self.now = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter

    def start(self) -> None:
        """Begins to count."""
        self.last = self.now()

    def tick(self, name: str) -> None:
        """Tells the time since the last tick, and begins anew."""
        now = self.now()
        if name:
            self.tell(name, now - self.last)
        self.last = self.now()


def assemble(graph: Graph) -> Program:
    """Compiles a graph: plans its kernels, generates and compiles them, and writes its function.

    The function takes a list of the graph's arguments, which it empties, and gives the list of the
    results.
    """
    segments = segment(graph)
    return _Assembly(graph, segments).program()


class _Assembly:
    def __init__(self, graph: Graph, segments: Segments) -> None:
        self.graph, self.segments = graph, segments
        self.lines: list[str] = []
        self.kernels: list[tuple[Rendered, ...]] = []
        kernels = {
            group: schedule(group, segments.stored)
            for group in segments.groups
            if not group.is_opaque
        }
        self.in_place = in_place(graph, segments, kernels)
        aligned = segments.stored - self.in_place.keys()
        self.rendered = {
            group: render(kernel, machine().features, aligned=aligned)
            for group, kernel in kernels.items()
        }
        self.launches = launches(segments.groups, self._alike())
        self.names = dict(NAMES)
        # The results of calls with several.
        self.items = [node for node in graph.nodes if node.kind == "item"]
        self.last_use = self._last_uses()

    def program(self) -> Program:
        """The compiled graph."""
        arguments = [f"a{index}" for index in range(len(self.graph.inputs))]
        if arguments:
            self.line(f"{', '.join(arguments)}, = args")
        self.line("args.clear()")
        self._drop(_UNUSED)
        for symbol, index in self.graph.symbols.items():
            if symbol.isidentifier():
                self.line(f"{symbol} = a{index}")
        for index, groups in enumerate(self.launches):
            if groups[0].is_opaque:
                self._call(groups[0].nodes[0])
            else:
                self._kernel(groups, index)
            self._drop(index)
        for target, value in self.graph.effects:
            if self.in_place.get(value) is not target:
                self.line(f"{self.tensor(target)}.copy_({self.tensor(value)})")
        results = ", ".join(self._result(*pair) for pair in self._outputs())
        self.line(f"return [{results}]")
        source = "\n".join(["def run(args):", *self.lines, ""])
        return Program(source, self.names, self.kernels, self.segments)

    def line(self, text: str) -> None:
        """One statement."""
        self.lines.append(f"    {text}")

    def tensor(self, node: Node) -> str:
        """An expression for a tensor that lies in memory."""
        if not node.is_view:
            return self._name(node)
        layout = layout_of(node)
        if layout is not None:
            return self._seen(base_of(node), layout)
        source = self.tensor(node.inputs[0])
        if node.kind == "permute":
            return f"{source}.permute({node.attributes['order']})"
        method = "reshape" if node.kind == "reshape" else "expand"
        assert node.kind in {"reshape", "expand"}, node.kind
        return f"{source}.{method}({self.shape(node.shape)})"

    def shape(self, extents: Iterable[Extent]) -> str:
        """A tuple of sizes."""
        return "(" + "".join(f"{self.size(extent)}, " for extent in extents) + ")"

    def size(self, extent: Extent) -> str:
        """A size, from the values of the symbols."""
        return str(extent) if isinstance(extent, int) else PythonPrinter().doprint(extent)

    def _parameter(self, extent: Extent) -> str:
        """A size as a kernel gets it: the bits of one that is not whole."""
        size = self.size(extent)
        return size if isinstance(extent, int) or extent.is_integer else f"bits_of({size})"

    def held(self, value: Any) -> str:
        """A name for a value that has no literal."""
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def _name(self, node: Node) -> str:
        if node.kind == "input":
            return f"a{node.attributes['index']}"
        if node.kind == "held":
            return self.held(node.attributes["tensor"])
        return node.name

    def _seen(self, base: Node, layout: Layout) -> str:
        """A view of a tensor by strides; offsets are from where the tensor begins."""
        name = self._name(base)
        offset = ""
        if layout.offset != 0:
            start = f"{name}.storage_offset() + " if base.is_opaque else ""
            offset = f", {start}{self.size(layout.offset)}"
        return (
            f"as_strided({name}, {self.shape(layout.shape)}, {self.shape(layout.strides)}{offset})"
        )

    def _outputs(self) -> Iterable[tuple[Any, Layout | None]]:
        return zip(self.graph.outputs, self.graph.layouts, strict=True)

    def _result(self, node: Any, wanted: Layout | None) -> str:
        if not isinstance(node, Node):
            return self._written(node)
        assert wanted is not None, "a tensor among the results is to lie somewhere"
        layout = layout_of(node)
        if layout is None:
            return f"laid_out({self.tensor(node)}, {self.shape(wanted.strides)})"
        triples = zip(layout.shape, layout.strides, wanted.strides, strict=True)
        if all(extent == 1 or a == b for extent, a, b in triples):
            seen = Layout(layout.shape, wanted.strides, layout.offset)
            is_whole = not node.is_view and layout.strides == wanted.strides
            return self._name(node) if is_whole else self._seen(base_of(node), seen)
        return f"laid_out({self.tensor(node)}, {self.shape(wanted.strides)})"

    def _last_uses(self) -> dict[Node, int]:
        """For each tensor that the program makes and does not give, the last group to read it."""
        # Arguments, too: what was kept for the backward pass goes as soon as it has been used.
        last = {node: _UNUSED for node in self.graph.inputs if node is not None}
        for index, groups in enumerate(self.launches):
            for node in (node for group in groups for node in group.nodes):
                if node in self.segments.stored or node.kind == "aten":
                    last[node] = index
            nodes = [node for group in groups for node in group.nodes]
            for base in self._used(nodes, last):
                last[base] = index
        kept = self.graph.results
        for node in [*kept, *(one for pair in self.graph.effects for one in pair)]:
            last.pop(base_of(node), None)
        return last

    def _drop(self, index: int) -> None:
        """Forgets the tensors that the group of this number has read last."""
        gone = [node for node, last in self.last_use.items() if last == index]
        if gone:
            self.line(f"del {', '.join(sorted(self._name(node) for node in gone))}")

    def _used(self, nodes: Iterable[Node], last: Container[Node]) -> set[Node]:
        """What lies in memory of all that some nodes are made of."""
        operands = [operand for node in nodes for operand in node.inputs]
        found = reached(operands, lambda base: not (base.is_opaque or base in last))
        return {base for base in found if base.kind == "item" or base in last}

    def _call(self, node: Node) -> None:
        """An ATen call as it was captured."""
        target, options = node.attributes["target"], node.attributes["kwargs"]
        arguments = [self._written(argument, node.inputs) for argument in node.attributes["args"]]
        arguments += [
            f"{key}={self._written(value, node.inputs)}" for key, value in options.items()
        ]
        self.line(f"# {target}")
        if target in ROUTED and not options:
            target = ROUTED[target]
        elif target in _INTO and node.layout is not None:
            target = _INTO[target]
            arguments.append(f"out={self._made(node)}")
        self.line(f"{node.name} = {self.held(target)}({', '.join(arguments)})")
        if node.layout is not None:
            self._check_layout(node)
        for item in self._items_of(node):
            self.line(f"{item.name} = {node.name}[{item.attributes['index']}]")
            self._check_layout(item)

    def _written(self, argument: Any, inputs: Sequence[Node] = ()) -> str:
        """An argument of an ATen call, or a result that is no tensor, as an expression."""
        if isinstance(argument, Slot):
            return self.tensor(inputs[argument.index])
        if isinstance(argument, (list, tuple)):
            items = "".join(f"{self._written(item, inputs)}, " for item in argument)
            return f"({items})" if isinstance(argument, tuple) else f"[{items}]"
        if isinstance(argument, dict):
            pairs = (f"{key!r}: {self._written(value, inputs)}" for key, value in argument.items())
            return "{" + ", ".join(pairs) + "}"
        if isinstance(argument, sympy.Expr):
            return self.size(argument)
        if argument is None or isinstance(argument, (bool, int)):
            return repr(argument)
        return str(argument) if isinstance(argument, torch.dtype) else self.held(argument)

    def _check_layout(self, node: Node) -> None:
        """What ATen made may be other than it said when the graph was captured."""
        assert node.layout is not None
        name, strides = node.name, self.shape(node.layout.strides)
        is_other, wanted = f"{name}.stride() != {strides}", strides
        if node.dtype in HALVES:  # statistics, say, which ATen keeps in float32
            is_other += f" or {name}.dtype is not {node.dtype}"
            wanted += f", {node.dtype}"
        self.line(f"if {is_other}: {name} = laid_out({name}, {wanted})")

    def _items_of(self, node: Node) -> list[Node]:
        return [item for item in self.items if item.inputs[0] is node]

    def _alike(self) -> dict[Group, str]:
        """For each kernel that can share its launch with others, its code."""
        found = {}
        for group, rendered in self.rendered.items():
            fresh = [node for node in self._stored_in(group) if node not in self.in_place]
            size = sum(node.num_elements * node.dtype.itemsize for node in fresh)
            if isinstance(size, int) and size <= _SMALL_BYTES and _is_plain(rendered):
                found[group] = code_key(rendered)
        return found

    def _stored_in(self, group: Group) -> list[Node]:
        return [node for node in group.nodes if node in self.segments.stored]

    def _kernel(self, groups: list[Group], index: int) -> None:
        """One kernel, for one set of tensors or for several."""
        name = f"k{len(self.kernels)}"
        several = tuple(self.rendered[group] for group in groups)
        self.kernels.append(several)
        kinds = dict.fromkeys(node.kind for node in groups[0].nodes)
        times = f", {len(groups)} times" if len(groups) > 1 else ""
        self.line(f"# {', '.join(kinds)}{times}")
        fresh = [node for group in groups for node in self._stored_in(group)]
        old: dict[Node, Node] = {}
        if len(groups) == 1:
            dying = {node for node, last in self.last_use.items() if last == index}
            old = reused(several[0], dying, [node for node in fresh if node not in self.in_place])
        for node in fresh:
            made = self._made(node)
            if node in old:
                name_of = self._name(old[node])
                rest = made.removeprefix("empty(")
                made = f"taken({name_of}, getrefcount({name_of}), {rest}"
            self.line(f"{node.name} = {made}")
        if len(several) > 1:
            self.names[name] = compiled_table(several[0])
            self._tabled(name, several)
            return
        (rendered,) = several
        self.names[name] = compiled(rendered, has_finish=bool(rendered.totals))
        self._divided(name, rendered)

    def _tabled(self, name: str, several: tuple[Rendered, ...]) -> None:
        """A call for several sets of tensors: what is to be done for each is known beforehand."""
        values: list[str] = []
        items: list[int] = []
        for rendered in several:
            place = len(values) * ctypes.sizeof(ctypes.c_int64)
            count, width = _extents(rendered.kernel)
            assert isinstance(count, int)
            assert isinstance(width, int)
            chunk, parts = divide(count, width // max(count, 1), **_division(rendered.kernel))
            for part in range(parts):
                items += [place, part * chunk, min((part + 1) * chunk, count), part]
            values += [f"{self._name(base)}.data_ptr()" for base in rendered.bases]
            values.append("0")  # no flag
        array = self.held(ctypes.c_int64 * len(values))
        work = self.held((ctypes.c_int64 * len(items))(*items))
        num_items = len(items) // 4
        is_parallel = machine().is_parallel and num_items > len(several)
        threads = "num_threads()" if is_parallel else "1"
        self.line(f"{name}({array}({', '.join(values)}), {work}, {num_items}, {threads})")

    def _made(self, node: Node) -> str:
        """An expression for new memory of a tensor."""
        if node.kind == "scatter":
            return self._name(node.inputs[0])
        if node in self.in_place:
            return self._name(self.in_place[node])
        layout = layout_of(node)
        assert layout is not None
        shape, strides = self.shape(layout.shape), self.shape(layout.strides)
        return f"empty({shape}, {strides}, {node.dtype})"

    def _divided(self, name: str, rendered: Rendered) -> None:
        """A call for one set of tensors, in parts."""
        kernel, options = rendered.kernel, _division(rendered.kernel)
        count, size = _extents(kernel)
        if isinstance(count, int) and isinstance(size, int):
            chunk, parts = divide(count, size // max(count, 1), **options)
            division = f"{count}, {chunk}, {parts}"
            num_parts = str(parts)
        else:
            width = f"({self.size(size)}) // max({self.size(count)}, 1)"
            arguments = ", ".join(f"{key}={value}" for key, value in options.items())
            self.line(f"chunk, parts = divide({self.size(count)}, {width}, {arguments})")
            division, num_parts = f"{self.size(count)}, chunk, parts", "parts"
        values = [f"{self._name(base)}.data_ptr()" for base in rendered.bases]
        partials = [f"t{number}" for number in range(len(rendered.totals))]
        for partial, root in zip(partials, rendered.totals, strict=True):
            width = self.size(kernel.num_columns) if kernel.varies(root) else "1"
            dtype = partial_dtype(root, kernel)
            self.line(f"{partial} = torch.empty(({num_parts}) * ({width}), dtype={dtype})")
        values += [f"{partial}.data_ptr()" for partial in partials]
        if rendered.has_flag:
            flag = self.held(ctypes.c_int32)
            self.line(f"flag = {flag}(0)")
        address = self.held(ctypes.addressof)
        values.append(f"{address}(flag)" if rendered.has_flag else "0")
        values += [self._parameter(extent) for extent in rendered.parameters]
        array = self.held(ctypes.c_int64 * len(values))
        threads = "num_threads()" if num_parts != "1" else "1"
        self.line(f"{name}({array}({', '.join(values)}), {division}, {threads})")
        if rendered.has_flag:
            self.line("if flag.value: refuse_index()")


def _division(kernel: Kernel) -> dict[str, bool]:
    """What decides on how a kernel is divided, besides sizes."""
    return {
        "has_rows": bool(kernel.loops.rows),
        "has_totals": bool(kernel.totals),
        "is_one_row": kernel.is_one_row,
    }


def _extents(kernel: Kernel) -> tuple[Extent, Extent]:
    """What is divided, and how many elements that is."""
    loops = kernel.loops
    count = loops.num_rows if loops.rows else loops.vector.extent
    return count, product([kernel.num_columns, loops.num_rows])


def _is_plain(rendered: Rendered) -> bool:
    """Whether its sizes are known, and it has nothing to do or to say when it ends."""
    is_static = all(isinstance(extent, int) for extent in _extents(rendered.kernel))
    has_more = rendered.totals or rendered.parameters or rendered.has_flag
    return is_static and not has_more


_numbers = itertools.count()


def _executed(source: str, names: dict[str, Any]) -> Callable[[list[Any]], list[Any]]:
    """The function `run` that a source defines."""
    filename = f"<sestina program {next(_numbers)}>"
    # What tracebacks and profilers show.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    space = dict(names)
    exec(compile(source, filename, "exec"), space)  # noqa: S102 - this file has written it
    run: Callable[[list[Any]], list[Any]] = space["run"]
    return run
