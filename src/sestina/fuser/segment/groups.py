"""Nodes into kernels: greedily, each with what it reads, and never so that kernels wait in a ring.

In the order of the graph each node joins the youngest kernel that makes one of its operands, if
their loops agree and no path leads from that kernel through another one to the node. Kernels that
then share operands, and run along the same loops, are joined too: what one of them has read, the
other finds in the cache. Views and what is made of numbers alone belong to no kernel, but to each
of their users.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from sestina.fuser.ir.nodes import Graph, Node, base_of, reached
from sestina.fuser.segment.axes import Axis, Domain, Refusal
from sestina.fuser.segment.roles import Roles, decide

__all__ = ["Group", "Segments", "segment"]

_MAX_NODES = 160


@dataclass(eq=False, slots=True)
class Group:
    """The nodes of one kernel, operands first; an ATen call is a group of its own."""

    nodes: list[Node] = field(default_factory=list)
    domain: Domain = field(default_factory=Domain)
    roles: Roles = field(default_factory=lambda: Roles((), ()))
    before: set[Group] = field(default_factory=set)
    after: set[Group] = field(default_factory=set)
    level: int = 0
    tile: tuple[tuple[Axis, ...], tuple[Axis, ...]] | None = None
    """Axes of the rows and of the columns of a tile, once the schedule has cut them out."""

    @property
    def is_opaque(self) -> bool:
        """Whether ATen computes it."""
        return self.nodes[0].is_opaque

    @property
    def number(self) -> int:
        """Of its first node."""
        return self.nodes[0].number

    def __str__(self) -> str:
        if not self.nodes:
            return "nothing: it was joined with another"
        if self.is_opaque:
            return f"ATen: {self.nodes[0]}"
        extents = [
            " × ".join(str(axis.extent) for axis in run) or "1"
            for run in (self.roles.rows, self.roles.columns)
        ]
        return "\n".join(
            [
                f"kernel of {extents[0]} rows, {extents[1]} columns",
                *(f"  {node}" for node in self.nodes),
            ]
        )


@dataclass(slots=True)
class Segments:
    """The kernels and ATen calls of a graph in the order they run, and why nodes were kept apart.

    Attributes:
        groups: in order.
        stored: nodes whose elements are written to memory, as others than their kernel read them.
        refusals: pairs of a node and the reason why it did not join the kernel of an operand.
    """

    groups: list[Group]
    stored: set[Node]
    refusals: list[tuple[Node, str]]

    def __str__(self) -> str:
        parts = []
        for group in self.groups:
            stored = [node.name for node in group.nodes if node in self.stored]
            parts.append(f"{group}" + (f"\n  stores {', '.join(stored)}" if stored else ""))
        for node, reason in self.refusals:
            parts.append(f"{node.name} is apart from what it reads: {reason}")
        return "\n".join(parts)


def segment(graph: Graph) -> Segments:
    """Divides a graph into kernels."""
    plan = _Plan(graph)
    for node in plan.nodes:
        plan.place(node)
    plan.join_neighbours()
    groups = plan.ordered()
    return Segments(groups, plan.stored(), plan.refusals)


class _Plan:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        everything = sorted(graph.nodes, key=lambda node: node.number)
        self.roots = {base_of(node) for node in graph.results}
        self.roots |= {base_of(value) for _, value in graph.effects}
        self.needed = set(self.roots)
        for node in everything:
            if node.kind == "aten" or node.is_lookup:
                operands = node.inputs if node.kind == "aten" else node.inputs[:1]
                self.needed |= {base_of(operand) for operand in operands}
            if node.kind == "scatter":
                self.needed.add(node)
            if node.kind == "slice":
                self.needed |= {base_of(node)} if base_of(node).is_free else set()
        # Where a view of a free node is asked for, the free node has to be there.
        self.nodes = [node for node in everything if self._runs(node)]
        self.group_of: dict[Node, Group] = {}
        self.refusals: list[tuple[Node, str]] = []
        self.last_random: Group | None = None

    def _runs(self, node: Node) -> bool:
        if node.kind in {"input", "held", "item"} or node.is_view:
            return False
        return node in self.needed or not node.is_free

    def place(self, node: Node) -> None:
        """Puts a node into the youngest kernel that it fits, or a new one."""
        sources = self._sources(node)
        if not node.is_opaque:
            for group in sorted(sources, key=lambda group: -group.nodes[-1].number):
                if not group.is_opaque and self._joins(node, group, sources):
                    return
        group = Group()
        group.nodes.append(node)
        self.group_of[node] = group
        if not node.is_opaque:
            group.domain.add(node)
            group.roles = decide(group.domain, group.nodes)
        if (
            node.kind == "aten"
            and torch.Tag.nondeterministic_seeded in node.attributes["target"].tags
        ):
            # They draw from one generator, in the order of the program.
            sources += [] if self.last_random is None else [self.last_random]
            self.last_random = group
        self._link(group, sources)

    def join_neighbours(self) -> None:
        """Joins kernels that read the same tensors along the same loops."""
        readers: dict[Node, list[Group]] = {}
        for group in dict.fromkeys(self.group_of.values()):
            if not group.is_opaque:
                for base in self._read(group):
                    readers.setdefault(base, []).append(group)
        for groups in readers.values():
            alive = [group for group in groups if group.nodes]
            for first, second in itertools.pairwise(alive):
                if first.nodes and second.nodes and first is not second:
                    self._merge(first, second)

    def ordered(self) -> list[Group]:
        """Groups in an order in which each finds what it reads, nearest to the graph's own."""
        groups = [group for group in dict.fromkeys(self.group_of.values()) if group.nodes]
        waiting = {id(group): len(group.before) for group in groups}
        ready = [(group.number, group) for group in groups if not group.before]
        heap = [(number, id(group), group) for number, group in ready]
        heapq.heapify(heap)
        order: list[Group] = []
        while heap:
            _, _, group = heapq.heappop(heap)
            order.append(group)
            for user in group.after:
                waiting[id(user)] -= 1
                if not waiting[id(user)]:
                    heapq.heappush(heap, (user.number, id(user), user))
        assert len(order) == len(groups), "kernels wait in a ring"
        return order

    def stored(self) -> set[Node]:
        """What has to lie in memory."""
        found = {node for node in self.needed if not node.is_opaque}
        for node, group in self.group_of.items():
            for operand in node.inputs:
                base = base_of(operand)
                if base in self.group_of and self.group_of[base] is not group:
                    found.add(base)
        return {node for node in found if not node.is_opaque}

    def _sources(self, node: Node) -> list[Group]:
        # A result of a call is of the call's group; what is of none each kernel makes for itself.
        made = reached(node.inputs, lambda base: base not in self.group_of)
        return list(dict.fromkeys(self.group_of[base] for base in made if base in self.group_of))

    def _joins(self, node: Node, group: Group, sources: Iterable[Group]) -> bool:
        others = [source for source in sources if source is not group]
        if len(group.nodes) >= _MAX_NODES or any(_leads(group, source) for source in others):
            return False
        mark = group.domain.mark()
        try:
            group.domain.add(node)
            roles = decide(group.domain, [*group.nodes, node])
        except Refusal as reason:
            group.domain.rollback(mark)
            self.refusals.append((node, str(reason)))
            return False
        group.nodes.append(node)
        group.roles = roles
        self.group_of[node] = group
        self._link(group, others)
        for other in others:
            if not other.is_opaque:
                self._merge(other, group)
        return True

    def _merge(self, first: Group, second: Group) -> None:
        """Makes two kernels one, if they fit, and no path leads around from one to the other."""
        if len(first.nodes) + len(second.nodes) > _MAX_NODES:
            return
        if _leads(first, second, around=True) or _leads(second, first):
            return
        mark = first.domain.mark()
        nodes = sorted([*first.nodes, *second.nodes], key=lambda node: node.number)
        try:
            roles = self._roles_together(first, second, nodes)
        except Refusal:
            first.domain.rollback(mark)
            return
        first.nodes, first.roles = nodes, roles
        self._replace(second, first)

    def _roles_together(self, first: Group, second: Group, nodes: list[Node]) -> Roles:
        shared = first.domain.read.keys() & second.domain.read.keys()
        if first not in second.before and not shared:
            raise Refusal("they read nothing in the same way")
        for node in second.nodes:
            first.domain.add(node)
        return decide(first.domain, nodes)

    def _replace(self, old: Group, new: Group) -> None:
        """Puts one group into another's place."""
        for node in old.nodes:
            self.group_of[node] = new
        for other in old.before:
            other.after.discard(old)
        for other in old.after:
            other.before.discard(old)
        self._link(new, old.before)
        for other in old.after:
            if other is not new:
                self._link(other, [new])
        old.nodes = []

    def _read(self, group: Group) -> list[Node]:
        bases = (base_of(operand) for node in group.nodes for operand in node.inputs)
        return [
            base
            for base in dict.fromkeys(bases)
            if self.group_of.get(base) is not group and not base.is_free and base.shape
        ]

    def _link(self, group: Group, sources: Iterable[Group]) -> None:
        for source in sources:
            if source is not group:
                group.before.add(source)
                source.after.add(group)
        _raise_level(group)


def _raise_level(group: Group) -> None:
    """Keeps each group's level above those of all before it."""
    stack = [group]
    while stack:
        here = stack.pop()
        level = max((other.level + 1 for other in here.before), default=0)
        if level > here.level:
            here.level = level
            stack.extend(here.after)


def _leads(start: Group, end: Group, *, around: bool = False) -> bool:
    """Whether a path leads from one group to another; around: through a third one."""
    stack, seen = [end], {end}
    while stack:
        here = stack.pop()
        for other in here.before:
            if other is start:
                if around and here is end:
                    continue
                return True
            if other not in seen and other.level > start.level:
                seen.add(other)
                stack.append(other)
    return False
