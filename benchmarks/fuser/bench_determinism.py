"""Whether results are the same bits: kernels on one thread and two, models from run to run."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from benchmarks.figures import Value
from benchmarks.fuser.bench_models import FLOAT32, trained
from benchmarks.fuser.bench_threads import on_two_threads
from benchmarks.fuser.cases import CASES
from benchmarks.fuser.models import MODELS
from benchmarks.fuser.ways import made
from benchmarks.harness import Report, Worker, at_most, main, repeat

CASE = "benchmarks.fuser.bench_determinism:case"
MODEL = "benchmarks.fuser.bench_determinism:model"
STEPS = 2


def case(workload: Mapping[str, Any]) -> Callable[[], dict[str, str]]:
    """The results of a graph and its gradients."""

    def run() -> dict[str, str]:
        torch.set_num_threads(workload["threads"])
        torch.manual_seed(0)
        chosen = CASES[workload["case"]]
        arguments = chosen.arguments()
        leaves = [argument for argument in arguments if argument.requires_grad]
        result = made(chosen.function, "sestina")(*arguments)
        gradients = torch.autograd.grad(result, leaves, torch.randn_like(result))
        return _digests({"result": result} | {f"of {i}": g for i, g in enumerate(gradients)})

    return run


def model(workload: Mapping[str, Any]) -> Callable[[], dict[str, str]]:
    """The gradients of a few steps of training, and which library multiplied matrices."""
    chosen, run_step = trained(workload)
    gradients: dict[str, Tensor] = {}
    for name, param in chosen.named_parameters():
        param.register_post_accumulate_grad_hook(functools.partial(_keep, gradients, name))

    def run() -> dict[str, str]:
        found: dict[str, str] = {}
        for number in range(1, STEPS + 1):
            run_step()
            found |= _digests({f"step {number}: {name}": g for name, g in gradients.items()})
        return found

    return run


def bench(report: Report) -> None:
    """A row for all graphs, and one for each model."""
    apart = []
    for name in CASES:
        one, two = (_digested(CASE, {"case": name, "threads": count}) for count in (1, 2))
        apart += [f"{name}: {tensor}" for tensor in _differing(one, two)]
    report.row(
        what="tensors of small graphs that differ between one thread and two",
        workload={"cases": [*CASES], "passes": "both"},
        measured=Value(len(apart)),
        target=at_most(0),
        notes={"which": apart},
    )
    for name in MODELS:
        workload = on_two_threads(FLOAT32).workload(name)
        ours, eager = (
            [_digested(MODEL, workload | {"how": how}) for _ in range(2)]
            for how in ("sestina", "eager")
        )
        found = _differing(*ours)
        report.row(
            what=f"gradients of {name} that differ from run to run",
            workload=workload | {"steps": STEPS},
            measured=Value(len(found)),
            target=at_most(0),
            notes={"which": found, "of eager": _differing(*eager)},
        )


def _keep(gradients: dict[str, Tensor], name: str, param: Tensor) -> None:
    assert param.grad is not None, "it was accumulated just now"
    gradients[name] = param.grad


def _digests(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    return {
        name: hashlib.sha256(tensor.detach().contiguous().numpy().tobytes()).hexdigest()
        for name, tensor in tensors.items()
    }


def _digested(target: str, workload: Mapping[str, Any]) -> Mapping[str, str]:
    """What a process of its own gets."""
    with Worker(target, workload, num_cores=workload["threads"]) as worker:
        (sample,) = repeat(worker, runs=1, warmup=0).ours
    return sample.extra


def _differing(first: Mapping[str, str], second: Mapping[str, str]) -> list[str]:
    assert first.keys() == second.keys()
    return [name for name in first if first[name] != second[name]]


if __name__ == "__main__":
    main(bench)
