"""Grams on subsets of rows, predictions and losses, against doing it by hand."""

import numpy as np
import pytest
import torch

from sestina.core.errors import InvalidValueError
from sestina.core.progress import silent
from sestina.ntk.choices import Choice, Gram, Inputs, best_inputs, choose, validate
from sestina.ntk.curves import input_matrix
from sestina.ntk.kernels import DotProductKernel

SQUARE = DotProductKernel.from_coefficients([0.0, 0.0, 1.0])
LINEAR = DotProductKernel.from_coefficients([0.0, 1.0])
KERNELS = {"square": SQUARE, "linear": LINEAR}
RADIAL = Inputs("radial", 0.0)


def data(num_rows=24):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(num_rows, 3))
    return torch.tensor(rows), (rows[:, :1] + 0.1 * rng.normal(size=(num_rows, 1)))


def test_subsets_and_mixtures_are_those_of_the_matrices():
    rows, outputs = data()
    gram = Gram(rows, outputs, KERNELS, RADIAL, "regression")
    matrices = [input_matrix(kernel, rows).numpy() / gram.scale for kernel in KERNELS.values()]
    some = np.array([3, 17, 5, 9])
    choice = Choice(name="mix", weights={"square": 0.25, "linear": 0.75}, ridge=0.1)
    mixed = 0.25 * matrices[0] + 0.75 * matrices[1]
    lower = np.tril_indices(4)
    np.testing.assert_allclose(gram.mixture(choice, some), mixed[np.ix_(some, some)][lower])
    found = gram.triangles(("linear",), some)[0]
    np.testing.assert_allclose(found, matrices[1][np.ix_(some, some)][lower])
    rest = np.setdiff1d(np.arange(24), some)
    dual = np.linalg.solve(mixed[np.ix_(rest, rest)] + 0.1 * np.eye(20), gram.outputs_no[rest])
    np.testing.assert_allclose(gram.predict(choice, rest, some), mixed[np.ix_(some, rest)] @ dual)
    assert float(matrices[1].diagonal().mean()) == pytest.approx(1.0)


def test_losses_are_relative_to_the_mean_and_count_classes():
    rows, _ = data()
    labels = np.eye(2)[np.r_[np.zeros(18, int), np.ones(6, int)]]
    gram = Gram(rows, labels, KERNELS, RADIAL, "classification")
    everything = np.arange(24)
    assert gram.losses(np.zeros((24, 2)), everything) == (pytest.approx(1.0), pytest.approx(0.25))
    assert gram.losses(gram.outputs_no, everything) == (0.0, 0.0)
    regression = Gram(rows, labels[:, :1], KERNELS, RADIAL, "regression")
    assert regression.losses(np.zeros((24, 1)), everything) == (pytest.approx(1.0), None)


def test_weights_that_do_not_count_are_dropped():
    choice = Choice(name="x", weights={"a": 0.2, "b": 1e-6, "c": 0.6}, ridge=1.0)
    assert choice.kept == {"c": pytest.approx(0.75), "a": pytest.approx(0.25)}
    assert next(iter(choice.kept)) == "c"


def test_the_right_kernel_is_chosen_and_validated_without_the_fold():
    rows, outputs = data(60)
    gram = Gram(rows, outputs, KERNELS, RADIAL, "regression")
    names = (("square", "linear"), ("square",))
    choices = choose(gram, np.arange(60), names, "leave-one-out", silent)
    assert [choice.name for choice in choices] == ["fitted", "square"]
    assert choices[0].weights["linear"] > 0.99
    folds = np.array_split(np.random.default_rng(1).permutation(60), 4)
    losses = validate(gram, names, "leave-one-out", folds, silent)
    assert losses["fitted"][0] < 0.1 < losses["square"][0]
    by_hand = []
    for fold in folds:
        rest = np.setdiff1d(np.arange(60), fold)
        fitted = choose(gram, rest, names, "leave-one-out", silent)[0]
        by_hand.append(np.square(gram.predict(fitted, rest, fold) - gram.outputs_no[fold]).sum())
    assert losses["fitted"][0] == pytest.approx(sum(by_hand) / 60)


def test_a_reference_that_does_better_is_taken():
    rows, outputs = data(40)
    gram = Gram(rows, outputs, KERNELS, RADIAL, "regression")
    fitted = choose(gram, np.arange(40), (("square",), ("linear",)), "leave-one-out", silent)[0]
    assert fitted.weights == {"linear": 1.0}


def test_inputs_that_suit_the_references_are_chosen():
    half = np.random.default_rng(2).normal(size=(40, 3))
    rows = np.concatenate([half, -half])  # odd functions then have mean 0
    directions = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    kernels = {"linear": LINEAR, "mixed": LINEAR + SQUARE}
    candidates = [RADIAL, Inputs("normalise", 0.0), Inputs("radial", 1.0)]
    cases = {candidates[0]: rows[:, :1], candidates[1]: directions[:, :1]}
    for expected, outputs in cases.items():
        args = (torch.tensor(rows), outputs, kernels)
        assert best_inputs(*args, candidates, "regression", "leave-one-out") == expected
        assert best_inputs(*args, [RADIAL], "regression", "leave-one-out") == RADIAL


def test_constant_targets_and_empty_rows_are_named():
    rows, outputs = data()
    with pytest.raises(InvalidValueError, match="at least two values"):
        Gram(rows, 0 * outputs, KERNELS, RADIAL, "regression")
    with pytest.raises(InvalidValueError, match="zero in every row"):
        Gram(0 * rows, outputs, KERNELS, RADIAL, "regression")
