"""Parity of 11 bits: a designed activation against deep ReLU, width 128, full-batch descent.

The activation comes out of `design()`: from the tangent kernel of ½ sin 6z, given as a function of
the cosine, the sinusoid form recovers amplitude and frequency. 1,024 of the 2,048 inputs are
trained on, learning rate 0.1, until the training loss is 1e-3 or 4,000 epochs have passed (10,000
for ReLU). One run of a ReLU network takes minutes; finished ones are kept.

It is not the kernel that does it: exact regression with the same kernel gets half of the inputs
right, as the last rows show (parity has the least eigenvalue of its class for any such kernel).
The finite network learns features.
"""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import torch

from benchmarks.harness import Report, Resumable, Value, at_least, at_most, main
from benchmarks.ntk.full_batch import descend, outputs
from sestina.ntk.activations import activation
from sestina.ntk.designs.inverse import design
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.kernels.targets import parse_target
from sestina.ntk.nets import FullyConnectedNet
from sestina.ntk.predictions.regression import GradientFlow

LONG = True

BITS, WIDTH, SEEDS, STOP = 11, 128, range(3), 1e-3
PROTOCOL = {"bits": BITS, "train": 1024, "width": WIDTH, "learning_rate": 0.1, "stop": STOP}
EPOCHS = {"designed": 4000, "relu-4": 10_000, "relu-1": 4000}


def half_sine_kernel(c):
    """The tangent kernel of ½ sin 6z: A² e^{−ω²} [sinh ω²c + ω²c cosh ω²c]."""
    return 0.25 * np.exp(-36.0) * (np.sinh(36 * c) + 36 * c * np.cosh(36 * c))


def network(name, seed):
    if name == "designed":
        made = design(DotProductKernel(half_sine_kernel), form="sinusoid")
        return made.module(BITS, 1, WIDTH, seed)
    depth = {"relu-4": 4, "relu-1": 1}[name]
    phi = activation("relu")
    return FullyConnectedNet(
        BITS, 1, WIDTH, phi, depth=depth, sigma_w=math.sqrt(2), sigma_b=0.1, seed=seed
    )


def task(seed):
    """All inputs, their parities, and the places of those to train and to test on."""
    inputs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=BITS)))
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))
    return inputs, inputs.prod(1, keepdim=True), order[:1024], order[1024:]


def regression(kernel, seed):
    """Test loss and accuracy of exact regression, where the infinitely wide network ends."""
    inputs, targets, train, test = task(seed)
    wide = inputs.double()
    flow = GradientFlow(kernel.matrix(wide[train]), targets[train].double())
    predictions = flow.mean(kernel.matrix(wide[test], wide[train]))
    return {
        "test_loss": (predictions - targets[test]).square().mean().item(),
        "accuracy": (predictions.sign() == targets[test]).double().mean().item(),
    }


def run(name, seed):
    """Test loss and accuracy after training."""
    inputs, targets, train, test = task(seed)
    net = network(name, seed)
    start = outputs(net, inputs[test])
    losses = descend(net, inputs[train], targets[train], learning_rate=0.1, epochs=EPOCHS[name])
    epochs = 0
    for loss in losses:
        if loss < STOP:
            break
        epochs += 1
    predictions = outputs(net, inputs[test]) - start
    return {
        "epochs": epochs,
        "train_loss": loss,
        "test_loss": (predictions - targets[test]).square().mean().item(),
        "accuracy": (predictions.sign() == targets[test]).double().mean().item(),
    }


def bench(report: Report) -> None:
    designed = repr(network("designed", 0).activation)
    kept = Resumable("bench_parity", PROTOCOL | {"epochs": EPOCHS, "designed": designed})
    goals = {
        "designed": (at_least(1.0), at_most(0.03)),
        "relu-4": (at_most(0.35), None),
        "relu-1": (None, None),
    }
    for name, (accuracy_goal, loss_goal) in goals.items():
        runs = [kept.get(f"{name}/{seed}", partial(run, name, seed)) for seed in SEEDS]
        accuracies = [one["accuracy"] for one in runs]
        losses = [one["test_loss"] for one in runs]
        # The worst seed has to reach the goal.
        worst = min(accuracies) if name == "designed" else max(accuracies)
        notes = {"runs": runs, "commits": sorted(kept.commits)}
        workload = PROTOCOL | {"net": name, "seeds": len(runs)}
        report.row(
            what=f"parity, {name}: test accuracy of the worst seed",
            workload=workload,
            measured=Value(worst, spread=(min(accuracies), max(accuracies)), runs=len(runs)),
            target=accuracy_goal,
            notes=notes,
        )
        report.row(
            what=f"parity, {name}: largest test loss",
            workload=workload,
            measured=Value(max(losses), spread=(min(losses), max(losses)), runs=len(runs)),
            target=loss_goal,
            notes=notes,
        )

    kernels = {
        "the kernel of ½ sin 6z": DotProductKernel(half_sine_kernel),
        "4-layer ReLU's": parse_target("relu:depth=4,sigma_w=sqrt2,sigma_b=0.1"),
    }
    for name, kernel in kernels.items():
        runs = [regression(kernel, seed) for seed in SEEDS]
        for figure in ("accuracy", "test_loss"):
            values = [one[figure] for one in runs]
            report.row(
                what=f"parity, exact regression with {name}: mean test {figure.split('_')[-1]}",
                workload={"bits": BITS, "train": 1024, "kernel": name, "seeds": len(runs)},
                measured=Value(
                    sum(values) / len(values), spread=(min(values), max(values)), runs=len(values)
                ),
            )


if __name__ == "__main__":
    main(bench)
