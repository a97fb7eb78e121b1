"""What a kernel moves and how long it should take, from its plan and this machine's costs.

Moving each byte once at the speed of memory, and doing what each pass over a row does: of the two
the longer, in each pass, and what it doesn't hide of the other. Nothing in it was fitted to
kernels: speeds and costs are those of `costs`, measured with kernels of one operation each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from sestina.fuser.costs import (
    bandwidth,
    exposed_share,
    operation_cost,
    row_cost,
    transfer_cost,
)
from sestina.fuser.ir.extents import product
from sestina.fuser.ir.nodes import Node
from sestina.fuser.render.writer import LANES
from sestina.fuser.schedule.kernel import Kernel, Pass
from sestina.fuser.schedule.steps import Step

__all__ = ["Prediction", "predict", "traffic"]

# Rows of no more bytes stay in the first cache from pass to pass.
_FIRST_CACHE_BYTES = 1 << 15
# What reads memory.
_READS = frozenset({"load", "take", "inset"})


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is expected of a launch.

    Attributes:
        memory: seconds that moving its bytes takes.
        arithmetic: seconds that computing takes with all that is read at hand.
        seconds: of both together.
    """

    memory: float
    arithmetic: float
    seconds: float


def traffic(kernel: Kernel) -> tuple[dict[Node, int], dict[Node, int]] | None:
    """The bytes that are read and written of each tensor, each place once.

    None where sizes may change.
    """
    read: dict[Node, int] = {}
    written: dict[Node, int] = {}
    for step in kernel.steps:
        if step.kind not in _READS | {"store", "total", "scatter"}:
            continue
        place = step.place
        assert place.base is not None
        axes = step.axes if step.kind in {"take", "scatter"} else place.strides
        count, whole = product(axis.extent for axis in axes), place.base.num_elements
        if not isinstance(count, int) or not isinstance(whole, int):
            return None
        if step.kind == "inset":
            count = min(count, whole)
        there = read if step.kind in _READS else written
        there[place.base] = max(there.get(place.base, 0), count * place.base.dtype.itemsize)
    return read, written


def predict(kernel: Kernel, footprints: Mapping[Node, int]) -> Prediction | None:
    """What is expected of a kernel in one thread; None where sizes may change.

    Args:
        kernel: the kernel.
        footprints: for each tensor, the bytes of all that is moved between its last use and this
            one: what fits into a cache comes from there.
    """
    moved, passes = traffic(kernel), _passes(kernel)
    if moved is None or passes is None:
        return None
    reading, writing = (
        sum(size / bandwidth(footprints[base]) for base, size in part.items()) for part in moved
    )
    # A pass hides only what it moves itself: rows come from memory in the first one, and go there
    # in the last.
    first, *rest = passes
    if rest:
        *middle, last = rest
        seconds = _together(reading, first) + sum(middle) + _together(writing, last)
    else:
        seconds = _together(reading + writing, first)
    return Prediction(reading + writing, sum(passes), seconds)


def _together(memory: float, arithmetic: float) -> float:
    longer, shorter = max(memory, arithmetic), min(memory, arithmetic)
    return longer + exposed_share() * shorter


def _passes(kernel: Kernel) -> list[float] | None:
    """What each pass computes, over all rows; what is done once a row is the last one's."""
    columns, rows = kernel.num_columns, kernel.loops.num_rows
    if not isinstance(columns, int) or not isinstance(rows, int):
        return None
    # Vectors are whole: a row of 5 elements takes as long as one of 16.
    columns = -(-columns // LANES) * LANES
    beginning = row_cost() if kernel.loops.rows else 0.0
    finished: set[Step] = set()
    found = []
    for one in kernel.passes:
        seconds = _pass_seconds(kernel, one, finished) * columns + beginning
        if one is not kernel.passes[0]:
            seconds += _again_seconds(kernel, one, columns)
        found.append(rows * seconds)
        finished |= set(one.keeps)
    scalars = (step for step in _under(kernel.row_roots, set()) if not kernel.varies(step))
    once = rows * LANES * sum(map(_step_seconds, scalars))
    return [*found[:-1], (found or [0.0])[-1] + once]


def _pass_seconds(kernel: Kernel, one: Pass, finished: set[Step]) -> float:
    """What a pass takes for each element."""
    goals = [*one.reductions, *one.roots, *one.keeps]
    seconds = sum(transfer_cost(step.dtype) for step in one.keeps)
    for step in _under(goals, finished - set(one.keeps)):
        if step in finished:
            seconds += transfer_cost(step.dtype)
        elif step.kind == "take" and not kernel.varies(step.operands[0]):
            # A row of a table is read as it lies, one vector after another.
            seconds += transfer_cost(step.dtype) if kernel.varies(step) else 0.0
        elif step in one.reductions or step in one.roots or kernel.varies(step):
            seconds += _step_seconds(step)
    return seconds


def _again_seconds(kernel: Kernel, one: Pass, columns: int) -> float:
    """What reading a row again takes for a row that the first cache doesn't hold."""
    loads = {step for step in _under([*one.reductions, *one.roots], set()) if step.kind == "load"}
    size = columns * sum(step.dtype.itemsize for step in loads if kernel.varies(step))
    return size / bandwidth(size) if size > _FIRST_CACHE_BYTES else 0.0


def _under(goals: Iterable[Step], finished: set[Step]) -> list[Step]:
    """The steps that goals need, without what is under those that an earlier pass has kept."""
    found: dict[Step, None] = {}
    goals = set(goals)
    stack = list(goals)
    while stack:
        step = stack.pop()
        if step in found:
            continue
        found[step] = None
        is_there = step in finished or (step.kind == "reduce" and step not in goals)
        if not is_there:
            stack.extend(step.operands)
    return list(found)


def _step_seconds(step: Step) -> float:
    if step.kind in {"constant", "size"}:
        return 0.0
    if step.kind in {"load", "store"}:
        return transfer_cost(step.place.base.dtype if step.place.base else step.dtype)
    dtype = step.dtype
    if step.kind == "convert":
        (source,) = step.operands
        dtype = source.dtype if source.dtype in {torch.bfloat16, torch.float16} else step.dtype
    if step.operands and dtype is torch.bool:
        dtype = step.operands[0].dtype
    seconds = operation_cost(step.kind, dtype)
    if step.kind in {"total", "scatter"}:
        # Each column has a place in memory that its sum is added to.
        seconds += 2 * transfer_cost(step.dtype)
    return seconds
