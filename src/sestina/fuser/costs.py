"""What this CPU takes for an operation on an element, and for a byte: measured once, and kept.

Each cost is the difference of two small kernels, made by this compiler, that differ in how often
they do the thing; their tensors lie in the first caches. What is measured is kept beside the
kernels on disk, so that it is measured once for a user and machine. Costs are of one thread.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import time
from collections.abc import Callable

import torch

from sestina.fuser.compile.native import compiled_table, machine
from sestina.fuser.ir.nodes import Builder, Graph, Node
from sestina.fuser.ir.operations import HALVES, OPERATIONS
from sestina.fuser.measured import once
from sestina.fuser.memory import empty
from sestina.fuser.render.kernel import render
from sestina.fuser.schedule.kernel import schedule
from sestina.fuser.segment.groups import segment

__all__ = [
    "bandwidth",
    "call_cost",
    "exposed_share",
    "operation_cost",
    "row_cost",
    "transfer_cost",
]

_VERSION = 9
# Elements of the small kernels, and how often the thing is done in them.
_SIZE, _FEW, _MANY = 2048, 2, 10
_ROWS, _COLUMNS = 64, 64
# Of so many calls that each last so long the shortest counts: as long as kernels of models do, for
# what lasts but a moment may find the core undisturbed where they would not.
_CALLS, _CALL_SECONDS = 10, 3e-4
# The stretches of memory that copying is measured over: each cache of the usual sizes, and beyond.
_FOOTPRINTS = (1 << 18, 1 << 21, 1 << 24, 1 << 27, 1 << 29)
# What takes an instruction or two, and what LLVM leaves out where it is done twice in a row.
_AS_ADD = frozenset(
    {
        *("eq", "ne", "lt", "le", "gt", "ge", "where", "maximum", "minimum"),
        *("and", "or", "xor", "not", "neg", "abs", "copysign", "floor", "ceil", "trunc", "round"),
        *("index", "reduce", "total", "scatter"),
    }
)
# Where a function has no value it may take long: what is added to operands near 1.
_MOVED = {"asin": -0.5, "acos": -0.5, "atanh": -0.5, "acosh": 0.5}


def operation_cost(kind: str, dtype: torch.dtype) -> float:
    """Seconds that a step of a kernel takes for an element, besides what it is computed from.

    Args:
        kind: of the step, as `schedule.steps` has them.
        dtype: that it is computed in; whole numbers are taken for float32.
    """
    wide = torch.float64 if dtype is torch.float64 else torch.float32
    if kind == "convert" and dtype in HALVES:
        wide = dtype
    elif kind in _AS_ADD or kind == "convert":
        kind = "add"
    return _known(f"{kind} {wide}", functools.partial(_measured_operation, kind, wide))


def transfer_cost(dtype: torch.dtype) -> float:
    """Seconds that an element's way from or to the first cache takes."""
    return _known(f"copy {dtype}", functools.partial(_measured_transfer, dtype))


def row_cost() -> float:
    """Seconds that beginning and ending a pass over a row takes, a sum over it included."""
    return _known("row", _measured_row)


def call_cost() -> float:
    """Seconds that calling a kernel takes besides what it does."""
    return _known("call", _measured_call)


def exposed_share() -> float:
    """The part of the shorter of computing and moving memory that is not hidden by the longer.

    0 where a CPU does both at once, 1 where it does one after the other.
    """
    return _known("exposed", _measured_exposed)


def bandwidth(footprint_bytes: int) -> float:
    """Bytes a second, read and written, that one thread copies within a stretch of memory.

    Between the stretches that were measured it is taken to change evenly.
    """
    speeds = [
        _known(f"memory {size}", functools.partial(_measured_copy, size)) for size in _FOOTPRINTS
    ]
    pairs = zip(itertools.pairwise(_FOOTPRINTS), itertools.pairwise(speeds), strict=True)
    for (low, high), (slow, fast) in pairs:
        if footprint_bytes <= high:
            part = max(0.0, (footprint_bytes - low) / (high - low))
            return slow + part * (fast - slow)
    return speeds[-1]


def _known(name: str, measure: Callable[[], float]) -> float:
    return float(once(f"{name}, {_VERSION}", measure))


def _measured_operation(kind: str, dtype: torch.dtype) -> float:
    few, many = (_seconds(_repeated(kind, dtype, times), _SIZE) for times in (_FEW, _MANY))
    each = max(0.0, many - few) / ((_MANY - _FEW) * _SIZE)
    if kind in {"uniform", "take"}:
        return max(0.0, each - operation_cost("add", dtype))
    if kind == "scan" or (kind in OPERATIONS and OPERATIONS[kind].cost > 1):
        return max(0.0, each - 2 * operation_cost("add", dtype))
    # Rounded and widened again: two of them.
    return each / 2 if kind == "convert" else each


def _repeated(kind: str, dtype: torch.dtype, times: int) -> Graph:
    """A kernel of one loop that does a thing so many times."""
    b = Builder()
    wide = torch.float32 if dtype in HALVES else dtype
    inputs = [b.make("input", (), (_SIZE,), wide, index=index) for index in range(2)]
    y, x = inputs
    if kind == "uniform":
        inputs.append(b.make("input", (), (), torch.int64, index=2))
    if kind == "take":
        inputs.append(b.make("input", (), (_SIZE,), torch.int64, index=2))
    for number in range(times):
        y = _once(b, kind, dtype, (y, x), inputs, number)
    return Graph(list(inputs), [y], [y.layout])


def _once(
    b: Builder,
    kind: str,
    dtype: torch.dtype,
    operands: tuple[Node, Node],
    inputs: list[Node],
    number: int,
) -> Node:
    y, x = operands
    if kind == "uniform":
        made = b.make("uniform", (inputs[2],), (_SIZE,), torch.float32, stream=number)
        return b.apply("add", y, b.convert(made, y.dtype))
    if kind == "take":
        # Of a place of its own each time, so that no two are one.
        source = b.make("input", (), (_SIZE,), y.dtype, index=len(inputs))
        inputs.append(source)
        made = b.make("take", (source, inputs[2]), (_SIZE,), y.dtype, dim=0)
        return b.apply("add", y, made)
    if kind == "inset":
        source = b.make("input", (), (_SIZE - _MANY,), y.dtype, index=len(inputs))
        inputs.append(source)
        return b.make("inset", (source, y), (_SIZE,), y.dtype, dim=0, start=number)
    if kind == "convert":
        narrow = b.make("convert", (y,), y.shape, dtype)
        return b.make("convert", (narrow,), y.shape, y.dtype)
    # Side by side, as vectors of a kernel are: in a chain each would wait for the one before.
    moved = b.apply("add", x, b.constant(_MOVED.get(kind, 0.0) + number / 1024, x.dtype))
    if kind == "scan":
        made = b.make("scan", (moved,), y.shape, y.dtype, how="sum", dim=0)
    elif OPERATIONS[kind].cost == 1:
        return b.apply(kind, *[y, x, x][: OPERATIONS[kind].arity])
    else:
        made = b.apply(kind, *[moved] * OPERATIONS[kind].arity)
    return b.apply("add", y, made)


def _measured_call() -> float:
    b = Builder()
    source = b.make("input", (), (), torch.float32, index=0)
    run, tensors, _ = _made(Graph([source], [b.make("copy", (source,), (), source.dtype)], [None]))
    array = ctypes.c_int64 * (len(tensors) + 1)
    work = (ctypes.c_int64 * 4)(0, 0, 1, 0)

    def call() -> None:
        run(array(*(tensor.data_ptr() for tensor in tensors), 0), work, 1, 1)

    return _least(call, _CALLS * 10)


def _measured_exposed() -> float:
    # Some exponentials of each element, so that computing takes about as long as moving it.
    size = _FOOTPRINTS[-1] // 8
    moving = 8 * size / bandwidth(8 * size)
    each = (operation_cost("exp", torch.float32) + 2 * operation_cost("add", torch.float32)) * size
    b = Builder()
    source = b.make("input", (), (size,), torch.float32, index=0)
    made = source
    count = max(1, round(moving / each))
    for number in range(count):
        moved = b.apply("add", source, b.constant(number / 1024, source.dtype))
        made = b.apply("add", made, b.apply("exp", moved))
    computing = each * count + 2 * transfer_cost(torch.float32) * size
    both = _seconds(Graph([source], [made], [None]), size)
    longer, shorter = max(moving, computing), min(moving, computing)
    return min(1.0, max(0.0, (both - longer) / shorter))


def _measured_transfer(dtype: torch.dtype) -> float:
    few, many = (_seconds(_copied(dtype, size), size) for size in (_SIZE, 2 * _SIZE))
    return max(0.0, many - few) / _SIZE / 2


def _copied(dtype: torch.dtype, size: int) -> Graph:
    b = Builder()
    source = b.make("input", (), (size,), dtype, index=0)
    copy = b.make("copy", (source,), (size,), dtype)
    return Graph([source], [copy], [None])


def _measured_row() -> float:
    def summed(rows: int) -> Graph:
        b = Builder()
        source = b.make("input", (), (rows, _COLUMNS), torch.float32, index=0)
        return Graph([source], [b.reduce("sum", source, (1,))], [None])

    few, many = (_seconds(summed(rows), rows) for rows in (_ROWS, 2 * _ROWS))
    inside = transfer_cost(torch.float32) + operation_cost("add", torch.float32)
    return max(0.0, (many - few) / _ROWS - _COLUMNS * inside)


def _measured_copy(size: int) -> float:
    count = size // torch.float32.itemsize // 2
    return size / _seconds(_copied(torch.float32, count), count)


def _seconds(graph: Graph, count: int) -> float:
    """What the only kernel of a graph takes, in one thread."""
    run, tensors, flag = _made(graph)
    values = [*(tensor.data_ptr() for tensor in tensors), ctypes.addressof(flag)]
    arguments = (ctypes.c_int64 * len(values))(*values)

    def least(repeats: int, calls: int) -> float:
        # Often in one call, which costs as much as a small kernel.
        work = (ctypes.c_int64 * (4 * repeats))(*[0, 0, count, 0] * repeats)
        return _least(lambda: run(arguments, work, repeats, 1), calls) / repeats

    return least(max(1, round(_CALL_SECONDS / least(8, 2))), _CALLS)


def _made(graph: Graph) -> tuple[Callable[..., None], list[torch.Tensor], ctypes.c_int32]:
    """The only kernel of a graph, tensors for it, and its flag."""
    segments = segment(graph)
    (group,) = segments.groups
    kernel = schedule(group, segments.stored)
    rendered = render(kernel, machine().features, aligned=segments.stored)
    tensors = [_filled(base) for base in rendered.bases]
    return compiled_table(rendered), tensors, ctypes.c_int32(0)


def _filled(base: Node) -> torch.Tensor:
    """A tensor in memory as programs have it, of what no operation treats apart."""
    size = max(1, int(base.num_elements))
    made = empty((size,), (1,), base.dtype)
    if base.dtype.is_floating_point:
        return made.copy_(torch.linspace(0.9, 1.1, size))
    # Whole numbers are places and seeds.
    return made.copy_(torch.arange(size))


def _least(call: Callable[[], object], count: int) -> float:
    """The CPU time of the shortest of some calls: what else the machine does only adds to it."""
    call()
    times = []
    for _ in range(count):
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return min(times)
