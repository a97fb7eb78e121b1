"""Training steps of small models where float32 matrices may be multiplied as bfloat16 by all."""

from __future__ import annotations

from benchmarks.fuser.bench_models import Setting, compare
from benchmarks.fuser.ways import ALLOCATORS
from benchmarks.harness import Report, main

MEDIUM = Setting(
    name="float32 at medium precision",
    precision="medium",
    targets={"eager": 1.2, "inductor": 1.2},
)


def bench(report: Report) -> None:
    """A row for each model and peer, and their means; with all pages kept, too."""
    for allocator in ALLOCATORS:
        compare(report, MEDIUM, allocator)


if __name__ == "__main__":
    main(bench)
