"""Mimic, finite width: one hidden layer trained beside a real 4-layer ReLU network, seed by seed.

Wine-quality-red, width 4096, 1,021 epochs, the authors' protocol (`mimic_training`). Each network
is trained from twenty seeds; what counts is the difference to the 4-layer network of the same
seed. A 4-layer run costs half an hour on two cores and seconds on a GPU, which is taken if there is
one; finished runs are kept.
"""

from __future__ import annotations

import math
import statistics
import sys
from dataclasses import asdict
from functools import partial
from typing import Any

from scipy.stats import t as student

from benchmarks.harness import Report, Resumable, Value, main
from benchmarks.ntk import mimic_training
from benchmarks.ntk.paper import paper_activation
from benchmarks.workers import ROOT
from sestina import ntk
from sestina.ntk.nets import FullyConnectedNet

LONG = True

SEEDS = range(20)
NAMES = ("design", "paper", "relu-1", "relu-4")
WIDTH = 4096
DATA = ROOT.parent / "shared" / "data" / "ntk" / "uci" / "wine-quality-red"


def network(name: str, seed: int) -> FullyConnectedNet:
    """A fresh network of the experiment."""
    if name == "paper":
        return ntk.FullyConnected(activation=paper_activation()).module(11, 6, WIDTH, seed)
    depth = 1 if name == "relu-1" else 4
    relu = ntk.FullyConnected(activation="relu", depth=depth, sigma_w=math.sqrt(2), sigma_b=0.1)
    if name == "design":
        return ntk.design(relu.dot_product("ntk")).module(11, 6, WIDTH, seed)
    return relu.module(11, 6, WIDTH, seed)


def bench(report: Report) -> None:
    """One row for each network's difference to the 4-layer one."""
    protocol: dict[str, Any] = {
        "data": "wine-quality-red, 800/799",
        "width": WIDTH,
        "epochs": mimic_training.EPOCHS,
        "learning_rate": mimic_training.LEARNING_RATE,
    }
    kept = Resumable("bench_mimic_training", protocol)
    split = mimic_training.wine_split(DATA)

    def run(name: str, seed: int) -> dict[str, Any]:
        net = network(name, seed)
        runs = mimic_training.train(name, net, seed, split, progress=_draw)
        return {str(run.epoch): asdict(run) for run in runs}

    results: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    for seed in SEEDS:
        for name in NAMES:
            results[name].append(kept.get(f"{name}/{seed}", partial(run, name, seed)))
    deep = results["relu-4"]
    for name in ("design", "paper", "relu-1"):
        for epoch in map(str, mimic_training.RECORDED_EPOCHS):
            pairs = zip(results[name], deep, strict=True)
            differences = [a[epoch]["test_loss"] - b[epoch]["test_loss"] for a, b in pairs]
            report.row(
                what=f"mimic, width {WIDTH}, epoch {epoch}: test loss of {name} minus relu-4",
                workload=protocol | {"seeds": list(SEEDS)},
                measured=interval(differences),
                notes={
                    "spread": "95 % interval of the mean over seeds (Student's t)",
                    "parameters, relu-4 over this": deep[0][epoch]["num_parameters"]
                    / results[name][0][epoch]["num_parameters"],
                    "commits of the runs": sorted(kept.commits),
                    "devices": sorted({run[epoch]["device"] for run in results[name] + deep}),
                    **_means(name, results[name], epoch),
                    **_means("relu-4", deep, epoch),
                },
            )


def interval(differences: list[float]) -> Value:
    """The mean with its 95 % interval over seeds."""
    count = len(differences)
    mean, error = statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(count)
    reach = float(student.ppf(0.975, count - 1)) * error
    return Value(mean, spread=(mean - reach, mean + reach), runs=count)


def _means(name: str, runs: list[dict[str, Any]], epoch: str) -> dict[str, float]:
    fields = ("train_loss", "test_loss", "test_accuracy", "seconds")
    return {
        f"{name} {field}": statistics.fmean(run[epoch][field] for run in runs) for field in fields
    }


def _draw(done: int, total: int, label: str) -> None:
    if done % 100 == 0:
        print(f"{label}: epoch {done} of {total}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(bench)
