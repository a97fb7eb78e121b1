"""Training steps of small models, float32, fused AdamW: CPU time beside eager's and Inductor's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

from benchmarks.fuser.models import MODELS, built
from benchmarks.fuser.ways import PEERS, made
from benchmarks.harness import Report, Worker, alternate, at_least, main

STEP = "benchmarks.fuser.bench_models:step"


def step(workload: Mapping[str, Any]) -> Callable[[], None]:
    """Loss, gradients and update."""
    torch.set_num_threads(workload["threads"])
    warnings.simplefilter("ignore")
    model, batch = built(workload["model"])
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    compiled = made(model, workload["how"])

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=workload["autocast"]):
            loss = compiled(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    run()
    return run


def compare(report: Report, *, autocast: bool) -> None:
    """A row for each model and peer."""
    dtype = "bfloat16 autocast" if autocast else "float32"
    for model in MODELS:
        for peer in PEERS:
            workload = {"model": model, "threads": 1, "autocast": autocast}
            with (
                Worker(STEP, workload | {"how": "sestina"}) as ours,
                Worker(STEP, workload | {"how": peer}) as theirs,
            ):
                measured = alternate(ours, theirs)
            report.row(
                what=f"training step of {model}, {dtype}, beside {peer}",
                workload=workload | {"peer": peer},
                measured=measured,
                target=at_least(0.98, of="ratio"),
            )


def bench(report: Report) -> None:
    """In float32."""
    compare(report, autocast=False)


if __name__ == "__main__":
    main(bench)
