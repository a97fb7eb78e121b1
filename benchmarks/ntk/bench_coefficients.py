"""1,000 coefficients of deep ReLU kernels: CPU time, and the error against long double series."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.harness import Report, Value, Worker, at_most, main, repeat
from benchmarks.ntk.relu_series import IS_WIDER, relu_series
from sestina.ntk.architectures import FullyConnected

NUM_COEFFICIENTS = 1000
TIMED_DEPTHS = (1, 4, 20)
DEPTHS = tuple(range(1, 21))
SCALES = {"sigma_w": math.sqrt(2), "sigma_b": 0.1}


def kernel(depth, kind="ntk"):
    return FullyConnected(
        activation="relu", depth=depth, sigma_w=SCALES["sigma_w"], sigma_b=SCALES["sigma_b"]
    ).dot_product(kind)


def ours(workload):
    one = kernel(workload["depth"])

    def run():
        one.coefficients(workload["coefficients"])

    return run


def bench(report: Report) -> None:
    for depth in TIMED_DEPTHS:
        workload = {"coefficients": NUM_COEFFICIENTS, "depth": depth, "kind": "ntk", **SCALES}
        with Worker("benchmarks.ntk.bench_coefficients:ours", workload) as mine:
            runs = repeat(mine)
        report.row(
            what=f"{NUM_COEFFICIENTS} coefficients of a ReLU NTK, depth {depth}",
            workload=workload,
            measured=runs,
            target=at_most(0.1),
        )
    if not IS_WIDER:
        return  # long double is float64 here, so there is nothing to compare with
    errors = {
        depth: max(
            float(np.abs(kernel(depth, kind).coefficients(NUM_COEFFICIENTS) - known).max())
            for kind, known in zip(
                ("nngp", "ntk"), relu_series(depth, NUM_COEFFICIENTS), strict=True
            )
        )
        for depth in DEPTHS
    }
    report.row(
        what=f"{NUM_COEFFICIENTS} coefficients of ReLU kernels, depth 1–20, largest error",
        workload={"coefficients": NUM_COEFFICIENTS, "depths": DEPTHS, **SCALES},
        measured=Value(max(errors.values())),
        target=at_most(1e-13),
        notes={"oracle": "power series in long double", "error_by_depth": errors},
    )


if __name__ == "__main__":
    main(bench)
