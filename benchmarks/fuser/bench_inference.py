"""Predictions of image models, 8 images of 112×112: CPU time beside eager's and Inductor's.

In bfloat16 the model itself is converted, weights and images: no autocast.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

from benchmarks.fuser.models import VISION, seeing
from benchmarks.fuser.ways import ALLOCATORS, PEERS, made
from benchmarks.harness import Geomean, Pairs, Report, Worker, alternate, at_least, main

PREDICTION = "benchmarks.fuser.bench_inference:prediction"
LAYOUTS = {"first": torch.contiguous_format, "last": torch.channels_last}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def prediction(workload: Mapping[str, Any]) -> Callable[[], None]:
    """One batch."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    model, images = seeing(workload["model"])
    dtype, layout = DTYPES[workload["dtype"]], LAYOUTS[workload["channels"]]
    # The stubs know no call that takes both.
    model = model.to(dtype=dtype).to(memory_format=layout)  # type: ignore[call-overload]
    images = images.to(dtype=dtype, memory_format=layout)
    compiled = made(model, workload["how"])

    def run() -> None:
        with torch.no_grad():
            compiled(pixel_values=images)

    run()
    return run


def bench(report: Report) -> None:
    """With memory as it comes and with all pages kept."""
    for allocator in ALLOCATORS:
        _compare(report, allocator)


def _compare(report: Report, allocator: str) -> None:
    """A row for each model, layout, dtype and peer, and one over all for each peer."""
    name = "" if allocator == "as it comes" else f", {allocator}"
    found: list[tuple[Pairs, ...]] = []
    for model, channels, dtype in itertools.product(VISION, LAYOUTS, DTYPES):
        workload = {"model": model, "channels": channels, "dtype": dtype, "threads": 1}
        found.append(tuple(_pairs(workload, peer, allocator) for peer in PEERS))
        for peer, measured in zip(PEERS, found[-1], strict=True):
            report.row(
                what=f"prediction of {model}, {dtype}, channels {channels}{name}, beside {peer}",
                workload=workload | {"peer": peer, "allocator": allocator},
                measured=measured,
                target=at_least(0.98, of="ratio_high"),
            )
    for index, peer in enumerate(PEERS):
        report.row(
            what=f"predictions of all image models{name}, beside {peer}: geometric mean",
            workload={
                "models": [*VISION],
                "channels": [*LAYOUTS],
                "dtypes": [*DTYPES],
                "threads": 1,
                "peer": peer,
                "allocator": allocator,
            },
            measured=Geomean(tuple((pairs[index],) for pairs in found)),
            target=at_least(1.15, of="ratio"),
        )


def _pairs(workload: Mapping[str, Any], peer: str, allocator: str) -> Pairs:
    def worker(how: str) -> Worker:
        return Worker(PREDICTION, {**workload, "how": how}, environment=ALLOCATORS[allocator])

    with worker("sestina") as ours, worker(peer) as theirs:
        return alternate(ours, theirs)


if __name__ == "__main__":
    main(bench)
