"""What the compiler made of a function: which kernels, of what, why they end, what they cost.

The bytes of a kernel are those of the elements that it reads and writes, each once. How long it is
to take is predicted from them and from what it computes; see `sestina.fuser.prediction`. Times are
of calls after others, so that caches are warm and memory is there: the CPU's with one thread, the
clock's with more. `sestina.fuser.pipeline` shows the stages in between.
"""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

from sestina.core.text import table
from sestina.fuser.capture.backend import Compiled, backend, listening
from sestina.fuser.capture.fallbacks import hearing
from sestina.fuser.capture.guards import recompile_reasons
from sestina.fuser.costs import call_cost
from sestina.fuser.ir.nodes import Node
from sestina.fuser.launch.program import Program
from sestina.fuser.prediction import predict, traffic
from sestina.fuser.render.kernel import Rendered
from sestina.fuser.schedule.kernel import Kernel
from sestina.fuser.trial import has_graph, is_compiled, run_once, unchanged

__all__ = [
    "CallReport",
    "KernelReport",
    "Report",
    "Times",
    "explain",
    "report_of",
    "timing",
]

_CALLS = 10


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

    memory_seconds: float | None
    """What moving its bytes takes at the speed of memory where so many fit: the roofline."""
    arithmetic_seconds: float | None
    """What computing takes with all that is read at hand."""
    origin: str
    """Where its code is from: compiled, disk, or memory, of a kernel alike."""
    predicted_seconds: float | None
    """Of a call: the longer of both, what it doesn't hide of the other, and the call itself."""

    @property
    def predicted_share(self) -> float | None:
        """The share of the memory's speed that is to be expected: 1 where that is the limit."""
        if self.memory_seconds is None or not self.predicted_seconds:
            return None
        return self.memory_seconds / self.predicted_seconds

    @property
    def share(self) -> float | None:
        """The share of the memory's speed that was measured."""
        if self.memory_seconds is None or not self.seconds:
            return None
        return self.memory_seconds / self.seconds


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
    recompiles: tuple[str, ...] | None
    """Why the same call would be captured anew; empty if it wouldn't, None if that wasn't asked."""
    left: tuple[str, ...]
    """Why PyTorch runs graphs of which nothing was compiled, each reason once."""

    def __str__(self) -> str:
        kernels = [
            (
                kernel.name,
                _shortened(", ".join(kernel.operations)),
                kernel.num_operations,
                kernel.rows,
                kernel.passes,
                _scaled(kernel.bytes_moved, 1e-6),
                _scaled(kernel.predicted_seconds, 1e6),
                _scaled(kernel.seconds, 1e6),
                _percent(kernel.predicted_share),
                _percent(kernel.share),
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
            f"{self.compile_seconds:.2f} s; {self._code()}",
            table(kernels, _KERNEL_HEADERS),
        ]
        if not self.graphs:
            parts = [] if self.left else [_NOTHING]
        parts += [f"PyTorch runs a graph, without kernels: {reason}" for reason in self.left]
        if calls:
            parts.append(table(calls, ("ATen computes", "graph", "calls", "µs", "why")))
        if self.apart:
            parts.append(table(self.apart, ("why nodes were kept apart", "times")))
        if self.recompiles is not None:
            answer = "; ".join(self.recompiles) or "no"
            parts.append(f"would the same call be compiled anew: {answer}")
        return "\n\n".join(parts)

    def _code(self) -> str:
        counts = Counter(kernel.origin for kernel in self.kernels)
        return (
            f"code of {counts['compiled']} kernels is new, of {counts['disk']} from disk, "
            f"of {counts['memory']} that of kernels alike"
        )


_NOTHING = "nothing was compiled: TorchDynamo found no operation on tensors"
_NO_OPERATIONS = frozenset({"load", "store", "constant", "index"})
_KERNEL_HEADERS = (
    "kernel",
    "computes",
    "operations",
    "rows × columns",
    "passes",
    "MB",
    "µs expected",
    "µs",
    "of memory's speed expected",
    "measured",
)


def explain(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Report:
    """Compiles a function or module for some arguments, runs it, and reports.

    It is called a dozen times, once of them as it is, so that its own errors are raised as such;
    where the result wants gradients the backward pass runs too. Gradients, parameters, buffers, the
    state of optimizers and random numbers are afterwards what they were, also after an error; what
    else the function changes, a counter in Python say, stays changed. What TorchDynamo has compiled
    before in this process is forgotten, as by `torch._dynamo.reset`.

    Args:
        function: anything that `torch.compile` takes. What is compiled with this backend already
            keeps its options, `dynamic=True` say.
        args: its arguments.
        kwargs: its other arguments.

    Example:
        >>> import torch
        >>> report = explain(lambda x: torch.softmax(x * 2, -1), torch.zeros(8, 32))
        >>> [kernel.passes for kernel in report.kernels]
        [3]
    """
    keeps = has_graph(function, args, kwargs)
    run = functools.partial(run_once, args=args, kwargs=kwargs, keeps=keeps)
    found: list[Compiled] = []
    left: list[str] = []
    torch._dynamo.reset()
    with unchanged(function, args, kwargs), listening(found.append), hearing(left.append):
        run(function)
    is_ours = bool(found or left) and is_compiled(function)
    found.clear()
    left.clear()
    torch._dynamo.reset()
    compiled: Any = function if is_ours else torch.compile(function, backend=backend)
    with unchanged(function, args, kwargs):
        with listening(found.append), hearing(left.append):
            run(compiled)
            first = len(found)
            # A second call may be captured anew, with what the first one has changed.
            run(compiled)
        found = found[first:] or found
        with timing() as times:
            for one in found:
                times.watch(one)
            for _ in range(_CALLS):
                run(compiled)
        reasons = recompile_reasons(compiled, *args, **kwargs) if found or left else ()
    return report_of(found, times.least(), recompiles=reasons, left=left)


def report_of(
    found: list[Compiled],
    seconds: dict[str, float] | None = None,
    *,
    recompiles: tuple[str, ...] | None = None,
    left: Iterable[str] = (),
) -> Report:
    """The report of graphs that were compiled.

    Args:
        found: what a listener was told.
        seconds: of kernels and calls, by graph and name as `0.k3`, if they were measured.
        recompiles: what `recompile_reasons` says of the call, if it was asked.
        left: why PyTorch runs other graphs, as `hearing` tells.
    """
    seconds = seconds or {}
    apart: dict[str, int] = defaultdict(int)
    kernels, calls = [], []
    footprints = _footprints(found)
    for number, one in enumerate(found):
        kernels += [
            _kernel_report(f"{number}.k{index}", *made, footprints, seconds)
            for index, made in enumerate(zip(one.program.kernels, one.program.origins, strict=True))
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
        recompiles=recompiles,
        left=tuple(dict.fromkeys(left)),
    )


class Times:
    """How long kernels and calls of ATen take, call by call."""

    def __init__(self) -> None:
        self._watched: list[tuple[Program, Callable[[list[Any]], list[Any]]]] = []
        self._seconds: dict[str, list[float]] = defaultdict(list)

    def watch(self, one: Compiled) -> None:
        """Takes the times of another graph."""
        self._watched.append((one.program, one.program.run))
        tell = functools.partial(self._note, len(self._watched) - 1)
        one.program.run = one.program.timed(tell)

    def least(self) -> dict[str, float]:
        """The shortest time of each, by graph and name as `0.k3`.

        Whatever else the machine does only adds to a call.
        """
        return {name: min(seconds) for name, seconds in self._seconds.items()}

    def stop(self) -> None:
        """Lets the graphs run as before."""
        for program, run in self._watched:
            program.run = run

    def _note(self, number: int, name: str, seconds: float) -> None:
        self._seconds[f"{number}.{name}"].append(seconds)


@contextmanager
def timing() -> Iterator[Times]:
    """Times graphs within the block: those that `watch` is told of."""
    times = Times()
    try:
        yield times
    finally:
        times.stop()


def _kernel_report(
    name: str,
    launched: tuple[Rendered, ...],
    origin: str,
    footprints: Mapping[Kernel, dict[Node, int]],
    seconds: dict[str, float],
) -> KernelReport:
    rendered = launched[0]
    kernel = rendered.kernel
    operations = [step.kind for step in kernel.steps if step.kind not in _NO_OPERATIONS]
    operations += ["copy"] * (not operations)
    times = f" × {len(launched)} tensors" if len(launched) > 1 else ""
    expected = [predict(one.kernel, footprints.get(one.kernel, {})) for one in launched]
    known = [one for one in expected if one is not None]
    is_known = len(known) == len(expected)
    return KernelReport(
        name=name,
        operations=tuple(dict.fromkeys(operations)),
        num_operations=len(operations),
        rows=f"{kernel.loops.num_rows} × {kernel.num_columns}{times}",
        passes=max(1, len(kernel.passes)),
        bytes_moved=_bytes_moved([one.kernel for one in launched]),
        seconds=seconds.get(name),
        source=rendered.source,
        memory_seconds=sum(one.memory for one in known) if is_known else None,
        arithmetic_seconds=sum(one.arithmetic for one in known) if is_known else None,
        predicted_seconds=call_cost() + sum(one.seconds for one in known) if is_known else None,
        origin=origin,
    )


def _bytes_moved(kernels: Iterable[Kernel]) -> int | None:
    total = 0
    for kernel in kernels:
        moved = traffic(kernel)
        if moved is None:
            return None
        total += sum(size for part in moved for size in part.values())
    return total


def _footprints(found: Iterable[Compiled]) -> dict[Kernel, dict[Node, int]]:
    """For each tensor of each kernel, what has been moved since it was used.

    Within a graph that is what the kernels between move; from call to call, all tensors.
    """
    graphs = []
    for each in found:
        kernels = [one.kernel for launched in each.program.kernels for one in launched]
        parts = {kernel: traffic(kernel) for kernel in kernels}
        graphs.append(
            {kernel: read | written for kernel, (read, written) in _without_none(parts).items()}
        )
    wholes = [
        {b: size for sizes in graph.values() for b, size in sizes.items()} for graph in graphs
    ]
    everything = sum(sum(whole.values()) for whole in wholes)
    footprints: dict[Kernel, dict[Node, int]] = {}
    for graph in graphs:
        moved = 0
        last: dict[Node, int] = {}
        for kernel, sizes in graph.items():
            before = moved
            moved += sum(sizes.values())
            footprints[kernel] = {
                base: min(everything, moved - last.get(base, moved - everything)) for base in sizes
            }
            last |= dict.fromkeys(sizes, before)
    return footprints


_Value = TypeVar("_Value")


def _without_none(values: Mapping[Kernel, _Value | None]) -> dict[Kernel, _Value]:
    return {kernel: value for kernel, value in values.items() if value is not None}


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


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _shortened(text: str, length: int = 44) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
