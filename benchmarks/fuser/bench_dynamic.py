"""A block whose batch and length change: compiled once for all, beside once for each shape."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from statistics import median
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.figures import Value
from benchmarks.harness import Report, Worker, alternate, at_most, main, repeat
from sestina.fuser import fuse
from sestina.fuser.capture.backend import Compiled, listening

SHAPES = "benchmarks.fuser.bench_dynamic:shapes"
WIDTH, HEADS, NUM_SHAPES = 256, 4, 64
WARMUP = ((3, 100), (5, 33))


def block(x: Tensor, *params: Tensor) -> Tensor:
    """Attention and two layers, each after a normalisation and beside what came in."""
    w, b, merged, out, wide, narrow = params
    batch, length, _ = x.shape
    normal = functional.layer_norm(x, (WIDTH,), w, b)
    heads = (normal @ merged).view(batch, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
    seen = functional.scaled_dot_product_attention(heads[0], heads[1], heads[2])
    x = x + functional.dropout(seen.transpose(1, 2).reshape(batch, length, WIDTH) @ out, 0.1)
    hidden = functional.gelu(functional.layer_norm(x, (WIDTH,), w, b) @ wide)
    result: Tensor = x + functional.dropout(hidden @ narrow, 0.1)
    return result


def shapes(workload: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """One pass forward and backward in each shape, and what each took."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    generator = random.Random(0)
    # Of an extent of 1 PyTorch compiles anew, as it can be repeated.
    sizes = [(generator.randint(2, 16), generator.randint(16, 256)) for _ in range(NUM_SHAPES)]
    params = [_param(WIDTH), _param(WIDTH)]
    params += [_param(WIDTH, out * WIDTH // 4) for out in (12, 4, 16)] + [_param(4 * WIDTH, WIDTH)]
    inputs = [torch.randn(*size, WIDTH, requires_grad=True) for size in sizes]
    found: list[Compiled] = []
    with listening(found.append):
        if workload["dynamic"]:
            functions = [fuse(block, dynamic=True)] * NUM_SHAPES
            for size in WARMUP:
                _trained(functions[0], torch.randn(*size, WIDTH, requires_grad=True), params)
        else:
            functions = [fuse(_copied(block), dynamic=False) for _ in range(NUM_SHAPES)]
        before = len(found)
        for function, x in zip(functions, inputs, strict=True):
            _trained(function, x, params)
        compiles = len(found) - before

    def run() -> dict[str, Any]:
        seconds = []
        for function, x in zip(functions, inputs, strict=True):
            start = time.process_time()
            _trained(function, x, params)
            seconds.append(time.process_time() - start)
        return {"seconds": seconds, "compiles": compiles, "sizes": sizes}

    return run


def bench(report: Report) -> None:
    """A row for what is compiled, and two for how long the shapes take."""
    with (
        Worker(SHAPES, {"dynamic": True}) as ours,
        Worker(SHAPES, {"dynamic": False}) as static,
    ):
        (checked,) = repeat(ours, runs=1, warmup=0).ours
        pairs = alternate(ours, static)
    workload = {"shapes": NUM_SHAPES, "width": WIDTH, "threads": 1, "passes": "both"}
    report.row(
        what=f"graphs compiled for {NUM_SHAPES} shapes, after {len(WARMUP)} others",
        workload=workload,
        measured=Value(checked.extra["compiles"]),
        target=at_most(0),
    )
    times, known = (
        [median(column) for column in zip(*(one.extra["seconds"] for one in side), strict=True)]
        for side in (pairs.ours, pairs.peer)
    )
    parts = [mine / fixed for mine, fixed in zip(times, known, strict=True)]
    worst = max(range(NUM_SHAPES), key=parts.__getitem__)
    report.row(
        what=f"time of the slowest of {NUM_SHAPES} shapes, beside its own when compiled for it",
        workload=workload,
        measured=Value(parts[worst], runs=len(pairs.ours)),
        target=at_most(1.1),
        notes={
            "batch, length": checked.extra["sizes"][worst],
            "shapes within a tenth": sum(part <= 1.1 for part in parts),
        },
    )
    report.row(
        what=f"time of {NUM_SHAPES} shapes, beside their own when compiled for each: median",
        workload=workload,
        measured=Value(median(parts), runs=len(pairs.ours)),
    )


def _param(*shape: int) -> Tensor:
    scale: float = shape[0] ** -0.5
    return (torch.randn(*shape) * scale).requires_grad_()


def _copied(function: Any) -> Any:
    """A function with code of its own: PyTorch tries all that it has compiled of one code."""
    return FunctionType(function.__code__.replace(), function.__globals__)


def _trained(function: Callable[..., Tensor], x: Tensor, params: list[Tensor]) -> None:
    torch.autograd.grad(function(x, *params).sum(), [x, *params])


if __name__ == "__main__":
    main(bench)
