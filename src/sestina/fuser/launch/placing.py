"""Which results are written where an argument lies, rather than beside it and then copied there.

An argument that the captured function writes to, as an optimizer does to its parameters, may be
overwritten by the kernel that reads it last. What reads it before has to be the same kernel, at the
place that is written, and not after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sestina.fuser.ir.nodes import Graph, Node, base_of, layout_of
from sestina.fuser.render.kernel import Rendered
from sestina.fuser.schedule.kernel import Kernel
from sestina.fuser.schedule.loops import steps_of
from sestina.fuser.schedule.steps import Step
from sestina.fuser.segment.groups import Group, Segments

__all__ = ["in_place"]


def in_place(
    graph: Graph, segments: Segments, rendered: Mapping[Group, Rendered]
) -> dict[Node, Node]:
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
        if _reads_before_it_writes(rendered[group].kernel, target, value):
            found[value] = target
    return found


def _readers(groups: Iterable[Group]) -> dict[Node, set[Group]]:
    """The groups that read each argument, also through what a kernel makes for itself."""
    found: dict[Node, set[Group]] = {}
    for group in groups:
        stack = [operand for node in group.nodes for operand in node.inputs]
        while stack:
            base = base_of(stack.pop())
            if base.kind == "input":
                found.setdefault(base, set()).add(group)
            elif base.is_free:
                stack.extend(base.inputs)
    return found


def _lies_alike(target: Node, value: Node) -> bool:
    layout = layout_of(target)
    same = layout is not None and layout.is_dense and layout == layout_of(value)
    return same and target.dtype is value.dtype


def _reads_before_it_writes(kernel: Kernel, target: Node, value: Node) -> bool:
    """Whether each element is read, if at all, just before it is written."""
    if len(kernel.passes) > 1:
        return False
    stores = [root for root in kernel.roots if root.place.base is value]
    if len(stores) != 1 or stores[0].kind != "store":
        return False
    (store,) = stores
    is_written = False
    read: set[Step] = set()
    for root in kernel.roots:
        mine = {step for step in steps_of([root]) if _is_of(step, target)}
        if any(step.kind != "load" or not _same_place(step, store) for step in mine):
            return False
        # What an earlier root has read is at hand, and not read again.
        if is_written and mine - read:
            return False
        is_written |= root is store
        read |= mine
    return True


def _is_of(step: Step, target: Node) -> bool:
    return "place" in step.attributes and step.place.base is target


def _same_place(load: Step, store: Step) -> bool:
    mine, other = load.place, store.place
    return mine.offset == other.offset and mine.strides == other.strides
