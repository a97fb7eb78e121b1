"""Test-error forecasts against kernel ridge regression as it turns out.

On bits: the 4-layer ReLU tangent kernel, mixed low-order and parity targets of 11 bits, from the
closed-form spectrum. On data: the six UCI sets and digits, from the kernel matrix, at an eighth, a
quarter, half and three quarters of the rows (there interpolated to leaving one out), with ridges of
0.1 and 1 mean diagonal. The figure is the median of |forecast/measured − 1|; its spread goes up to
the largest.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import torch

from benchmarks.harness import Report, Value, main
from benchmarks.ntk.uci import FOLDER, NAMES, load_uci
from sestina.ntk.datasets import shipped_table
from sestina.ntk.kernels.spectra import hypercube_spectrum
from sestina.ntk.kernels.targets import parse_target
from sestina.ntk.matrices.curves import input_matrix
from sestina.ntk.predictions.forecasts import forecast, forecast_from_data

TARGET = "relu:depth=4,sigma_w=sqrt(2),sigma_b=0.1"
BITS = 11
SHARES = (1 / 8, 1 / 4, 1 / 2, 3 / 4)
RIDGES = (0.1, 1.0)


def measured(kernel, targets, size, ridge, repeats):
    """The mean error on the rows left, after training on random ones."""
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(repeats):
        order = rng.permutation(len(kernel))
        train, test = order[:size], order[size:]
        dual = np.linalg.solve(kernel[np.ix_(train, train)] + ridge * np.eye(size), targets[train])
        predicted = kernel[np.ix_(test, train)] @ dual
        errors.append(np.square(predicted - targets[test]).sum(1).mean())
    return float(np.mean(errors))


def bit_errors():
    points = np.array(list(product((1.0, -1.0), repeat=BITS)))
    curve = parse_target(TARGET)
    kernel = curve(np.clip(points @ points.T / BITS, -1.0, 1.0))
    spectrum = hypercube_spectrum(curve, BITS)
    mixed = (points[:, 0] + points[:, 0] * points[:, 1] + points[:, 1:4].prod(1)) / 3**0.5
    tasks = {
        "mixed": (mixed, [0, 1 / 3, 1 / 3, 1 / 3]),
        "parity": (points.prod(1), [0] * BITS + [1]),
    }
    found = {}
    for name, (targets, power) in tasks.items():
        for share, ridge in product((1 / 32, *SHARES), (1e-9, 1.0)):
            size = int(2**BITS * share)
            truth = measured(kernel, targets[:, None], size, ridge, repeats=5)
            ours = forecast(spectrum, power, size, ridge=ridge).test_mse
            found[f"{name}, n={size}, ridge={ridge:g}"] = ours / truth - 1.0
    return found


def data_errors(name, features, targets):
    matrix = input_matrix(parse_target(TARGET), torch.tensor(features)).numpy()
    matrix /= matrix.diagonal().mean()
    targets = targets - targets.mean(0)
    found = {}
    for ridge in RIDGES:
        sizes = [int(len(matrix) * share) for share in SHARES]
        curve = forecast_from_data(matrix, targets, sizes, ridge=ridge)
        for size, ours in zip(sizes, curve.test_mse, strict=True):
            truth = measured(matrix, targets, size, ridge, repeats=20)
            found[f"{name}, n={size}, ridge={ridge:g}"] = float(ours) / truth - 1.0
    return found


def row(report: Report, what, workload, found):
    errors = np.abs(list(found.values()))
    report.row(
        what=what,
        workload=workload,
        measured=Value(
            float(np.median(errors)),
            spread=(float(errors.min()), float(errors.max())),
            runs=len(errors),
        ),
        notes={"forecast_over_measured_minus_1": found},
    )


def bench(report: Report) -> None:
    row(report, "test-error forecast, bits, relative error", {"bits": BITS}, bit_errors())
    digits = shipped_table("digits")
    found = data_errors("digits", digits.standardised, digits.outputs)
    if FOLDER.is_dir():
        for name in NAMES:
            data = load_uci(name)
            found |= data_errors(name, data.features, data.one_hot)
    row(report, "test-error forecast, real data, relative error", {"ridges": RIDGES}, found)


if __name__ == "__main__":
    main(bench)
