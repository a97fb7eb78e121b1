"""Grams on subsets of rows, predictions and losses, against doing it by hand."""

import numpy as np
import pytest
import torch

from sestina.core.errors import InvalidValueError
from sestina.ntk.fitting.choices import Choice, Gram, Inputs, Search
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.matrices.curves import input_matrix

SQUARE = DotProductKernel.from_coefficients([0.0, 0.0, 1.0])
LINEAR = DotProductKernel.from_coefficients([0.0, 1.0])
KERNELS = {"square": SQUARE, "linear": LINEAR}
RADIAL = Inputs("radial", 0.0)
CANDIDATES = (RADIAL, Inputs("normalise", 0.0), Inputs("radial", 1.0))


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
    mean = gram.outputs_no[rest].mean(0)
    shifted = mixed[np.ix_(rest, rest)] + 0.1 * np.eye(20)
    dual = np.linalg.solve(shifted, gram.outputs_no[rest] - mean)
    expected = mixed[np.ix_(some, rest)] @ dual + mean
    np.testing.assert_allclose(gram.predict(choice, rest, some), expected)
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


def search(rows, outputs, members, references, candidates=(RADIAL,)):
    return Search(
        rows_nd=torch.as_tensor(rows),
        outputs_no=outputs,
        task="regression",
        members={name: KERNELS[name] for name in members},
        references={name: KERNELS[name] for name in references},
        candidates=candidates,
        criterion="leave-one-out",
    )


def test_the_right_kernel_is_chosen_and_validated_without_the_fold():
    rows, outputs = data(60)
    asked = search(rows, outputs, ("square", "linear"), ("square",))
    gram = asked.gram(RADIAL)
    choices = asked.choose(gram, np.arange(60))
    assert [choice.name for choice in choices] == ["fitted", "square"]
    assert choices[0].weights["linear"] > 0.9
    folds = np.array_split(np.random.default_rng(1).permutation(60), 4)
    losses = asked.validate(gram, folds)
    assert losses["fitted"][0] < 0.1 < losses["square"][0]
    by_hand = []
    for fold in folds:
        rest = np.setdiff1d(np.arange(60), fold)
        fitted = asked.choose(gram, rest)[0]
        by_hand.append(np.square(gram.predict(fitted, rest, fold) - gram.outputs_no[fold]).sum())
    assert losses["fitted"][0] == pytest.approx(sum(by_hand) / 60)


def test_targets_of_the_fold_do_not_matter_to_its_predictions():
    rows, outputs = data(60)
    outputs = rows[:, :1].numpy() ** 2
    fold, rest = np.arange(10), np.arange(10, 60)
    changed = outputs.copy()
    changed[fold] += 100.0
    predictions = []
    for given in (outputs, changed):
        asked = search(rows, given, ("square", "linear"), ("square",), CANDIDATES)
        gram = asked.gram(asked.best_inputs(rest))
        choice = asked.choose(gram, rest)[0]
        predictions.append(gram.predict(choice, rest, fold) * given.std() + given.mean())
    np.testing.assert_allclose(predictions[0], predictions[1], atol=1e-3)


def test_a_reference_that_does_better_is_taken():
    rows, outputs = data(40)
    asked = search(rows, outputs, ("square",), ("linear",))
    assert asked.choose(asked.gram(RADIAL), np.arange(40))[0].weights == {"linear": 1.0}


def test_inputs_that_suit_the_references_are_chosen():
    half = np.random.default_rng(2).normal(size=(40, 3))
    rows = np.concatenate([half, -half])  # odd functions then have mean 0
    directions = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for expected, outputs in ((RADIAL, rows[:, :1]), (CANDIDATES[1], directions[:, :1])):
        asked = search(rows, outputs, ("square",), ("linear", "square"), CANDIDATES)
        assert asked.best_inputs(np.arange(80)) == expected
        alone = search(rows, outputs, ("square",), ("linear",), (CANDIDATES[2],))
        assert alone.best_inputs(np.arange(80)) == CANDIDATES[2]


def test_constant_outputs_stay_finite_and_empty_rows_are_named():
    rows, outputs = data()
    assert np.isfinite(Gram(rows, 0 * outputs, KERNELS, RADIAL, "regression").outputs_no).all()
    with pytest.raises(InvalidValueError, match="zero in every row"):
        Gram(0 * rows, outputs, KERNELS, RADIAL, "regression")
