"""What compiling gains on this machine: the same work as it is and compiled, in turn.

The ways alternate, so that what else the machine does meets all of them; medians are compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

import torch

from sestina.core.progress import Progress, silent, tracked
from sestina.fuser.capture.backend import backend
from sestina.fuser.cases import CASES, Case, Transformer

__all__ = ["TRAINING", "WAYS", "Timing", "compare", "prepared"]

WAYS: dict[str, Any] = {"eager": None, "inductor": "inductor", "sestina": backend}
"""For each way of running, the backend of `torch.compile`; None for none."""
TRAINING = "training step of a transformer, 4 layers, 256 wide"
"""A case besides `CASES`: loss, gradients and a step of PyTorch's fused AdamW."""
_VOCABULARY, _WIDTH, _LENGTH, _BATCH, _HEADS, _LAYERS = 2048, 256, 128, 8, 4, 4
_WARMUP = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Of one way of running one case; seconds of a run."""

    case: str
    way: str
    wall: float
    """The median."""
    low: float
    """The lower quartile."""
    high: float
    """The upper quartile."""
    cpu: float
    """Of all threads, the median."""
    gain: float
    """What the CPU takes in eager over what it takes in this way."""


def compare(
    cases: Sequence[str], ways: Iterable[str], *, rounds: int = 15, progress: Progress = silent
) -> list[Timing]:
    """Runs each case in each way, by turns; TorchDynamo forgets what it has captured before.

    Args:
        cases: names of `CASES`, or `TRAINING`.
        ways: names of `WAYS`, eager among them.
        rounds: how often each is timed.
        progress: is told of each case that is done.
    """
    return [
        timing
        for case in tracked(cases, progress, label="comparing")
        for timing in _compared(case, list(ways), rounds)
    ]


def prepared(case: str, way: str) -> Callable[[], None]:
    """One run of a case, forward and backward; compiled when it is first called."""
    torch.manual_seed(0)
    return _training(way) if case == TRAINING else _pass(CASES[case], way)


def _compared(case: str, ways: Sequence[str], rounds: int) -> list[Timing]:
    # Cases share functions: sizes of the one before would make those of this one change.
    torch._dynamo.reset()
    runs = {way: prepared(case, way) for way in ways}
    for run in runs.values():
        for _ in range(_WARMUP):
            run()
    wall: dict[str, list[float]] = {way: [] for way in ways}
    cpu: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds):
        for way in ways if number % 2 else ways[::-1]:
            start, spent = time.perf_counter(), time.process_time()
            runs[way]()
            cpu[way].append(time.process_time() - spent)
            wall[way].append(time.perf_counter() - start)
    return [_timing(case, way, wall[way], cpu) for way in ways]


def _timing(
    case: str, way: str, wall: Sequence[float], cpu: Mapping[str, Sequence[float]]
) -> Timing:
    low, middle, high = quantiles(wall, n=4) if len(wall) > 1 else [wall[0]] * 3
    own, eager = median(cpu[way]), median(cpu["eager"])
    # A clock may be too coarse for what is very short.
    gain = eager / own if own else 1.0
    return Timing(case=case, way=way, wall=middle, low=low, high=high, cpu=own, gain=gain)


def _made(function: Any, way: str) -> Any:
    chosen = WAYS[way]
    return function if chosen is None else torch.compile(function, backend=chosen)


def _pass(case: Case, way: str) -> Callable[[], None]:
    arguments = case.arguments()
    leaves = [argument for argument in arguments if argument.requires_grad]
    gradient = torch.randn_like(case.function(*arguments))
    function = _made(case.function, way)

    def run() -> None:
        torch.autograd.grad(function(*arguments), leaves, gradient)

    return run


def _training(way: str) -> Callable[[], None]:
    model = Transformer(_VOCABULARY, _WIDTH, _LENGTH, heads=_HEADS, layers=_LAYERS)
    sequence = torch.randint(0, _VOCABULARY, (_BATCH, _LENGTH + 1))
    tokens, targets = sequence[:, :-1], sequence[:, 1:]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    compiled = _made(model, way)

    def run() -> None:
        compiled(tokens, targets).backward()
        optimizer.step()
        optimizer.zero_grad()

    return run
