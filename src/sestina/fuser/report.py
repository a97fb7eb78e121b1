"""What the compiler made of a function: which kernels, of what, why they end, what they cost.

The bytes of a kernel are those of the elements that it reads and writes, each once; its prediction
is that many bytes at the speed of copying memory on this machine, the roofline of what is memory
bound. Times are of one call after others, so that caches are warm and memory is there.
"""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch

from sestina.core.text import table
from sestina.fuser.capture.backend import Compiled, backend, listening
from sestina.fuser.ir.extents import product
from sestina.fuser.ir.nodes import Node
from sestina.fuser.render.kernel import Rendered
from sestina.fuser.schedule.loops import steps_of

__all__ = ["CallReport", "KernelReport", "Report", "copy_bandwidth", "explain", "report_of"]

_CALLS = 5
_COPY_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelReport:
    """One kernel."""

    name: str
    """Of its graph's number and its own, as `0.k3`."""
    operations: tuple[str, ...]
    """What it computes, in order, each kind once."""
    num_operations: int
    """How many operations that is."""
    rows: str
    """How often its rows run, and over how many columns; symbols where sizes may change."""
    passes: int
    """How often it passes over each row."""
    bytes_moved: int | None
    """What it reads and writes; None where sizes may change."""
    seconds: float | None
    """Of one call, if it was called."""
    source: str = field(repr=False)
    """The generated LLVM IR."""

    @property
    def predicted_seconds(self) -> float | None:
        """What moving its bytes takes at the speed of copying memory."""
        return None if self.bytes_moved is None else self.bytes_moved / copy_bandwidth()

    @property
    def share(self) -> float | None:
        """The predicted time as a part of the measured one: 1 is the memory's speed."""
        if self.predicted_seconds is None or not self.seconds:
            return None
        return self.predicted_seconds / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """What ATen computes, calls of one operation in one graph."""

    target: str
    graph: int
    count: int
    reason: str | None
    """Why there is no kernel for it; None where it is ATen's by design."""
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All of it; `str` gives tables."""

    kernels: tuple[KernelReport, ...]
    calls: tuple[CallReport, ...]
    apart: tuple[tuple[str, int], ...]
    """Why nodes did not join the kernel of an operand, and how many did not."""
    graphs: tuple[str, ...]
    """The IR of each graph."""
    compile_seconds: float

    def __str__(self) -> str:
        kernels = [
            (
                kernel.name,
                _shortened(", ".join(kernel.operations)),
                kernel.num_operations,
                kernel.rows,
                kernel.passes,
                _scaled(kernel.bytes_moved, 1e-6),
                _scaled(kernel.seconds, 1e6),
                "" if kernel.share is None else f"{kernel.share:.0%}",
            )
            for kernel in self.kernels
        ]
        calls = [
            (call.target, call.graph, call.count, _scaled(call.seconds, 1e6), call.reason or "")
            for call in self.calls
        ]
        parts = [
            f"{len(self.graphs)} graphs, {len(self.kernels)} kernels, "
            f"{sum(call.count for call in self.calls)} calls of ATen, compiled in "
            f"{self.compile_seconds:.2f} s",
            table(kernels, _KERNEL_HEADERS),
            table(calls, ("ATen computes", "graph", "calls", "µs", "why")),
        ]
        if self.apart:
            parts.append(table(self.apart, ("why nodes were kept apart", "times")))
        return "\n\n".join(parts)


_NO_OPERATIONS = frozenset({"load", "store", "constant", "index"})
_KERNEL_HEADERS = (
    "kernel",
    "computes",
    "operations",
    "rows × columns",
    "passes",
    "MB",
    "µs",
    "of copy",
)


def explain(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Report:
    """Compiles a function or module for some arguments, runs it, and reports.

    Where the result wants gradients the backward pass runs too.

    Args:
        function: anything that `torch.compile` takes.
        args: its arguments.
        kwargs: its other arguments.

    Example:
        >>> import torch
        >>> report = explain(lambda x: torch.softmax(x * 2, -1), torch.zeros(8, 32))
        >>> [kernel.passes for kernel in report.kernels]
        [3]
    """
    torch._dynamo.reset()
    found: list[Compiled] = []
    compiled: Any = torch.compile(function, backend=backend)
    with listening(found.append):
        _call(compiled, args, kwargs)
        first = len(found)
        # A second call may be captured anew, with what the first one has changed.
        _call(compiled, args, kwargs)
    found = found[first:] or found
    times: dict[str, list[float]] = defaultdict(list)
    for number, one in enumerate(found):
        one.program.run = one.program.timed(functools.partial(_note, times, number))
    for _ in range(_CALLS):
        _call(compiled, args, kwargs)
    return report_of(found, {name: median(seconds) for name, seconds in times.items()})


def report_of(found: list[Compiled], seconds: dict[str, float] | None = None) -> Report:
    """The report of graphs that were compiled.

    Args:
        found: what a listener was told.
        seconds: of kernels and calls, by graph and name as `0.k3`, if they were measured.
    """
    seconds = seconds or {}
    apart: dict[str, int] = defaultdict(int)
    kernels, calls = [], []
    for number, one in enumerate(found):
        kernels += [
            _kernel_report(f"{number}.k{index}", launched, seconds)
            for index, launched in enumerate(one.program.kernels)
        ]
        calls += _call_reports(number, one, seconds)
        for _, reason in one.program.segments.refusals:
            apart[reason] += 1
    return Report(
        kernels=tuple(kernels),
        calls=tuple(calls),
        apart=tuple(sorted(apart.items(), key=lambda pair: -pair[1])),
        graphs=tuple(str(one.graph) for one in found),
        compile_seconds=sum(one.seconds for one in found),
    )


@functools.cache
def copy_bandwidth() -> float:
    """Bytes a second, read and written, that copying 64 MiB moves with PyTorch's threads."""
    source = torch.zeros(_COPY_BYTES, dtype=torch.uint8)
    target = torch.zeros_like(source)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        target.copy_(source)
        times.append(time.perf_counter() - start)
    return 2 * _COPY_BYTES / min(times)


def _call(compiled: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    result = compiled(*args, **kwargs)
    for tensor in _tensors(result):
        if tensor.requires_grad:
            tensor.sum().backward(retain_graph=True)
            break


def _tensors(result: Any) -> list[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        return [result]
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (list, tuple)):
        return [tensor for item in result for tensor in _tensors(item)]
    return []


def _note(times: dict[str, list[float]], number: int, name: str, seconds: float) -> None:
    times[f"{number}.{name}"].append(seconds)


def _kernel_report(
    name: str, launched: tuple[Rendered, ...], seconds: dict[str, float]
) -> KernelReport:
    rendered = launched[0]
    kernel = rendered.kernel
    operations = [step.kind for step in steps_of(kernel.roots) if step.kind not in _NO_OPERATIONS]
    operations += ["copy"] * (not operations)
    return KernelReport(
        name=name,
        operations=tuple(dict.fromkeys(operations)),
        num_operations=len(operations),
        rows=f"{kernel.loops.num_rows} × {kernel.num_columns}",
        passes=max(1, len(kernel.passes)),
        bytes_moved=_bytes_of(launched),
        seconds=seconds.get(name),
        source=rendered.source,
    )


def _bytes_of(launched: tuple[Rendered, ...]) -> int | None:
    sizes = [_bytes_moved(rendered) for rendered in launched]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _bytes_moved(rendered: Rendered) -> int | None:
    """Of each place that is read or written, once."""
    total = 0
    seen: set[tuple[Node, frozenset[Any]]] = set()
    for step in steps_of(rendered.kernel.roots):
        if step.kind not in {"load", "store", "total", "take"}:
            continue
        place = step.place
        assert place.base is not None
        axes = step.axes if step.kind == "take" else frozenset(place.strides)
        key = (place.base, frozenset(axes))
        count = product(axis.extent for axis in axes)
        if not isinstance(count, int):
            return None
        if key not in seen:
            seen.add(key)
            total += count * place.base.dtype.itemsize
    return total


def _call_reports(number: int, one: Compiled, seconds: dict[str, float]) -> list[CallReport]:
    counts: dict[str, int] = defaultdict(int)
    times: dict[str, list[float]] = defaultdict(list)
    for group in one.program.segments.groups:
        node = group.nodes[0]
        if node.kind == "aten":
            target = str(node.attributes["target"])
            counts[target] += 1
            if (spent := seconds.get(f"{number}.{node.name}")) is not None:
                times[target].append(spent)
    return [
        CallReport(
            target=target,
            graph=number,
            count=count,
            reason=one.reasons.get(target),
            seconds=sum(times[target]) if times[target] else None,
        )
        for target, count in counts.items()
    ]


def _scaled(value: float | None, factor: float) -> str:
    return "" if value is None else f"{value * factor:.3g}"


def _shortened(text: str, length: int = 44) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
