"""What a call costs besides its work: 32 operations on 16 numbers, beyond an empty backend."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import torch
from functorch.compile import make_boxed_func
from torch import Tensor, fx
from torch._dynamo.backends.common import aot_autograd  # noqa: PLC2701 - there is no other

from benchmarks.figures import Value
from benchmarks.fuser.ways import made
from benchmarks.harness import Report, Worker, alternate, at_most, main

CALLS = "benchmarks.fuser.bench_host:calls"
NUM_CALLS = 500


def _empty(captured: fx.GraphModule, _inputs: Any) -> Any:
    """A graph that gives tensors of the right shapes which were made before."""
    (results,) = next(node for node in captured.graph.nodes if node.op == "output").args
    assert isinstance(results, (list, tuple))
    values = [
        torch.zeros(node.meta["val"].shape) if isinstance(node, fx.Node) else None
        for node in results
    ]
    return make_boxed_func(lambda *_args: list(values))


def _chain(x: Tensor, y: Tensor) -> Tensor:
    for _ in range(16):
        x = x * y + 1
    return x


def calls(workload: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """Some hundred calls, forward or forward and backward."""
    torch.set_num_threads(1)
    trains = workload["trains"]
    x, y = (torch.rand(16, requires_grad=trains) for _ in range(2))
    if workload["how"] == "empty":
        empty = aot_autograd(fw_compiler=_empty, bw_compiler=_empty)
        function = torch.compile(_chain, backend=empty)
    else:
        function = made(_chain, workload["how"])
    gradient = torch.ones(16)

    def one() -> None:
        result = function(x, y)
        if trains:
            torch.autograd.grad(result, (x, y), gradient)

    one()

    def run() -> dict[str, Any]:
        times = []
        for _ in range(NUM_CALLS):
            start = time.perf_counter()
            one()
            times.append(time.perf_counter() - start)
        return {"median": median(times)}

    run()
    return run


def bench(report: Report) -> None:
    """A row for inference and one for training."""
    for trains, target in ((False, 10e-6), (True, 30e-6)):
        with (
            Worker(CALLS, {"how": "sestina", "trains": trains}) as ours,
            Worker(CALLS, {"how": "empty", "trains": trains}) as theirs,
        ):
            pairs = alternate(ours, theirs, clock="wall")
        extra = [
            mine.extra["median"] - other.extra["median"]
            for mine, other in zip(pairs.ours, pairs.peer, strict=True)
        ]
        what = "training, forward and backward" if trains else "inference"
        report.row(
            what=f"host cost of a call, {what}, beyond an empty backend",
            workload={"operations": 32, "elements": 16, "calls": NUM_CALLS, "trains": trains},
            measured=Value(median(extra), unit="s"),
            target=at_most(target),
        )


if __name__ == "__main__":
    main(bench)
