"""What has to hold between the passes of the pipeline, whatever the graph.

Compiling leaves this out, for its time; `stages` does it for what it prints, and the tests for all
that they compile.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import torch

from sestina.fuser.ir.extents import Extent, is_known, product
from sestina.fuser.ir.nodes import VIEWS, Graph, Node, base_of, layout_of, reached
from sestina.fuser.ir.operations import OPERATIONS, STORED
from sestina.fuser.schedule.kernel import Kernel
from sestina.fuser.schedule.loops import steps_of
from sestina.fuser.schedule.steps import Step
from sestina.fuser.segment.groups import Segments

__all__ = ["Broken", "verify_graph", "verify_kernel", "verify_segments"]

_MADE = frozenset({"input", "held", "aten", "item"})
_HOWS = {
    "reduce": {"sum", "prod", "max", "min", "any", "all"},
    "scan": {"sum", "prod"},
    "scatter": {"sum", "last"},
}


class Broken(AssertionError):  # noqa: N818 - a mistake of ours, which nobody is to catch
    """A pass has left something that later ones do not expect; the message says what."""


def verify_graph(graph: Graph) -> None:
    """Every node follows the table of the IR: shapes, dtypes, and inputs that are there before it.

    Raises:
        Broken: for the first node that doesn't.
    """
    known: set[Node] = set()
    for node in graph.nodes:
        _expect(known.issuperset(node.inputs), node, "is read before it is made")
        known.add(node)
        if node.kind == "input":
            is_given = graph.inputs[node.attributes["index"]] is node
            _expect(is_given, node, "is none of the arguments")
        elif node.kind not in _MADE:
            _expect(
                node.dtype in STORED, node, f"has a dtype that kernels don't have: {node.dtype}"
            )
            _verify_made(node)
    for target, value in graph.effects:
        _expect(_agree(target.shape, value.shape), value, f"is written to {target}")
    for result, layout in zip(graph.outputs, graph.layouts, strict=True):
        if isinstance(result, Node) and layout is not None:
            _expect(_agree(result.shape, layout.shape), result, f"is to lie as {layout}")


def verify_segments(graph: Graph, segments: Segments) -> None:
    """Every node is of one kernel, and finds what it reads in it, or in memory by then.

    Raises:
        Broken: for the first node that doesn't.
    """
    place: dict[Node, int] = {}
    for number, group in enumerate(segments.groups):
        for node in group.nodes:
            _expect(node not in place, node, "is of two kernels")
            place[node] = number
    for node, number in place.items():
        operands = [base_of(operand) for operand in node.inputs]
        for base in itertools.chain(operands, *(_of_free(base) for base in operands)):
            if base in place and place[base] != number:
                is_there = place[base] < number and (base.is_opaque or base in segments.stored)
                _expect(
                    is_there, node, f"reads {base} of a kernel that has not run, or not stored it"
                )
        if node.is_lookup:
            _expect(
                place.get(operands[0]) != number, node, "reads at other places of its own kernel"
            )
    roots = [*graph.results, *(value for _, value in graph.effects)]
    for base in map(base_of, roots):
        is_there = base.is_opaque or base in segments.stored
        _expect(is_there, base, "is a result, and not stored")


def verify_kernel(kernel: Kernel) -> None:
    """Every value is of the kernel's loops, and made of what its pass has.

    Raises:
        Broken: for the first step that isn't.
    """
    loops = (*kernel.loops.rows, *kernel.loops.columns, kernel.loops.vector)
    axes = [axis for loop in loops for axis in loop.axes]
    if len(set(axes)) != len(axes):
        raise Broken(f"a loop runs twice: {kernel.loops}")
    steps = steps_of(kernel.roots)
    for step in steps:
        _expect_step(
            step.axes <= set(axes), step, f"depends on loops that are not of {kernel.loops}"
        )
        place = step.attributes.get("place")
        if place is not None and place.base is not None:
            _expect_step(
                place.base in kernel.bases, step, "is of a tensor that the kernel isn't given"
            )
        if step.kind == "scatter":
            columns = {
                axis for loop in (*kernel.loops.columns, kernel.loops.vector) for axis in loop.axes
            }
            _expect_step(step.axes >= columns, step, "is repeated for each column")
    _verify_passes(kernel, steps)


def _verify_passes(kernel: Kernel, steps: Iterable[Step]) -> None:
    done = list(itertools.chain.from_iterable(one.reductions for one in kernel.passes))
    reductions = [step for step in steps if step.kind == "reduce"]
    if len(set(done)) != len(done) or set(done) != set(reductions):
        raise Broken(f"of {len(reductions)} sums over a row, {len(done)} are done in passes")
    complete: set[Step] = set()
    for one in kernel.passes:
        for goal in (*one.reductions, *one.roots, *one.keeps):
            inner = steps_of([*goal.operands])
            _expect_step(
                all(step in complete for step in inner if step.kind == "reduce"),
                goal,
                "needs a sum over the row that is not complete",
            )
        complete |= set(one.reductions)
    for root in kernel.row_roots:
        _expect_step(not kernel.varies(root.operands[0]), root, "differs from column to column")


def _verify_made(node: Node) -> None:
    """What the node's kind says about its operands."""
    if node.kind in OPERATIONS:
        _verify_elementwise(node)
    elif node.kind in VIEWS:
        _expect(node.inputs[0].dtype is node.dtype, node, "has another dtype than what it shows")
        _expect(_VIEWS[node.kind](node, node.inputs[0]), node, "is no such view")
    elif node.kind in _HOWS:
        _expect(node.attributes["how"] in _HOWS[node.kind], node, "is combined in no known way")
    if node.kind in {"copy", "scan"}:
        _expect(
            _agree(node.inputs[0].shape, node.shape), node, "has another shape than its operand"
        )
    if node.is_lookup:
        _verify_lookup(node)


def _verify_elementwise(node: Node) -> None:
    operation = OPERATIONS[node.kind]
    _expect(len(node.inputs) == operation.arity, node, f"has not {operation.arity} operands")
    for operand in node.inputs:
        is_alike = operand.shape == () or _agree(operand.shape, node.shape)
        _expect(is_alike, node, f"has an operand of another shape: {operand}")
    values = node.inputs[1:] if node.kind == "where" else node.inputs
    dtypes = {operand.dtype for operand in values}
    _expect(len(dtypes) == 1 and dtypes <= operation.dtypes, node, f"is not computed in {dtypes}")
    if node.kind == "where":
        _expect(node.inputs[0].dtype is torch.bool, node, "chooses by what is no bool")
    if node.kind != "convert":
        expected = torch.bool if operation.is_predicate else values[0].dtype
        _expect(node.dtype is expected, node, f"has {node.dtype} as a result of {expected}")


def _verify_lookup(node: Node) -> None:
    source, *others = node.inputs
    _expect(layout_of(source) is not None, node, f"reads {source}, which no strides describe")
    dim = node.attributes["dim"]
    beside = [
        (*one.shape[:dim], *one.shape[dim + 1 :]) for one in (node, source, *others) if one.shape
    ]
    _expect(all(_agree(beside[0], shape) for shape in beside), node, "has operands of other shapes")
    index = {"take": 0, "scatter": 0}.get(node.kind)
    if index is not None:
        _expect(others[index].dtype is torch.int64, node, "has no int64 for places")


def _is_slice(node: Node, source: Node) -> bool:
    dim, start, step = (node.attributes[name] for name in ("dim", "start", "step"))
    extent, count = source.shape[dim], node.shape[dim]
    last = start + (count - 1) * step
    if not all(is_known(one) for one in (extent, count, start)) or count == 0:
        return True
    return bool(min(start, last) >= 0 and max(start, last) < extent)


_VIEWS: dict[str, Callable[[Node, Node], bool]] = {
    "expand": lambda node, source: (
        len(node.shape) == len(source.shape)
        and all(old in {1, new} for old, new in zip(source.shape, node.shape, strict=True))
    ),
    "permute": lambda node, source: (
        sorted(node.attributes["order"]) == [*range(len(source.shape))]
        and node.shape == tuple(source.shape[dim] for dim in node.attributes["order"])
    ),
    "reshape": lambda node, source: _agree([product(node.shape)], [product(source.shape)]),
    "slice": _is_slice,
}


def _of_free(node: Node) -> Iterable[Node]:
    """What a node that each kernel makes for itself is made of, and is made elsewhere."""
    found = reached(node.inputs, lambda base: base.is_free) if node.is_free else []
    return [base for base in found if not base.is_free]


def _agree(first: Iterable[Extent], second: Iterable[Extent]) -> bool:
    """Whether extents are the same; of those with symbols PyTorch has made sure."""
    pairs = list(itertools.zip_longest(first, second, fillvalue=-1))
    return all(a == b or not (is_known(a) and is_known(b)) for a, b in pairs)


def _expect(holds: object, node: Node, fault: str) -> None:
    if not holds:
        raise Broken(f"{node} {fault}")


def _expect_step(holds: object, step: Step, fault: str) -> None:
    if not holds:
        raise Broken(f"{step} {fault}")
