"""All that a renderer reads of a kernel, as a text that kernels alike have in common.

So that code which is there already is found without the kernel being rendered, which takes longer
than all else that is done for it. How often the outermost loop runs, over rows or, where there are
none, over vectors, is no part of a kernel: which of them it does it is told when it is called.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sestina.fuser.ir.nodes import Node
from sestina.fuser.schedule.kernel import Kernel
from sestina.fuser.schedule.loops import Loop
from sestina.fuser.schedule.steps import Place, Step
from sestina.fuser.segment.axes import Axis

__all__ = ["signature"]


def signature(kernel: Kernel, marked: Collection[Node] = ()) -> str | None:
    """The text; None where sizes may change.

    Args:
        kernel: the kernel.
        marked: those of its tensors that are treated apart.
    """
    loops = kernel.loops
    every = (*loops.rows, *loops.columns, loops.vector)
    loop_of = {axis: number for number, loop in enumerate(every) for axis in loop.axes}
    bases = {base: number for number, base in enumerate(kernel.bases)}
    steps = {step: number for number, step in enumerate(kernel.steps)}
    try:
        written = [_step(step, steps, every, loop_of, bases) for step in steps]
        sizes = [_number(loop.extent) for loop in every]
    except _NotKnown:
        return None
    passes = [
        tuple([steps[step] for step in some] for some in (one.reductions, one.roots, one.keeps))
        for one in kernel.passes
    ]
    ends = [[steps[step] for step in some] for some in (kernel.row_roots, kernel.totals)]
    given = [(base.dtype, base in marked) for base in kernel.bases]
    if loops.rows or not (loops.columns or _combines(steps)):
        sizes[0] = -1
    shape = (len(loops.rows), len(loops.columns), loops.is_tiled, sizes)
    return repr((shape, given, written, passes, ends))


def _combines(steps: Iterable[Step]) -> bool:
    return any(step.kind in {"reduce", "total", "scan"} for step in steps)


class _NotKnown(Exception):  # noqa: N818 - a signal inside the module
    """A size that may change."""


def _number(value: Any) -> int:
    if not isinstance(value, int):
        raise _NotKnown
    return value


def _step(
    step: Step,
    steps: Mapping[Step, int],
    loops: Iterable[Loop],
    loop_of: Mapping[Axis, int],
    bases: Mapping[Node, int],
) -> tuple[Any, ...]:
    shown: list[Any] = []
    for name, value in step.attributes.items():
        if isinstance(value, Place):
            base = None if value.base is None else bases[value.base]
            strides = [_number(loop.stride(value)) for loop in loops]
            shown.append((base, _number(value.offset), strides))
        elif isinstance(value, frozenset):
            shown.append((name, sorted({loop_of[axis] for axis in value})))
        elif isinstance(value, tuple):
            shown.append((name, [loop_of[axis] for axis in value]))
        elif isinstance(value, (int, float, str)):
            shown.append((name, value))
        else:
            raise _NotKnown
    operands = [steps[operand] for operand in step.operands]
    over = sorted({loop_of[axis] for axis in step.axes})
    return step.kind, operands, step.dtype, over, shown
