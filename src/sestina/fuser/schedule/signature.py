"""All that a renderer reads of a kernel, as a text that kernels alike have in common.

So that code which is there already is found without the kernel being rendered, which takes longer
than all else that is done for it. Sizes of the outermost loop over rows are no part of a kernel:
which rows it does it is told when it is called.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sestina.fuser.ir.nodes import Node
from sestina.fuser.schedule.kernel import Kernel
from sestina.fuser.schedule.loops import steps_of
from sestina.fuser.schedule.steps import Place, Step
from sestina.fuser.segment.axes import Axis

__all__ = ["signature"]


def signature(kernel: Kernel, marked: Collection[Node] = ()) -> str | None:
    """The text; None for a kernel without rows, or one whose sizes may change.

    The vectors of a kernel without rows are divided, so that its code is the same for any size: it
    is small, and worth rendering for that.

    Args:
        kernel: the kernel.
        marked: those of its tensors that are treated apart.
    """
    loops = kernel.loops
    if not loops.rows:
        return None
    every = (*loops.rows, *loops.columns, loops.vector)
    axes = {axis: number for number, axis in enumerate(a for loop in every for a in loop.axes)}
    bases = {base: number for number, base in enumerate(kernel.bases)}
    steps = {step: number for number, step in enumerate(steps_of(kernel.roots))}
    try:
        written = [_step(step, steps, axes, bases) for step in steps]
        sizes = [[_number(axis.extent) for axis in loop.axes] for loop in every[1:]]
    except _NotKnown:
        return None
    passes = [
        tuple([steps[step] for step in some] for some in (one.reductions, one.roots, one.keeps))
        for one in kernel.passes
    ]
    ends = [[steps[step] for step in some] for some in (kernel.row_roots, kernel.totals)]
    given = [(base.dtype, base in marked) for base in kernel.bases]
    outermost = len(loops.rows[0].axes)
    shape = (outermost, len(loops.rows), len(loops.columns), loops.is_tiled, sizes)
    return repr((shape, given, written, passes, ends))


class _NotKnown(Exception):  # noqa: N818 - a signal inside the module
    """A size that may change."""


def _number(value: Any) -> int:
    if not isinstance(value, int):
        raise _NotKnown
    return value


def _step(
    step: Step,
    steps: Mapping[Step, int],
    axes: Mapping[Axis, int],
    bases: Mapping[Node, int],
) -> tuple[Any, ...]:
    shown: list[Any] = []
    for name, value in step.attributes.items():
        if isinstance(value, Place):
            base = None if value.base is None else bases[value.base]
            strides = sorted((axes[axis], _number(by)) for axis, by in value.strides.items())
            shown.append((base, _number(value.offset), strides))
        elif isinstance(value, frozenset):
            shown.append((name, sorted(axes[axis] for axis in value)))
        elif isinstance(value, tuple):
            shown.append((name, [axes[axis] for axis in value]))
        elif isinstance(value, (int, float, str)):
            shown.append((name, value))
        else:
            raise _NotKnown
    operands = [steps[operand] for operand in step.operands]
    return step.kind, operands, step.dtype, sorted([axes[axis] for axis in step.axes]), shown
