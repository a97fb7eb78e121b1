"""Graphs whose time is memory, forward and backward: CPU time beside eager's and Inductor's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from benchmarks.fuser.cases import CASES
from benchmarks.fuser.ways import ALLOCATORS, PEERS, made
from benchmarks.harness import Geomean, Pairs, Report, Worker, alternate, at_least, main

STEP = "benchmarks.fuser.bench_micro:step"
BLOCK, *OTHERS = CASES
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
    """With memory as it comes, and with all pages kept, so that no one pays for fresh ones."""
    for allocator in ALLOCATORS:
        _compare(report, allocator)


def _compare(report: Report, allocator: str) -> None:
    """Two rows for each graph, and one for all but the first."""
    marked = "" if allocator == "as it comes" else f", {allocator}"
    found: dict[str, tuple[Pairs, ...]] = {}
    for case in CASES:
        found[case] = tuple(_pairs(case, peer, ALLOCATORS[allocator]) for peer in PEERS)
        for peer, measured in zip(PEERS, found[case], strict=True):
            is_block = case == BLOCK
            report.row(
                what=f"{case}, forward and backward{marked}, beside {peer}",
                workload={"case": case, "peer": peer, "threads": 1, "allocator": allocator},
                measured=measured,
                target=at_least(TARGETS[peer], of="ratio")
                if is_block
                else at_least(1.0, of="ratio_high"),
            )
    report.row(
        what=f"the other {len(OTHERS)} graphs{marked}, beside the better peer: geometric mean",
        workload={"cases": OTHERS, "threads": 1, "allocator": allocator},
        measured=Geomean(tuple(found[case] for case in OTHERS)),
        target=at_least(1.5, of="ratio"),
    )


def _pairs(case: str, peer: str, environment: Mapping[str, str]) -> Pairs:
    with (
        Worker(STEP, {"case": case, "how": "sestina"}, environment=environment) as ours,
        Worker(STEP, {"case": case, "how": peer}, environment=environment) as theirs,
    ):
        return alternate(ours, theirs, warmup=3)


if __name__ == "__main__":
    main(bench)
