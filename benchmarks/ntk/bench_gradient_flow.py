"""Gradient-flow prediction against real training: iris, width 8192, the mimic's protocol.

Rows scaled to norm √d, 75 to train and 75 to test, one-hot targets, one hidden ReLU layer
(σ_w² = 2, σ_b² = 0.01), centred, full-batch gradient descent at learning rate 0.1 for 1,021 epochs.
The figure is the RMS difference of the test outputs over the RMS of the predicted ones, per seed.
Rows without a target say what width and time do to it.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.harness import Report, Value, at_most, main
from benchmarks.ntk.full_batch import descend, outputs
from benchmarks.ntk.uci import FOLDER, load_uci, on_sphere
from sestina.ntk import FullyConnected
from sestina.ntk.activations import ReLU
from sestina.ntk.nets import FullyConnectedNet
from sestina.ntk.predictions.regression import GradientFlow

SIGMA_W, SIGMA_B = 2**0.5, 0.1
LEARNING_RATE = 0.1
EPOCHS = (200, 1021, 2042)
SEEDS = range(5)


def differences(width, seed, task):
    """The relative RMS difference of the test outputs after each of `EPOCHS`."""
    flow, cross, x, y, (train, test) = task
    net = FullyConnectedNet(
        x.shape[1], y.shape[1], width, ReLU(), sigma_w=SIGMA_W, sigma_b=SIGMA_B, seed=seed
    )
    start = outputs(net, x[test])
    steps = descend(net, x[train], y[train], learning_rate=LEARNING_RATE, epochs=EPOCHS[-1] + 1)
    found = {}
    for epoch, _ in enumerate(steps):  # the loss is yielded before the step
        if epoch in EPOCHS:
            trained = (outputs(net, x[test]) - start).double()
            wanted = flow.mean(cross, time=epoch * LEARNING_RATE)
            found[epoch] = float(
                ((trained - wanted).square().mean() / wanted.square().mean()).sqrt()
            )
    return found


def bench(report: Report) -> None:
    if not FOLDER.is_dir():
        print(f"no shared data: {FOLDER} does not exist")
        return
    data = load_uci("iris")
    train, test = data.halves
    x = torch.tensor(on_sphere(data.features))
    y = torch.tensor(data.one_hot)
    kernel = FullyConnected(activation="relu", sigma_w=SIGMA_W, sigma_b=SIGMA_B).ntk(x)
    flow = GradientFlow(kernel[train][:, train], y[train])
    task = (flow, kernel[test][:, train], x.float(), y.float(), data.halves)
    for width in (1024, 8192):
        runs = [differences(width, seed, task) for seed in SEEDS]
        for epoch in EPOCHS:
            values = [run[epoch] for run in runs]
            has_target = width == 8192 and epoch == 1021
            report.row(
                what=f"gradient flow against training, width {width}, epoch {epoch}, RMS",
                workload={
                    "data": "iris",
                    "width": width,
                    "epochs": epoch,
                    "learning_rate": LEARNING_RATE,
                    "seeds": len(SEEDS),
                },
                measured=Value(
                    float(np.mean(values)), spread=(min(values), max(values)), runs=len(values)
                ),
                target=at_most(0.03) if has_target else None,
                notes={"per_seed": values, "spread": "least and largest of the seeds"},
            )


if __name__ == "__main__":
    main(bench)
