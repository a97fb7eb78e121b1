"""What a call costs besides its work: 32 operations on 16 numbers, beyond an empty backend.

The empty backend has the same signature: it cuts forward and backward apart as the compiler does.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from statistics import median, quantiles
from typing import Any

import torch
from functorch.compile import make_boxed_func
from torch import Tensor, fx
from torch._dynamo.backends.common import aot_autograd  # noqa: PLC2701 - there is no other

from benchmarks.figures import Value
from benchmarks.fuser.ways import made
from benchmarks.harness import Report, Worker, alternate, at_most, main
from sestina.fuser.capture.rewrites import partition
from sestina.fuser.options import FuserOptions

CALLS = "benchmarks.fuser.bench_host:calls"
NUM_CALLS = 500
PASSES = ("forward", "backward")


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
        empty = aot_autograd(
            fw_compiler=_empty,
            bw_compiler=_empty,
            partition_fn=functools.partial(partition, FuserOptions()),
        )
        function = torch.compile(_chain, backend=empty)
    else:
        function = made(_chain, workload["how"])
    gradient = torch.ones(16)

    def one() -> tuple[float, float]:
        start = time.perf_counter()
        result = function(x, y)
        middle = time.perf_counter()
        if trains:
            torch.autograd.grad(result, (x, y), gradient)
        return middle - start, time.perf_counter() - middle

    one()

    def run() -> dict[str, Any]:
        forward, backward = zip(*(one() for _ in range(NUM_CALLS)), strict=True)
        return {"forward": median(forward), "backward": median(backward)}

    run()
    return run


def bench(report: Report) -> None:
    """A row for inference, and one for each pass of training."""
    for trains, parts in ((False, {"forward": 10e-6}), (True, dict.fromkeys(PASSES, 15e-6))):
        with (
            Worker(CALLS, {"how": "sestina", "trains": trains}) as ours,
            Worker(CALLS, {"how": "empty", "trains": trains}) as theirs,
        ):
            pairs = alternate(ours, theirs, clock="wall")
        for part, target in parts.items():
            extra = [
                mine.extra[part] - other.extra[part]
                for mine, other in zip(pairs.ours, pairs.peer, strict=True)
            ]
            low, _, high = quantiles(extra, n=4, method="inclusive")
            what = f"training, {part}" if trains else "inference"
            report.row(
                what=f"host cost of a call, {what}, beyond an empty backend",
                workload={"operations": 32, "elements": 16, "calls": NUM_CALLS, "trains": trains},
                measured=Value(median(extra), "s", (low, high), len(extra)),
                target=at_most(target),
            )


if __name__ == "__main__":
    main(bench)
