"""The criteria against the slow versions they stand for, and the search against a grid."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sestina.ntk.fitting.mixtures import (
    _Objective,
    best_mixture,
    best_ridge,
    lower_triangle,
    quality,
)
from sestina.ntk.predictions.posteriors import GaussianProcess, leave_one_out

CRITERIA = ["leave-one-out", "marginal-likelihood"]


def kernels(seed, num_rows=30):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(num_rows, 3))
    distances = np.square(points[:, None] - points[None]).sum(-1)
    matrices = [np.exp(-distances), np.exp(-0.1 * distances), points @ points.T / 3]
    targets = np.stack([np.sin(points[:, 0]), points[:, 1] ** 2 - 1], 1)
    targets += 0.1 * rng.normal(size=targets.shape)
    return np.stack([lower_triangle(matrix) for matrix in matrices]), matrices, targets


@pytest.mark.parametrize("criterion", CRITERIA)
@given(st.integers(0, 1000), st.lists(st.floats(-3, 3), min_size=4, max_size=4))
@settings(max_examples=15)
def test_gradients_equal_differences(criterion, seed, parameters):
    triangles, _, targets = kernels(seed, num_rows=12)
    objective = _Objective(triangles, targets, criterion)
    point = np.array(parameters)
    steps = 1e-5 * np.eye(4)
    differences = [(objective(point + s)[0] - objective(point - s)[0]) / 2e-5 for s in steps]
    np.testing.assert_allclose(objective(point)[1], differences, atol=1e-7, rtol=1e-5)


def test_quality_is_what_posteriors_say():
    triangles, matrices, targets = kernels(0)
    found = quality(triangles[0], targets, 0.2)
    exact = leave_one_out(matrices[0], targets, ridge=0.2)
    np.testing.assert_allclose(found.leave_one_out, exact.predictions, atol=1e-12)
    assert found.leave_one_out_mse == pytest.approx(exact.mse)
    assert found.value("leave-one-out") == pytest.approx(math.log(exact.mse))
    # The likelihood is that at the best amplitude, here by search.
    amplitudes = np.exp(np.linspace(-5, 5, 2001))
    likelihoods = [
        GaussianProcess(a * matrices[0], targets, noise=a * 0.2).log_marginal_likelihood()
        for a in amplitudes
    ]
    best = max(likelihoods) / targets.size
    assert found.log_likelihood == pytest.approx(best, abs=1e-4)
    assert found.value("marginal-likelihood") == -found.log_likelihood


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_best_ridge_is_the_best_of_its_grid(criterion):
    triangles, _, targets = kernels(1)
    chosen = best_ridge(triangles[0], targets, criterion)
    value = quality(triangles[0], targets, chosen).value(criterion)
    for factor in (0.3, 0.6, 1.7, 3.0):
        assert value <= quality(triangles[0], targets, factor * chosen).value(criterion) + 1e-12


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_best_mixture_beats_every_member(criterion):
    triangles, _, targets = kernels(2)
    told = []
    mixture = best_mixture(
        triangles, targets, criterion, progress=lambda done, total, _: told.append((done, total))
    )
    assert mixture.weights.sum() == pytest.approx(1.0)
    assert (mixture.weights >= 0).all()
    value = quality(mixture.weights @ triangles, targets, mixture.ridge).value(criterion)
    for triangle in triangles:
        ridge = best_ridge(triangle, targets, criterion)
        # Even weights are favoured: by 0.03/30 log w for each of three kernels.
        assert value <= quality(triangle, targets, ridge).value(criterion) + 0.01
    assert told[0] == (0, 60)
    assert told[-1] == (60, 60)


def test_the_targets_scale_does_not_matter():
    triangles, _, targets = kernels(3)
    once = best_mixture(triangles, targets)
    scaled = best_mixture(triangles, 1e3 * targets)
    np.testing.assert_allclose(once.weights, scaled.weights, atol=0.01)


def test_singular_kernels_are_survived():
    constant = lower_triangle(np.ones((10, 10)))
    targets = np.random.default_rng(4).normal(size=(10, 1))
    mixture = best_mixture(np.stack([constant, constant]), targets)
    assert np.isfinite(mixture.weights).all()
    assert mixture.ridge > 0
