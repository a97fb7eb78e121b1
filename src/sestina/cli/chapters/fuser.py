"""The tour of `sestina.fuser`: a transformer's training step, compiled and timed beside PyTorch's.

A small transformer learns sequences that repeat. What counts here is what its step costs, and which
kernels it became.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from sestina.cli.book import Chapter
from sestina.core.progress import tracked
from sestina.fuser import explain, fuse
from sestina.fuser.cases import Transformer
from sestina.fuser.optim import AdamW
from sestina.fuser.report import Report

__all__ = ["TITLE", "run"]

TITLE = "Make PyTorch faster"

_VOCABULARY, _WIDTH, _HEADS, _LAYERS = 2048, 256, 4, 2
_LENGTH, _BATCH = 128, 8
_STEPS = 20


def _transformer() -> Transformer:
    return Transformer(_VOCABULARY, _WIDTH, _LENGTH, heads=_HEADS, layers=_LAYERS)


def run(book: Chapter) -> None:
    """Compiles a training step, shows its kernels, and times it beside PyTorch's own."""
    torch.manual_seed(0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _run(book, 4 if book.quick else _STEPS)
    finally:
        torch.set_num_threads(before)


def _run(book: Chapter, steps: int) -> None:
    sequence = torch.randint(0, _VOCABULARY, (_BATCH, _LENGTH // 2)).repeat(1, 3)
    tokens, targets = sequence[:, :_LENGTH], sequence[:, 1 : _LENGTH + 1]
    model = _transformer()
    book.text(
        f"A transformer of {_LAYERS} layers, {_WIDTH} wide, learns sequences of {_LENGTH} tokens, "
        f"{_BATCH} at a time, with dropout. torch.compile(model, backend='sestina') plans its "
        "forward and backward pass as kernels, which LLVM compiles in this process."
    )
    book.say("compiling")
    report = explain(model, tokens, targets)
    _show_kernels(book, report)
    ours, eager = (
        _transformer(),
        _transformer(),
    )
    ours.load_state_dict(model.state_dict())
    eager.load_state_dict(model.state_dict())
    fused = fuse(ours)
    first = _stepped(fused, AdamW(ours.parameters(), lr=1e-3), tokens, targets)
    second = _stepped(
        eager, torch.optim.AdamW(eager.parameters(), lr=1e-3, fused=True), tokens, targets
    )
    times, losses = _timed(book, {"sestina": first, "eager": second}, steps)
    _show_times(book, times, losses)


def _stepped(
    model: Callable[..., Tensor], optimizer: torch.optim.Optimizer, *batch: Tensor
) -> Callable[[], float]:
    def step() -> float:
        loss = model(*batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    return step


def _timed(
    book: Chapter, steps: dict[str, Callable[[], float]], count: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """CPU seconds and losses of steps that alternate; the first of each is not counted."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    losses: dict[str, list[float]] = {name: [] for name in steps}
    for index in tracked(range(count + 1), book.progress, label="training"):
        for name, step in steps.items():
            start = time.process_time()
            losses[name].append(step())
            if index:
                times[name].append(time.process_time() - start)
    return times, losses


def _show_kernels(book: Chapter, report: Report) -> None:
    calls = sum(call.count for call in report.calls)
    nodes = sum(kernel.num_operations for kernel in report.kernels)
    book.text(
        f"{nodes} operations became {len(report.kernels)} kernels, compiled in "
        f"{report.compile_seconds:.1f} s; {calls} calls, products of matrices and attention above "
        "all, stay with ATen. The kernels that take longest:"
    )
    longest = sorted(report.kernels, key=lambda kernel: -(kernel.seconds or 0))[:6]
    rows: list[list[Any]] = [
        [
            "backward" if kernel.name.startswith("1") else "forward",
            ", ".join(kernel.operations),
            kernel.rows,
            kernel.passes,
            "" if kernel.seconds is None else f"{kernel.seconds * 1e6:.0f}",
            "" if kernel.share is None else f"{kernel.share:.0%}",
        ]
        for kernel in longest
    ]
    book.table(
        rows,
        ["pass", "computes", "rows × columns", "passes", "µs", "of memory's speed"],
        caption="The six longest kernels of a training step, one thread",
    )


def _show_times(
    book: Chapter, times: dict[str, list[float]], losses: dict[str, list[float]]
) -> None:
    ours, eager = (median(times[name]) for name in ("sestina", "eager"))
    book.table(
        [
            [name, f"{1e3 * median(times[name]):.1f}", losses[name][0], losses[name][-1]]
            for name in times
        ],
        ["way", "ms of CPU, a step", "first loss", "last loss"],
        caption="Training steps, optimizer included, alternating in one thread",
    )
    book.text(
        f"A step takes {eager / ours:.2f} times as long without the compiler. The losses differ as "
        "the dropout masks do: both draw their own."
    )
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    for name in times:
        axes.plot(losses[name], label=name)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.legend(frameon=False)
    book.picture("losses.png", figure, caption="The same model, trained both ways")
