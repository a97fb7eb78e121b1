"""The tour of `sestina.ntk`: a deep network's kernel in one hidden layer, trained on real data.

The data set is scikit-learn's handwritten digits. Three networks are trained by full-batch gradient
descent: the designed one with one hidden layer, the four-layer ReLU network whose tangent kernel it
has, and a one-layer ReLU network; beside them stands what their infinitely wide versions predict.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sestina.cli.book import Chapter
from sestina.core.progress import tracked
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.datasets import load_table
from sestina.ntk.designs.inverse import Design, design
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.matrices.curves import input_matrix
from sestina.ntk.nets import FullyConnectedNet
from sestina.ntk.pictures import (
    LearningCurve,
    activation_picture,
    kernel_picture,
    network_picture,
    training_picture,
)
from sestina.ntk.predictions.regression import GradientFlow

__all__ = ["TITLE", "run"]

TITLE = "Design a network from a kernel"

_SIGMA_W, _SIGMA_B = 2**0.5, 0.1
_LEARNING_RATE = 0.5
"""Below the limit of 0.65 from which on descent on the deep kernel diverges."""
_POINTS = 16
"""Epochs at which losses are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    """How much the chapter does."""

    train_rows: int
    width: int
    epochs: int


_USUAL = _Size(train_rows=600, width=1024, epochs=100)
_QUICK = _Size(train_rows=150, width=128, epochs=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Data:
    """Digits on the sphere |x|² = d, and one-hot targets."""

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trained:
    """One network after training, real or infinitely wide."""

    curve: LearningCurve
    accuracy: float
    seconds: float = 0.0


def run(book: Chapter) -> None:
    """Designs, trains, compares and draws."""
    with _one_thread():
        _run(book)


def _run(book: Chapter) -> None:
    size = _QUICK if book.quick else _USUAL
    deep = FullyConnected(activation="relu", depth=4, sigma_w=_SIGMA_W, sigma_b=_SIGMA_B)
    made = _design_chapter(book, deep, size)
    data = _digits(size.train_rows)
    book.text(
        f"Does it learn like the deep network? Three networks of {size.width} units per layer, "
        f"trained on {len(data.x_train)} handwritten digits by {size.epochs} steps of full-batch "
        f"gradient descent on the squared error, tested on {len(data.x_test)} others. Beside them, "
        "without any training, what the three kernels predict for infinite width."
    )
    shallow = FullyConnected(activation="relu", sigma_w=_SIGMA_W, sigma_b=_SIGMA_B)
    names = ("designed, 1 hidden layer", "ReLU, 4 hidden layers", "ReLU, 1 hidden layer")
    shape = (data.x_train.shape[1], data.y_train.shape[1], size.width)
    # Not centred: the initial outputs are subtracted once and not at every step.
    nets = (
        made.module(*shape, centred=False),
        _relu_net(*shape, depth=4),
        _relu_net(*shape, depth=1),
    )
    kernels = (made.achieved, deep.dot_product("ntk"), shallow.dot_product("ntk"))
    trained = [
        _train(net, name, data, size.epochs, book) for net, name in zip(nets, names, strict=True)
    ]
    predicted = [
        _predict(kernel, name, data, trained[0].curve.epochs)
        for kernel, name in zip(kernels, names, strict=True)
    ]
    _compare(book, size, [net.num_parameters for net in nets], trained, predicted)


def _compare(
    book: Chapter,
    size: _Size,
    parameters: Sequence[int],
    trained: Sequence[_Trained],
    predicted: Sequence[_Trained],
) -> None:
    """Networks beside their kernels: designed, deep, shallow."""
    rows = [
        [
            real.curve.name,
            count,
            float(real.curve.train[-1]),
            float(real.curve.test[-1]),
            f"{real.accuracy:.1%}",
            float(infinite.curve.test[-1]),
            f"{infinite.accuracy:.1%}",
            f"{real.seconds:.1f}",
        ]
        for count, real, infinite in zip(parameters, trained, predicted, strict=True)
    ]
    headers = ["network", "parameters", "train loss", "test loss", "correct"]
    headers += ["test loss, infinite width", "correct, infinite width", "seconds, one thread"]
    book.table(rows, headers, caption="After training: one seed, one split")
    real, infinite = (
        ", ".join(f"{each.curve.test[-1]:.3f}" for each in results)
        for results in (trained, predicted)
    )
    book.text(
        "At infinite width the designed network and the deep one are the same predictor: test "
        f"losses {infinite}, in the order of the table. At {size.width} units they are {real}: the "
        "rest is finite width, and the chance of one initialisation. The deep network has "
        f"{parameters[1] / parameters[0]:.0f} times the parameters of the designed one."
    )
    book.picture(
        "training.png",
        training_picture([each.curve for each in trained], [each.curve for each in predicted]),
        caption="Losses while training, and dashed what the kernels predict for infinite width.",
    )


def _design_chapter(book: Chapter, deep: FullyConnected, size: _Size) -> Design:
    book.text(
        "A kernel says how a wide network generalises from one input to another. Asked for is the "
        "tangent kernel of a ReLU network with four hidden layers; designed is a network with a "
        "single hidden layer that has it. All that changes is the activation."
    )
    book.progress(0, 0, "designing")
    started_s = time.perf_counter()
    made = design(deep.dot_product("ntk"))
    took_s = time.perf_counter() - started_s
    made.save(Path(book.folder, "design.json"))
    book.table(
        [
            ["kernel of identical inputs, K(1)", f"{made.target.total:.4g}"],
            ["error of the infinitely wide network, RMS", f"{made.error.rms:.2g}"],
            ["spread of one unit, σ(1)", f"{float(made.sigma(1.0)):.3g}"],
            ["units for 5 % accuracy of one random network", made.width_for(0.05, relative=True)],
            ["units for 2 %", made.width_for(0.02, relative=True)],
            ["seconds to design", f"{took_s:.1f}"],
        ],
        ["the design", "value"],
    )
    widths = (64, 512) if book.quick else (256, 4096, 65536)
    book.picture("kernel.png", kernel_picture(made), caption="K(c), target and achieved.")
    book.picture(
        "activation.png",
        activation_picture(made),
        caption="The activation that puts four layers into one.",
    )
    book.picture(
        "network.png",
        network_picture(made, widths),
        caption="Kernels of single random networks against the target. "
        f"The networks below have {size.width} units.",
    )
    return made


def _digits(train_rows: int) -> _Data:
    table = load_table("digits")
    features = torch.from_numpy(table.standardised).float()
    features *= features.shape[1] ** 0.5 / torch.linalg.vector_norm(features, dim=1, keepdim=True)
    outputs = torch.from_numpy(table.outputs).float()
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(features)))
    train, test = order[:train_rows], order[train_rows:]
    return _Data(
        x_train=features[train], y_train=outputs[train], x_test=features[test], y_test=outputs[test]
    )


def _relu_net(d_in: int, d_out: int, width: int, *, depth: int) -> FullyConnectedNet:
    return FullyConnectedNet(
        d_in,
        d_out,
        width,
        nn.ReLU(),
        depth=depth,
        sigma_w=_SIGMA_W,
        sigma_b=_SIGMA_B,
        centred=False,
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """PyTorch on one thread: the same figures everywhere, and quick beside other busy processes.

    Each step is short. On a busy machine of two cores, two threads that wait for one another took
    several times as long as one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(net: FullyConnectedNet, name: str, data: _Data, epochs: int, book: Chapter) -> _Trained:
    with torch.no_grad():
        first_train, first_test = net(data.x_train), net(data.x_test)
    descent = torch.optim.SGD(net.parameters(), lr=_LEARNING_RATE)
    shown = {int(epoch) for epoch in np.geomspace(1, epochs, _POINTS).round()}
    points = []
    started_s = time.perf_counter()
    for epoch in tracked(range(1, epochs + 1), book.progress, f"training {name}"):
        descent.zero_grad()
        _loss(net(data.x_train) - first_train, data.y_train).backward()
        descent.step()
        if epoch in shown:
            with torch.no_grad():
                train = _loss(net(data.x_train) - first_train, data.y_train)
                outputs = net(data.x_test) - first_test
            points.append((epoch, float(train), float(_loss(outputs, data.y_test))))
    seconds = time.perf_counter() - started_s
    at, train_losses, test_losses = np.array(points).T
    curve = LearningCurve(name=name, epochs=at, train=train_losses, test=test_losses)
    return _Trained(curve=curve, accuracy=_accuracy(outputs, data.y_test), seconds=seconds)


def _predict(
    kernel: DotProductKernel, name: str, data: _Data, epochs: NDArray[np.float64]
) -> _Trained:
    """The infinitely wide, centred network under the same gradient descent."""
    x_train, x_test = data.x_train.double(), data.x_test.double()
    flow = GradientFlow(kernel.matrix(x_train), data.y_train.double(), learning_rate=_LEARNING_RATE)
    times = [epoch * _LEARNING_RATE for epoch in epochs]
    train_tno = flow.mean(time=times)
    test_tno = flow.mean(input_matrix(kernel, x_test, x_train, form="normalise"), time=times)
    curve = LearningCurve(
        name=name,
        epochs=epochs,
        train=np.array([float(_loss(outputs, data.y_train)) for outputs in train_tno]),
        test=np.array([float(_loss(outputs, data.y_test)) for outputs in test_tno]),
    )
    return _Trained(curve=curve, accuracy=_accuracy(test_tno[-1], data.y_test))


def _loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """(1/n) Σₙ Σₒ (f − y)²."""
    return (outputs - targets).square().sum(1).mean()


def _accuracy(outputs: Tensor, targets: Tensor) -> float:
    return float((outputs.argmax(1) == targets.argmax(1)).double().mean())
