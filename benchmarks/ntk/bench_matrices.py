"""Forward map: full NNGP and NTK matrices in float32 against neural-tangents, one core.

Ours includes the table of the angle, made for a network not seen before, and the correction near
c = ±1, which a fiftieth of the rows are there for. Results go, as in a program that is done with
the last ones, to memory used before. The rows that say "kept" hold on to every result, so that each
call takes fresh pages from the system; their peer writes zeros to as many. A virtual machine's host
may have to find those first, at up to 160 ms for 72 MB: that is done before anything is timed.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch

from benchmarks.harness import Report, Worker, alternate, at_most, bench_python, main
from benchmarks.ntk.peers.forward_rows import rows
from sestina.ntk.architectures import FullyConnected

# Products at the 210 GFLOP/s that oneDNN reaches on one core of an AMD EPYC 9005, half of them
# where the matrix is square, and 5 ms for writing 72 MB.
LIMITS = {True: 0.0093, False: 0.0136}
DEPTHS = (1, 4, 20)


def network_of(workload, *, sigma_b=None):
    """The network that all the rows of forward kernels are about."""
    return FullyConnected(
        activation="relu",
        depth=workload["depth"],
        sigma_w=2**0.5,
        sigma_b=workload["sigma_b"] if sigma_b is None else sigma_b,
    )


def inputs_of(workload):
    """x1 and x2 as tensors; x2 is None where the matrix is square."""
    x1 = torch.from_numpy(rows(workload, seed=0))
    return x1, None if workload["square"] else torch.from_numpy(rows(workload, seed=1))


def kernels(workload):
    """Both kernels; the table is made anew each time, and the memory, too, if results are kept."""
    x1, x2 = inputs_of(workload)
    counter = itertools.count()
    kept = _room_for_results(workload)

    def run():
        # Another network each time: no table is found remembered.
        sigma_b = workload["sigma_b"] * (1 + 1e-9 * next(counter))
        results = network_of(workload, sigma_b=sigma_b).kernels(x1, x2)
        if workload.get("results") == "kept":
            kept.append(results)

    return run


def fresh_memory(workload):
    """Zeros in as much fresh memory as both kernels take, in large pages where there are some."""
    shape = (2 * workload["n"], workload["n"])
    kept = _room_for_results(workload)

    def run():
        kept.append(np.zeros(shape, workload["dtype"]))
        kept[-1].fill(0)

    return run


def _room_for_results(workload):
    """An empty list, and free pages enough that the host has already provided."""
    if workload.get("results") == "kept":
        pages = [np.ones((2 * workload["n"], workload["n"]), np.float32) for _ in range(40)]
        del pages
    return []


def measure(report, *, what, workload, pairs, limit, target):
    with (
        Worker("benchmarks.ntk.bench_matrices:kernels", workload) as mine,
        Worker(
            "benchmarks.ntk.peers.neural_tangents_forward:kernels",
            workload,
            python=bench_python("ntk"),
        ) as theirs,
    ):
        measured = alternate(mine, theirs, pairs=pairs)
    report.row(what=what, workload=workload, measured=measured, limit=limit, target=target)


def bench(report: Report) -> None:
    for square in (True, False):
        shape = "square" if square else "test×train"
        workload = {
            "n": 3000,
            "d": 100,
            "sigma_b": 0.1,
            "square": square,
            "norms": "equal",
            "dtype": "float32",
        }
        for depth in DEPTHS:
            measure(
                report,
                what=f"NNGP+NTK, {shape}, depth {depth}",
                workload=workload | {"depth": depth},
                pairs=20 if depth < 20 else 5,  # the peer takes seconds
                limit=LIMITS[square],
                target=at_most(0.05),
            )
        kept = workload | {"depth": 4, "results": "kept"}
        with (
            Worker("benchmarks.ntk.bench_matrices:kernels", kept) as mine,
            Worker("benchmarks.ntk.bench_matrices:fresh_memory", kept) as zeros,
        ):
            report.row(
                what=f"NNGP+NTK, {shape}, depth 4, results kept, against zeros in fresh memory",
                workload=kept,
                measured=alternate(mine, zeros),
                target=at_most(0.05),
            )
        measure(
            report,
            what=f"NNGP+NTK, unequal norms, {shape}, depth 4",
            workload=workload | {"depth": 4, "norms": "unequal"},
            pairs=20,
            limit=LIMITS[square],
            target=at_most(0.15),
        )


if __name__ == "__main__":
    main(bench)
