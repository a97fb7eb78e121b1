"""A kernel as the renderers get it: loops, and what each pass over a row computes and keeps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sestina.fuser.ir.extents import Extent, is_known, product
from sestina.fuser.ir.nodes import Node
from sestina.fuser.ir.operations import OPERATIONS
from sestina.fuser.schedule.flatten import flatten
from sestina.fuser.schedule.loops import Loops, arrange, steps_of
from sestina.fuser.schedule.steps import Step
from sestina.fuser.schedule.tiles import tile_of
from sestina.fuser.segment.axes import Axis
from sestina.fuser.segment.groups import Group
from sestina.fuser.segment.roles import cut_anew

__all__ = ["Kernel", "Pass", "schedule"]

# What reading a value again costs, and the most that a row's kept values may take.
_READ, _KEPT_COST = 2, 5
_KEPT_BYTES = 1 << 19


@dataclass(frozen=True, slots=True)
class Pass:
    """One run over the columns of a row.

    Attributes:
        reductions: complete when it ends.
        roots: stores and totals that it does.
        keeps: values that it writes to the row's buffers for later passes.
    """

    reductions: tuple[Step, ...]
    roots: tuple[Step, ...]
    keeps: tuple[Step, ...]

    def __str__(self) -> str:
        parts = ("ends", self.reductions), ("does", self.roots), ("keeps", self.keeps)
        return "; ".join(f"{word} {', '.join(map(str, some))}" for word, some in parts if some)


@dataclass(frozen=True, slots=True)
class Kernel:
    """All that a renderer needs to know.

    Attributes:
        passes: in order.
        row_roots: stores of one value a row, done after the passes.
        bases: tensors that are read or written, in the order of the kernel's arguments.
        totals: those roots that sum over rows, and so need a place for each part of the rows.
        steps: all that it does, operands first.
    """

    loops: Loops
    passes: tuple[Pass, ...]
    row_roots: tuple[Step, ...]
    bases: tuple[Node, ...]
    totals: tuple[Step, ...]
    nodes: tuple[Node, ...]
    steps: tuple[Step, ...]

    @property
    def roots(self) -> tuple[Step, ...]:
        """Every store and total."""
        return (*(root for one in self.passes for root in one.roots), *self.row_roots)

    @property
    def is_one_row(self) -> bool:
        """Whether all is one row, whose sums are used in it: nothing of it can be done apart."""
        is_whole = any(step.kind in {"reduce", "scan"} for step in self.steps)
        return not self.loops.rows and is_whole

    @property
    def num_columns(self) -> Extent:
        """Elements of a row."""
        return product([*(loop.extent for loop in self.loops.columns), self.loops.vector.extent])

    def varies(self, step: Step) -> bool:
        """Whether a step differs from column to column."""
        loops = (*self.loops.columns, self.loops.vector)
        return any(axis in step.axes for loop in loops for axis in loop.axes)

    def __str__(self) -> str:
        order = steps_of(self.roots)
        names = {step: f"s{number}" for number, step in enumerate(order)}
        ready: set[Step] = set()
        lines = [str(self.loops)]
        for number, one in enumerate(self.passes, 1):
            lines.append(f"pass {number} of {len(self.passes)} over a row's columns")
            goals = (*one.reductions, *one.roots)
            lines += _lines(goals, names, ready, one.keeps)
            # What is the same in all columns, and what was kept, is there from now on.
            ready |= {step for step in steps_of(goals) if not self.varies(step)} | set(one.keeps)
        if self.row_roots:
            lines += ["after a row's passes", *_lines(self.row_roots, names, ready)]
        return "\n".join(lines)


def _lines(
    goals: Iterable[Step],
    names: Mapping[Step, str],
    ready: Collection[Step],
    keeps: Collection[Step] = (),
) -> list[str]:
    """What is computed for some goals, and isn't ready: a line for each step."""
    needed: set[Step] = set()
    stack = list(goals)
    while stack:
        step = stack.pop()
        if step not in ready and step not in needed:
            needed.add(step)
            stack.extend(step.operands)
    return [
        f"  {name}: {step.written(names)}{'  # kept' if step in keeps else ''}"
        for step, name in names.items()
        if step in needed
    ]


def schedule(group: Group, stored: Iterable[Node]) -> Kernel:
    """The kernel of a group."""
    roots = flatten(group, stored)
    loops = arrange(roots, group.roles, group.tile)
    if group.tile is None and (tile := tile_of(group.domain, roots, loops)) is not None:
        group.tile, group.roles = tile, cut_anew(group.roles, group.domain)
        roots = flatten(group, stored)
        loops = arrange(roots, group.roles, tile)
    columns = {axis for loop in (*loops.columns, loops.vector) for axis in loop.axes}
    steps = steps_of(roots)
    over_columns = [root for root in roots if _passes_over(root, columns, loops)]
    on_rows = tuple(root for root in roots if root not in over_columns)
    bases = dict.fromkeys(
        step.place.base for step in steps if "place" in step.attributes and step.place.base
    )
    return Kernel(
        loops,
        _passes(steps, over_columns, columns, loops),
        on_rows,
        tuple(bases),
        tuple(root for root in roots if root.kind == "total"),
        tuple(group.nodes),
        tuple(steps),
    )


def _passes_over(root: Step, columns: set[Axis], loops: Loops) -> bool:
    value = root.operands[0]
    # A sum of what is the same in all columns counts each of them.
    over = root.attributes.get("over", frozenset())
    return bool((value.axes | root.axes | over) & columns) or not loops.rows


def _passes(
    steps: list[Step], roots: list[Step], columns: set[Axis], loops: Loops
) -> tuple[Pass, ...]:
    reductions = [step for step in steps if step.kind == "reduce"]
    last = max([step.level for step in roots] + [step.level - 1 for step in reductions], default=-1)
    goals = [
        (
            tuple(step for step in reductions if step.level == level + 1),
            tuple(step for step in roots if step.level == level),
        )
        for level in range(last + 1)
    ]
    kept = _kept(goals, columns, loops)
    passes = []
    done: set[Step] = set()
    for pass_reductions, pass_roots in goals:
        computed = _computed([*pass_reductions, *pass_roots], columns, done)
        keeps = tuple(step for step in kept if step in computed and step not in done)
        done |= set(keeps)
        passes.append(Pass(pass_reductions, pass_roots, keeps))
    return tuple(passes)


def _kept(
    goals: list[tuple[tuple[Step, ...], tuple[Step, ...]]], columns: set[Axis], loops: Loops
) -> list[Step]:
    """The values of one pass that a later one reads rather than computing them again."""
    width = product([*(loop.extent for loop in loops.columns), loops.vector.extent])
    kept: list[Step] = []
    available: set[Step] = set()
    for reductions, roots in goals:
        stack = [operand for step in (*reductions, *roots) for operand in step.operands]
        seen: set[Step] = set()
        while stack:
            step = stack.pop()
            if step in seen or not step.axes & columns:
                continue
            seen.add(step)
            if (
                step in available
                and step not in kept
                and _cost(step, columns, kept, {}) > _KEPT_COST
            ):
                size = product([width, len(kept) + 1, 4])
                if not is_known(size) or size <= _KEPT_BYTES:
                    kept.append(step)
            if step not in kept or step not in available:
                stack.extend(step.operands)
        available |= seen
    return kept


def _computed(goals: Iterable[Step], columns: set[Axis], kept: set[Step]) -> set[Step]:
    """What a pass computes itself."""
    found: set[Step] = set()
    stack = [operand for goal in goals for operand in goal.operands]
    while stack:
        step = stack.pop()
        if step not in found and step not in kept and step.axes & columns:
            found.add(step)
            stack.extend(step.operands)
    return found


def _cost(step: Step, columns: set[Axis], kept: Collection[Step], known: dict[Step, int]) -> int:
    """What computing a value from memory costs, in multiplications or so; noted in `known`."""
    if not step.axes & columns:
        return 0
    if step in kept:
        return _READ
    if step in known:
        return known[step]
    own = OPERATIONS[step.kind].cost if step.kind in OPERATIONS else _READ
    own = {"uniform": 20, "take": 8, "inset": 8, "scan": 12}.get(step.kind, own)
    known[step] = own + sum(_cost(one, columns, kept, known) for one in step.operands)
    return known[step]
