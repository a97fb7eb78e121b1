"""Graphs whose time is memory, forward and backward: CPU time beside eager's and Inductor's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from benchmarks.fuser.cases import CASES
from benchmarks.fuser.ways import PEERS, made
from benchmarks.harness import Report, Worker, alternate, at_least, main

STEP = "benchmarks.fuser.bench_micro:step"
BLOCK = next(iter(CASES))
TARGETS = {"eager": 3.5, "inductor": 10}


def step(workload: Mapping[str, Any]) -> Callable[[], None]:
    """One pass forward and backward."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    case = CASES[workload["case"]]
    arguments = case.arguments()
    leaves = [argument for argument in arguments if argument.requires_grad]
    gradient = torch.randn_like(case.function(*arguments))
    function = made(case.function, workload["how"])

    def run() -> None:
        torch.autograd.grad(function(*arguments), leaves, gradient)

    run()
    return run


def bench(report: Report) -> None:
    """Two rows for each graph."""
    for case in CASES:
        for peer in PEERS:
            with (
                Worker(STEP, {"case": case, "how": "sestina"}) as ours,
                Worker(STEP, {"case": case, "how": peer}) as theirs,
            ):
                measured = alternate(ours, theirs, warmup=3)
            report.row(
                what=f"{case}, forward and backward, beside {peer}",
                workload={"case": case, "peer": peer, "threads": 1},
                measured=measured,
                target=at_least(TARGETS[peer] if case == BLOCK else 1.0, of="ratio"),
            )


if __name__ == "__main__":
    main(bench)
