"""One training run of the mimic experiment: wine-quality-red, the authors' protocol.

1,599 wines of 11 features and 6 grades, 800 to train and 799 to test; features standardised and
scaled to a mean norm of √d; one-hot targets; centred networks of width 4096; full-batch gradient
descent at learning rate 0.1 on mean_n Σ_o (f − y)² for 1,021 epochs (Simon, Anand & DeWeese, 2022,
notebook mimic_net_training).
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.ntk.full_batch import descend, outputs
from sestina.core.progress import Progress, silent
from sestina.ntk.nets import FullyConnectedNet
from sestina.tensors.devices import resolve_device

__all__ = ["EPOCHS", "LEARNING_RATE", "RECORDED_EPOCHS", "Run", "Split", "train", "wine_split"]

LEARNING_RATE = 0.1
EPOCHS = 1021
RECORDED_EPOCHS = (170, 1021)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Training and test inputs (n, d) and one-hot targets (n, o), float32."""

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one network of one seed reached; losses are mean_n Σ_o (f − y)²."""

    net: str
    seed: int
    width: int
    epoch: int
    train_loss: float
    test_loss: float
    test_accuracy: float
    num_parameters: int
    seconds: float
    device: str
    """The processor that trained it."""


def wine_split(folder: Path) -> Split:
    """The data of `folder` (wine-quality-red in the format of Fernández-Delgado et al.)."""
    rows = np.loadtxt(folder / "wine-quality-red_R.dat", skiprows=1)
    features, grades = rows[:, 1:-1], rows[:, -1].astype(int)
    features = (features - features.mean(0)) / features.std(0)
    features *= np.sqrt(features.shape[1]) / np.linalg.norm(features, axis=1).mean()
    targets = np.eye(grades.max() + 1)[grades]
    lines = (folder / "conxuntos.dat").read_text().splitlines()
    train, test = (np.array(line.split(), dtype=int) for line in lines[:2])
    tensor = lambda array: torch.tensor(array, dtype=torch.float32)  # noqa: E731
    return Split(
        x_train=tensor(features[train]),
        y_train=tensor(targets[train]),
        x_test=tensor(features[test]),
        y_test=tensor(targets[test]),
    )


def train(
    name: str,
    net: FullyConnectedNet,
    seed: int,
    split: Split,
    *,
    progress: Progress = silent,
) -> list[Run]:
    """Trains `net` in place, on a GPU if there is one; one `Run` for each recorded epoch."""
    device = resolve_device()
    net.to(device)
    split = Split(**{name: rows.to(device) for name, rows in asdict(split).items()})
    runs, began = [], time.monotonic()
    test_start_no = outputs(net, split.x_test)
    steps = descend(
        net, split.x_train, split.y_train, learning_rate=LEARNING_RATE, epochs=EPOCHS + 1
    )
    # The loss is yielded before the step, so the network has then taken `epoch` steps.
    for epoch, train_loss in enumerate(steps):
        if epoch in RECORDED_EPOCHS:
            predictions_no = outputs(net, split.x_test) - test_start_no
            hits = predictions_no.argmax(1) == split.y_test.argmax(1)
            runs.append(
                Run(
                    net=name,
                    seed=seed,
                    width=net.width,
                    epoch=epoch,
                    train_loss=train_loss,
                    test_loss=(predictions_no - split.y_test).square().sum(1).mean().item(),
                    test_accuracy=hits.float().mean().item(),
                    num_parameters=net.num_parameters,
                    seconds=time.monotonic() - began,
                    device=device_name(device),
                )
            )
        progress(epoch, EPOCHS, f"{name}, seed {seed}")
    return runs


def device_name(device: torch.device) -> str:
    """The processor by name; "cpu" where it has no other."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
