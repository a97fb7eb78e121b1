"""Training steps of small models under bfloat16 autocast: beside eager and Inductor."""

from __future__ import annotations

from benchmarks.fuser.bench_models import compare
from benchmarks.harness import Report, main


def bench(report: Report) -> None:
    """A row for each model and peer."""
    compare(report, autocast=True)


if __name__ == "__main__":
    main(bench)
