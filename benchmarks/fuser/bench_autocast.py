"""Training steps of small models under bfloat16 autocast: beside eager and Inductor."""

from __future__ import annotations

from benchmarks.fuser.bench_models import Setting, compare
from benchmarks.fuser.ways import ALLOCATORS
from benchmarks.harness import Report, main

AUTOCAST = Setting(
    name="bfloat16 autocast", autocast=True, targets={"eager": 1.35, "inductor": 1.2}
)


def bench(report: Report) -> None:
    """A row for each model and peer, and their means; with all pages kept, too."""
    for allocator in ALLOCATORS:
        compare(report, AUTOCAST, allocator)


if __name__ == "__main__":
    main(bench)
