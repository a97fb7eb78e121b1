"""Which results are written where an argument lies, rather than beside it and then copied there.

An argument that the captured function writes to, as an optimizer does to its parameters, may be
overwritten by the kernel that reads it last. What reads it before has to be the same kernel, at the
place that is written, and not after it. So may a large tensor that a kernel reads last be
overwritten by a result of that kernel, if nobody else has it, which is asked when it runs.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from sestina.fuser.ir.nodes import Graph, Node, base_of, layout_of, reached
from sestina.fuser.memory import MIN_BYTES
from sestina.fuser.render.kernel import Rendered
from sestina.fuser.schedule.kernel import Kernel
from sestina.fuser.schedule.steps import Step
from sestina.fuser.segment.groups import Group, Segments

__all__ = ["in_place", "reused"]


def in_place(graph: Graph, segments: Segments, kernels: Mapping[Group, Kernel]) -> dict[Node, Node]:
    """For each node that is written to an argument's memory by its kernel, that argument."""
    maker = {node: group for group in segments.groups for node in group.nodes}
    readers = _readers(segments.groups)
    targets = [target for target, _ in graph.effects]
    kept = {base_of(result) for result in graph.results}
    kept |= {base_of(value) for _, value in graph.effects if base_of(value) in targets}
    found: dict[Node, Node] = {}
    for target, value in graph.effects:
        group = maker.get(value)
        if group is None or group.is_opaque or value in found or value not in segments.stored:
            continue
        is_kept = target in kept or value in kept
        is_alone = targets.count(target) == 1 and readers.get(target, {group}) == {group}
        if is_kept or not is_alone or not _lies_alike(target, value):
            continue
        if _reads_before_it_writes(kernels[group], target, value):
            found[value] = target
    return found


def _readers(groups: Iterable[Group]) -> dict[Node, set[Group]]:
    """The groups that read each argument, also through what a kernel makes for itself."""
    found: dict[Node, set[Group]] = {}
    for group in groups:
        operands = [operand for node in group.nodes for operand in node.inputs]
        for base in reached(operands, lambda base: base.is_free):
            if base.kind == "input":
                found.setdefault(base, set()).add(group)
    return found


def _lies_alike(target: Node, value: Node) -> bool:
    layout = layout_of(target)
    same = layout is not None and layout.is_dense and layout == layout_of(value)
    return same and target.dtype is value.dtype


def _is_as_large(target: Node, value: Node) -> bool:
    """Whether both fill memory of one size; the kernel's places tell whether in the same order."""
    layouts = layout_of(target), layout_of(value)
    is_dense = all(layout is not None and layout.is_dense for layout in layouts)
    same = target.dtype is value.dtype and target.num_elements == value.num_elements
    return is_dense and same


def reused(rendered: Rendered, dying: Container[Node], fresh: Iterable[Node]) -> dict[Node, Node]:
    """For each new tensor that can be written where one lies that is read here last, that one.

    Args:
        rendered: the kernel.
        dying: what nothing reads after it.
        fresh: what it writes and needs memory for.
    """
    found: dict[Node, Node] = {}
    for value in fresh:
        size = value.num_elements * value.dtype.itemsize
        if not isinstance(size, int) or size < MIN_BYTES or value.kind == "scatter":
            continue
        for target in rendered.bases:
            is_taken = target not in dying or target in found.values()
            if is_taken or not _is_as_large(target, value):
                continue
            if _reads_before_it_writes(rendered.kernel, target, value):
                found[value] = target
                break
    return found


def _reads_before_it_writes(kernel: Kernel, target: Node, value: Node) -> bool:
    """Whether each element is read, if at all, just before it is written."""
    if len([root for root in kernel.roots if root.place.base is value]) != 1:
        return False
    is_written = False
    read: set[Step] = set()
    kept: set[Step] = set()
    store = None
    for one in kernel.passes:
        read = set()
        for root in (*one.reductions, *one.roots):
            mine = {step for step in _computed(root, kept) if _is_of(step, target)}
            # What an earlier root of the pass has read is at hand, and not read again.
            if is_written and mine - read:
                return False
            read |= mine
            if root.kind == "store" and root.place.base is value:
                is_written, store = True, root
        kept |= set(one.keeps)
    everywhere = [step for step in kernel.steps if _is_of(step, target)]
    return store is not None and all(
        step.kind == "load" and _same_place(step, store) for step in everywhere
    )


def _computed(root: Step, kept: Container[Step]) -> list[Step]:
    """What a pass computes for a root: all but what an earlier one has kept."""
    found: dict[Step, None] = {}
    stack = list(root.operands)
    while stack:
        step = stack.pop()
        if step not in found and step not in kept:
            found[step] = None
            stack.extend(step.operands)
    return list(found)


def _is_of(step: Step, target: Node) -> bool:
    return "place" in step.attributes and step.place.base is target


def _same_place(load: Step, store: Step) -> bool:
    mine, other = load.place, store.place
    return mine.offset == other.offset and mine.strides == other.strides
