"""AdamW on 11 M parameters in 69 tensors: the step, also compiled; clipping, step and zeroing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Report, Worker, alternate, at_least, main
from sestina.fuser import optim

UPDATE = "benchmarks.fuser.bench_optim:update"
SHAPES = [(8192, 512), *[(512, 512)] * 16, *[(1024, 512)] * 5, *[(512,)] * 47]


def update(workload: Mapping[str, Any]) -> Callable[[], None]:
    """One step of an optimizer."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    params: list[Tensor] = [nn.Parameter(torch.randn(shape)) for shape in SHAPES]
    for param in params:
        param.grad = torch.randn_like(param)
    is_whole = workload["whole"]
    if workload["how"] == "sestina":
        ours = optim.AdamW(params, max_norm=1.0 if is_whole else None, zero=is_whole)

        def updated() -> None:
            ours.step()

        return updated
    if workload["how"] in {"compiled", "foreach"}:
        step: Any = torch.optim.AdamW(params, foreach=True).step
        if workload["how"] == "compiled":
            step = torch.compile(step, backend="sestina")
        step()

        def stepped() -> None:
            step()

        return stepped
    theirs = torch.optim.AdamW(params, fused=True)

    def run() -> None:
        if is_whole:
            nn.utils.clip_grad_norm_(params, 1.0)
        theirs.step()
        if is_whole:
            theirs.zero_grad(set_to_none=False)

    return run


def bench(report: Report) -> None:
    """A row for the step alone, and one for the three together."""
    for is_whole, times in ((False, 0.95), (True, 1.2)):
        with (
            Worker(UPDATE, {"how": "sestina", "whole": is_whole}) as ours,
            Worker(UPDATE, {"how": "torch", "whole": is_whole}) as theirs,
        ):
            measured = alternate(ours, theirs, warmup=3, pairs=40)
        what = "clip, step and zero" if is_whole else "step"
        report.row(
            what=f"AdamW, {what}, 11 M parameters in 69 tensors, beside PyTorch's fused",
            workload={"whole": is_whole, "threads": 1},
            measured=measured,
            target=at_least(times, of="ratio"),
        )
    # Compiled, PyTorch's own step is to be as fast as its kernel made by hand.
    for peer, times in (("torch", 0.95), ("foreach", 1.0)):
        with (
            Worker(UPDATE, {"how": "compiled", "whole": False}) as ours,
            Worker(UPDATE, {"how": peer, "whole": False}) as theirs,
        ):
            measured = alternate(ours, theirs, warmup=3, pairs=40)
        name = {"torch": "PyTorch's fused", "foreach": "PyTorch's over lists"}[peer]
        report.row(
            what=f"AdamW of PyTorch, its step over lists compiled, beside {name}",
            workload={"peer": peer, "threads": 1},
            measured=measured,
            target=at_least(times, of="ratio"),
        )


if __name__ == "__main__":
    main(bench)
