"""Empirical NTK: structured against torch.func and neural-tangents, and its error.

The limit of a row is its products' FLOP at the speed of one large product, plus writing the result
to fresh memory, both measured in the same run. Our result is a view: the matrix (n⋅o, n⋅o) is free,
and (n, n, o, o) in one piece would take one more copy; the peers' results are the other way round.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import (
    Report,
    Value,
    Worker,
    alternate,
    at_least,
    at_most,
    bench_python,
    main,
    repeat,
)
from sestina.ntk.empirical import empirical_ntk
from sestina.ntk.nets import FullyConnectedNet
from sestina.tensors.products import product

Workload = Mapping[str, Any]
HERE = "benchmarks.ntk.bench_empirical"
SMALL = {"n": 128, "d": 100, "width": 512, "depth": 3, "d_out": 10, "dtype": "float32"}
LARGE = {"n": 512, "d": 784, "width": 1024, "depth": 2, "d_out": 10, "dtype": "float32"}
ONE_OUTPUT = SMALL | {"d_out": 1}
CONVOLUTION = {"n": 64, "channels": 16, "side": 12, "d_out": 10, "dtype": "float32"}


def structured(workload: Workload) -> Callable[[], None]:
    net = fully_connected_net(workload)
    x = torch.randn(workload["n"], workload["d"])

    def run() -> None:
        empirical_ntk(net, x, method="structured")

    return run


def contraction(workload: Workload) -> Callable[[], None]:
    net, x = convolutional_network(workload)

    def run() -> None:
        empirical_ntk(net, x, method="contraction")

    return run


def machine(workload: Workload) -> Callable[[], dict[str, float]]:
    """The speed of one large product, and of writing to fresh memory."""
    torch.set_num_threads(1)
    a_mk, b_nk = torch.randn(640, workload["width"]), torch.randn(640, workload["width"])

    def run() -> dict[str, float]:
        start = time.process_time()
        for _ in range(20):
            product(a_mk, b_nk)
        middle = time.process_time()
        torch.empty(1 << 25).fill_(1.0)
        end = time.process_time()
        flop = 20 * 2 * a_mk.numel() * len(b_nk)
        return {"flop_per_s": flop / (middle - start), "bytes_per_s": (1 << 27) / (end - middle)}

    return run


def fully_connected_net(workload: Workload) -> FullyConnectedNet:
    return FullyConnectedNet(
        workload["d"],
        workload["d_out"],
        workload["width"],
        nn.ReLU(),
        depth=workload["depth"],
        sigma_w=2**0.5,
        sigma_b=0.1,
    )


def convolutional_network(workload: Workload) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    channels, side = workload["channels"], workload["side"]
    module = nn.Sequential(
        nn.Conv2d(3, channels, 3),
        nn.ReLU(),
        nn.Conv2d(channels, 2 * channels, 3),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * channels * ((side - 4) // 2) ** 2, workload["d_out"]),
    )
    return module, torch.randn(workload["n"], 3, side, side)


def structured_flop(workload: Workload) -> float:
    """Two per multiply-add, of what a symmetric kernel needs; see `empirical.structured`."""
    n, d, w, o = (workload[name] for name in ("n", "d", "width", "d_out"))
    inner = workload["depth"] - 1
    forward = 2 * n * (d * w + inner * w * w + w * o)
    grams = n * n * (d + (inner + 1) * w)
    pairs = n * n * w * o * (o + 1) // 2
    betas = inner * (2 * n * o * w * w + n * n * o * o * w)
    return float(forward + grams + pairs + betas)


def limit_s(workload: Workload, speeds: Mapping[str, float]) -> float:
    result_bytes: float = 4 * (workload["n"] * workload["d_out"]) ** 2
    return structured_flop(workload) / speeds["flop_per_s"] + result_bytes / speeds["bytes_per_s"]


def measured_speeds(workload: Workload) -> dict[str, float]:
    with Worker(f"{HERE}:machine", workload) as worker:
        runs = [dict(sample.extra) for sample in repeat(worker, runs=7).ours]
    return {
        name: sorted(run[name] for run in runs)[len(runs) // 2]
        for name in ("flop_per_s", "bytes_per_s")
    }


def full_jacobian_kernel(module: nn.Module, x: Tensor) -> Tensor:
    """In float64, by plain autograd, one sample and output at a time."""
    exact = copy.deepcopy(module).double()
    parameters = [p for p in exact.parameters() if p.numel()]
    rows = []
    for sample in x.double():
        for output in exact(sample[None]).flatten():
            gradients = torch.autograd.grad(output, parameters, retain_graph=True)
            rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
    jacobian = torch.stack(rows).unflatten(0, (len(x), -1))
    return torch.einsum("nop,mqp->nmoq", jacobian, jacobian)


class Tied(nn.Module):
    """One weight, used there and back."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(30, 30)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.inner(torch.relu(self.inner(x)))) @ self.inner.weight


def modules() -> dict[str, tuple[nn.Module, Tensor]]:
    torch.manual_seed(0)
    normalised = nn.Sequential(nn.Linear(30, 60), nn.BatchNorm1d(60), nn.ReLU(), nn.Linear(60, 10))
    normalised(torch.randn(200, 30))
    convolutional, images = convolutional_network(CONVOLUTION | {"n": 12, "channels": 4})
    x = torch.randn(12, 30)
    return {
        "MLP": (fully_connected_net({"d": 30, "d_out": 10, "width": 200, "depth": 3}), x),
        "convolution": (convolutional, images),
        "LayerNorm": (
            nn.Sequential(nn.Linear(30, 60), nn.LayerNorm(60), nn.GELU(), nn.Linear(60, 10)),
            x,
        ),
        "tied weights": (Tied(), x),
        "evaluated BatchNorm": (normalised.eval(), x),
    }


def bench_peers(report: Report) -> None:
    peers = "benchmarks.ntk.peers"
    func = f"{peers}.torch_func_empirical:contraction", None
    tangents = f"{peers}.neural_tangents_empirical:structured", bench_python("ntk")
    for against, workload, (peer, python), pairs, target in (
        # Its Jacobians take 3 GB and a run 20 s, so 5 pairs.
        ("torch.func contraction, 10 outputs", SMALL, func, 5, at_least(70, of="ratio")),
        ("torch.func contraction, 1 output", ONE_OUTPUT, func, 20, None),
        ("neural-tangents structured", LARGE, tangents, 20, at_least(1.2, of="ratio_low")),
        ("neural-tangents structured, small", SMALL, tangents, 20, None),
    ):
        speeds = measured_speeds(workload)
        with (
            Worker(f"{HERE}:structured", workload) as mine,
            Worker(peer, workload, python=python) as theirs,
        ):
            measured = alternate(mine, theirs, pairs=pairs, warmup=1)
        report.row(
            what=f"empirical NTK, fully connected, against {against}",
            workload=workload,
            measured=measured,
            limit=limit_s(workload, speeds),
            target=target,
            notes={"flop": structured_flop(workload), **speeds},
        )


def bench_convolution(report: Report) -> None:
    with (
        Worker(f"{HERE}:contraction", CONVOLUTION) as mine,
        Worker("benchmarks.ntk.peers.torch_func_empirical:convolution", CONVOLUTION) as theirs,
    ):
        measured = alternate(mine, theirs)
    report.row(
        what="empirical NTK, convolutional, against torch.func contraction",
        workload=CONVOLUTION,
        measured=measured,
    )


def bench_errors(report: Report) -> None:
    for name, (module, x) in modules().items():
        exact = full_jacobian_kernel(module, x)
        error = (empirical_ntk(module, x) - exact).abs().max() / exact.abs().max()
        report.row(
            what=f"empirical NTK, {name}, largest error ÷ largest entry",
            workload={"module": name, "n": len(x), "dtype": "float32"},
            measured=Value(float(error)),
            target=at_most(1e-5),
        )


def bench(report: Report) -> None:
    bench_peers(report)
    bench_convolution(report)
    bench_errors(report)


if __name__ == "__main__":
    main(bench)
