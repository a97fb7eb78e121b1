"""Design from data: kernels fitted to six UCI sets against ReLU networks of 1, 2 and 4 layers.

Per fold `fit_kernel` chooses kernel, ridge and inputs from the training rows alone; the ReLU
kernels (σ_w² = 2, σ_b² = 0.01, tangent kernel) get the same inputs and their own ridge by the same
criterion. Then all are trained on the fold's training rows to the end and tested on its test rows:
the share misclassified. A second set of rows fixes the inputs to the plain radial form for all.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from benchmarks.harness import Report, Value, at_most, main
from benchmarks.ntk.uci import FOLDER, NAMES, load_uci
from sestina.ntk.fitting.fits import FitOptions, fit_kernel
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.kernels.targets import parse_target
from sestina.ntk.matrices.curves import input_matrix
from sestina.ntk.predictions.estimators import KernelClassifier

DEPTHS = (1, 2, 4)
CHOICES = {"chosen inputs": FitOptions(), "radial inputs": FitOptions(form="radial", bias=0.0)}
CONSTANT = DotProductKernel.from_coefficients([1.0])


def fold_errors(X, y, train, test, options):
    """Test errors by name, and the seconds of the fit: CPU of this process."""
    began = time.process_time()
    fitted = fit_kernel(X[train], y[train], options)
    seconds = time.process_time() - began
    models = {"fitted": fitted.estimator()}
    form, bias = fitted.inputs
    size = input_matrix(CONSTANT, torch.tensor(X[train]), form=form, bias=bias).diagonal().mean()
    for depth, score in zip(DEPTHS, fitted.scores[1:], strict=True):
        kernel = parse_target(f"relu:depth={depth},sigma_w=sqrt(2),sigma_b=0.1")
        models[f"{depth}-layer ReLU"] = KernelClassifier(
            kernel,
            form=form,
            bias=bias,
            ridge=score.ridge * kernel.total * float(size),
            centre=True,
        )
    errors = {
        name: 1.0 - model.fit(X[train], y[train]).score(X[test], y[test])
        for name, model in models.items()
    }
    return errors, seconds


def bench(report: Report) -> None:
    if not FOLDER.is_dir():
        print(f"no shared data: {FOLDER} does not exist")
        return
    for label, options in CHOICES.items():
        by_set, seconds = {}, {}
        for name in NAMES:
            data = load_uci(name)
            folds = [fold_errors(data.features, data.labels, *fold, options) for fold in data.folds]
            by_set[name] = {
                model: float(np.mean([errors[model] for errors, _ in folds]))
                for model in folds[0][0]
            }
            seconds[name] = max(spent for _, spent in folds)
        means = {
            model: float(np.mean([errors[model] for errors in by_set.values()]))
            for model in by_set["iris"]
        }
        best = min(error for model, error in means.items() if model != "fitted")
        workload = {"sets": NAMES, "folds": 4, "inputs": label}
        report.row(
            what=f"design from data, mean test error over best ReLU's, {label}",
            workload=workload,
            measured=Value(means["fitted"] - best),
            target=at_most(0.002),
            notes={"mean_error": means, "error": by_set},
        )
        report.row(
            what=f"design from data, longest fit of a fold, {label}",
            workload=workload,
            measured=Value(max(seconds.values()), unit="s (CPU)"),
            target=at_most(60.0),
            notes={"seconds": seconds},
        )


if __name__ == "__main__":
    main(bench)
