"""Training steps of small models on two threads, by the wall's clock: wants a quiet machine."""

from __future__ import annotations

from benchmarks.fuser.bench_models import FLOAT32, Setting, compare
from benchmarks.harness import Report, main

# A tenth less than on one thread is within the target.
TWO_THREADS = Setting(
    name="float32, two threads",
    threads=2,
    targets={peer: 0.9 * target for peer, target in FLOAT32.targets.items()},
)


def bench(report: Report) -> None:
    """A row for each model and peer, and their means."""
    compare(report, TWO_THREADS)


if __name__ == "__main__":
    main(bench)
