"""One hidden layer in place of four, at infinite width: six UCI sets, all folds, test losses.

Gradient flow to epoch 1020 at learning rate 0.1 on mean_n Σ_o (f − y)², rows scaled to norm √d,
one-hot targets. The gap is |test loss − that of the 4-layer ReLU network| (σ_w² = 2, σ_b² = 0.01).
Ours is the network that `design` returns, by its achieved kernel, measured on the finished
activation; the paper's activation and the 1-layer ReLU network are on the same folds.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.harness import Report, Value, at_most, main
from benchmarks.ntk.paper import paper_activation
from benchmarks.ntk.uci import FOLDER, NAMES, load_uci, on_sphere
from sestina.ntk import FullyConnected
from sestina.ntk.designs.inverse import design
from sestina.ntk.kernels.targets import parse_target
from sestina.ntk.matrices.curves import input_matrix
from sestina.ntk.predictions.regression import GradientFlow

TIME = 1020 * 0.1
DEEP, SHALLOW = (f"relu:depth={depth},sigma_w=sqrt(2),sigma_b=0.1" for depth in (4, 1))


def kernels():
    deep = parse_target(DEEP)
    return {
        "4-layer ReLU": deep,
        "designed": design(deep).achieved,
        "paper": FullyConnected(activation=paper_activation()).dot_product("ntk"),
        "1-layer ReLU": parse_target(SHALLOW),
    }


def test_losses(name, candidates):
    """By candidate, the test loss of every fold."""
    data = load_uci(name)
    rows, targets = torch.tensor(on_sphere(data.features)), data.one_hot
    losses = {}
    for candidate, kernel in candidates.items():
        matrix = input_matrix(kernel, rows).numpy()
        losses[candidate] = [
            GradientFlow(matrix[np.ix_(train, train)], targets[train]).loss_at(
                TIME, matrix[np.ix_(test, train)], targets[test]
            )
            for train, test in data.folds
        ]
    return losses


def bench(report: Report) -> None:
    if not FOLDER.is_dir():
        print(f"no shared data: {FOLDER} does not exist")
        return
    candidates = kernels()
    losses = {name: test_losses(name, candidates) for name in NAMES}
    gaps = {
        candidate: np.abs(
            [np.subtract(losses[name][candidate], losses[name]["4-layer ReLU"]) for name in NAMES]
        )
        for candidate in ("designed", "paper", "1-layer ReLU")
    }
    workload = {"sets": NAMES, "folds": 4, "epochs": 1020, "learning_rate": 0.1}
    notes = {
        "mean_gap": {candidate: float(gap.mean()) for candidate, gap in gaps.items()},
        "largest_gap": {candidate: float(gap.max()) for candidate, gap in gaps.items()},
        "mean_test_loss": {
            name: {candidate: float(np.mean(values)) for candidate, values in by.items()}
            for name, by in losses.items()
        },
    }
    for candidate, gap in gaps.items():
        report.row(
            what=f"mimic at infinite width, mean gap to 4-layer ReLU, {candidate}",
            workload=workload,
            measured=Value(float(gap.mean()), spread=(float(gap.min()), float(gap.max())), runs=24),
        )
    report.row(
        what="mimic at infinite width, designed gap over the paper activation's",
        workload=workload,
        measured=Value(float(gaps["designed"].mean() / gaps["paper"].mean())),
        target=at_most(0.2),
        notes=notes,
    )


if __name__ == "__main__":
    main(bench)
