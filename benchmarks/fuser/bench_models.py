"""Training steps of small models, float32, fused AdamW: CPU time beside eager's and Inductor's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmarks.fuser.models import MODELS, built
from benchmarks.fuser.ways import ALLOCATORS, PEERS, made
from benchmarks.harness import Geomean, Pairs, Report, Worker, alternate, at_least, main

STEP = "benchmarks.fuser.bench_models:step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is alike in all steps of a bench."""

    name: str
    """As the rows call it."""
    targets: Mapping[str, float]
    """For each peer, how many times as long it is to take, as a geometric mean of the models."""
    threads: int = 1
    """Of more than one the clock is the wall's."""
    autocast: bool = False
    """Whether products of matrices are bfloat16's."""
    precision: str = "highest"
    """Of products of float32 matrices, as `torch.set_float32_matmul_precision` calls it."""

    def workload(self, model: str) -> dict[str, Any]:
        """What both workers of a row get."""
        return {
            "model": model,
            "threads": self.threads,
            "autocast": self.autocast,
            "precision": self.precision,
        }


FLOAT32 = Setting(name="float32", targets={"eager": 1.7, "inductor": 1.7})


def trained(workload: Mapping[str, Any]) -> tuple[nn.Module, Callable[[], None]]:
    """A model, and what makes a step: loss, gradients and update."""
    torch.set_num_threads(workload["threads"])
    torch.set_float32_matmul_precision(workload["precision"])
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

    return model, run


def step(workload: Mapping[str, Any]) -> Callable[[], None]:
    """One step of training."""
    _, run = trained(workload)
    run()
    return run


def compare(report: Report, setting: Setting, allocator: str = "as it comes") -> None:
    """A row for each model and peer, and one for each peer over all models."""
    name = setting.name if allocator == "as it comes" else f"{setting.name}, {allocator}"
    found: dict[str, list[tuple[Pairs, ...]]] = {peer: [] for peer in PEERS}
    for model in MODELS:
        for peer in PEERS:
            measured = _pairs(setting, model, peer, ALLOCATORS[allocator])
            found[peer].append((measured,))
            report.row(
                what=f"training step of {model}, {name}, beside {peer}",
                workload=setting.workload(model) | {"peer": peer, "allocator": allocator},
                measured=measured,
                target=at_least(0.98, of="ratio_high"),
            )
    for peer, target in setting.targets.items():
        report.row(
            what=f"training steps of all models, {name}, beside {peer}: geometric mean",
            workload=setting.workload(", ".join(MODELS)) | {"peer": peer, "allocator": allocator},
            measured=Geomean(tuple(found[peer])),
            target=at_least(target, of="ratio"),
        )


def _pairs(setting: Setting, model: str, peer: str, environment: Mapping[str, str]) -> Pairs:
    cores = setting.threads

    def worker(how: str) -> Worker:
        workload = setting.workload(model) | {"how": how}
        return Worker(STEP, workload, num_cores=cores, environment=environment)

    with worker("sestina") as ours, worker(peer) as theirs:
        return alternate(ours, theirs, clock="process" if cores == 1 else "wall")


def bench(report: Report) -> None:
    """In float32, with memory as it comes and with all pages kept."""
    for allocator in ALLOCATORS:
        compare(report, FLOAT32, allocator)


if __name__ == "__main__":
    main(bench)
