"""Training steps of small models on two threads, by the wall's clock: wants a quiet machine."""

from __future__ import annotations

import dataclasses

from benchmarks.fuser.bench_autocast import AUTOCAST
from benchmarks.fuser.bench_medium import MEDIUM
from benchmarks.fuser.bench_models import FLOAT32, Setting, compare
from benchmarks.harness import Report, main


def on_two_threads(setting: Setting) -> Setting:
    """The same; a tenth less than on one thread is within the target."""
    return dataclasses.replace(
        setting,
        name=f"{setting.name}, two threads",
        threads=2,
        targets={peer: 0.9 * target for peer, target in setting.targets.items()},
    )


def bench(report: Report) -> None:
    """For each setting a row for each model and peer, and their means."""
    for setting in (FLOAT32, AUTOCAST, MEDIUM):
        compare(report, on_two_threads(setting))


if __name__ == "__main__":
    main(bench)
