"""Estimators: scikit-learn's own contract, and what wide networks must predict."""

import math

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, WhiteKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from sestina.core.errors import InvalidValueError, OffSphereError, UnknownNameError
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.designs.inverse import design
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.kernels.targets import parse_target
from sestina.ntk.matrices.curves import input_matrix
from sestina.ntk.predictions.estimators import (
    KernelClassifier,
    KernelRegressor,
    NetworkKernel,
    resolve_kernel,
)
from sestina.ntk.predictions.regression import GradientFlow

RELU = "relu:depth=2,sigma_w=sqrt(2),sigma_b=0.1"


@parametrize_with_checks(
    [
        KernelRegressor(),
        KernelRegressor("erf:depth=1", ridge=0.1, time=100.0, bias=1.0, centre=True),
        KernelClassifier(),
    ]
)
def test_scikit_learns_contract_holds(estimator, check):
    check(estimator)


def data(seed=0, num_rows=40):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(num_rows, 5))
    return X, np.stack([X[:, 0] * X[:, 1], np.sin(X[:, 2])], 1)


def test_regression_to_the_end_is_kernel_ridge_regression():
    X, y = data()
    matrix = input_matrix(parse_target(RELU), torch.tensor(X)).numpy()
    peer = KernelRidge(alpha=0.3, kernel="precomputed").fit(matrix[:30, :30], y[:30])
    ours = KernelRegressor(RELU, ridge=0.3).fit(X[:30], y[:30])
    np.testing.assert_allclose(ours.predict(X[30:]), peer.predict(matrix[30:, :30]), atol=1e-9)


def test_regression_at_a_time_is_gradient_flow():
    X, y = data(1)
    matrix = input_matrix(parse_target(RELU), torch.tensor(X)).numpy()
    flow = GradientFlow(matrix[:30, :30], y[:30], ridge=0.1)
    ours = KernelRegressor(RELU, ridge=0.1, time=7.0).fit(X[:30], y[:30])
    np.testing.assert_allclose(ours.predict(X[30:]), flow.mean(matrix[30:, :30], time=7.0))


def test_one_kernel_may_be_given_in_four_ways():
    X, y = data(2)
    network = FullyConnected(activation="relu", depth=2, sigma_w=2**0.5, sigma_b=0.1)
    designed = design(network.dot_product("ntk"))
    predictions = [
        KernelRegressor(kernel, ridge=0.1).fit(X, y).predict(X[:5] + 0.1)
        for kernel in (RELU, network, network.dot_product("ntk"), designed)
    ]
    np.testing.assert_allclose(predictions[0], predictions[1], rtol=1e-12)
    np.testing.assert_allclose(predictions[0], predictions[2], rtol=1e-12)
    np.testing.assert_allclose(predictions[0], predictions[3], atol=1e-3)


def test_the_network_form_uses_norms_and_biases():
    X, y = data(3)
    network = FullyConnected(activation="erf", sigma_b=0.5)
    matrix = network.ntk(torch.tensor(X)).numpy()
    ours = KernelRegressor(network, form="network", ridge=0.2).fit(X[:30], y[:30])
    expected = matrix[30:, :30] @ np.linalg.solve(matrix[:30, :30] + 0.2 * np.eye(30), y[:30])
    np.testing.assert_allclose(ours.predict(X[30:]), expected, atol=1e-9)
    nngp = KernelRegressor(network, form="network", kind="nngp").fit(X, y)
    assert not np.allclose(nngp.predict(X), ours.predict(X))
    with pytest.raises(InvalidValueError, match="FullyConnected"):
        KernelRegressor("relu", form="network").fit(X, y)


def test_without_ridge_repeated_rows_are_averaged():
    X, y = data(4)
    twice = KernelRegressor(RELU, ridge=0.0).fit(np.r_[X, X], np.r_[y, y + 1.0])
    np.testing.assert_allclose(twice.predict(X), y + 0.5, atol=1e-6)


def test_rows_of_zeros_are_predicted_zero_or_the_offset():
    X, y = data(5)
    zeros = np.zeros((1, 5))
    assert KernelRegressor().fit(X, y).predict(zeros).tolist() == [[0.0, 0.0]]
    centred = KernelRegressor(centre=True).fit(X, y)
    np.testing.assert_allclose(centred.predict(zeros)[0], y.mean(0))
    directions = KernelRegressor(form="normalise").fit(X, y)
    assert directions.predict(zeros).tolist() == [[0.0, 0.0]]


def test_a_bias_lets_a_radial_kernel_learn_a_constant():
    X, _ = data(6)
    constant = np.ones(40)
    X[0] = 0.0
    with_bias = KernelRegressor(bias=1.0, ridge=1e-6).fit(X[1:], constant[1:])
    assert with_bias.predict(X[:1])[0] == pytest.approx(1.0, abs=0.05)


def test_the_strict_form_refuses_inputs_off_the_sphere():
    X, y = data(7)
    with pytest.raises(OffSphereError):
        KernelRegressor(form="strict").fit(X, y)
    X *= math.sqrt(5) / np.linalg.norm(X, axis=1, keepdims=True)
    assert KernelRegressor(form="strict").fit(X, y).score(X, y) > 0.9


def test_pipelines_and_grids_work_as_usual():
    X, y = load_diabetes(return_X_y=True)
    model = make_pipeline(StandardScaler(), KernelRegressor("relu", centre=True))
    grid = GridSearchCV(model, {"kernelregressor__ridge": [0.1, 10.0]}, cv=3).fit(X, y)
    assert grid.best_score_ > 0.4


def test_classes_of_any_label_are_predicted():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = KernelClassifier(bias=1.0, centre=True).fit(X[::2], names[::2])
    assert model.score(X[1::2], names[1::2]) > 0.93
    assert model.decision_function(X[:4]).shape == (4, 3)
    two = KernelClassifier().fit(X[:100], names[:100])
    assert two.decision_function(X[:4]).shape == (4,)
    with pytest.raises(InvalidValueError, match="at least two classes"):
        KernelClassifier().fit(X[:50], names[:50])


def test_unknown_kernels_are_named():
    with pytest.raises(UnknownNameError, match="relu"):
        resolve_kernel("reluu:depth=2")
    with pytest.raises(InvalidValueError, match="DotProductKernel"):
        resolve_kernel(3.0)


class TestNetworkKernel:
    @pytest.mark.parametrize("kind", ["nngp", "ntk"])
    @pytest.mark.parametrize("activation", ["relu", "erf", "gelu"])
    def test_gradients_equal_differences(self, kind, activation):
        X, _ = data(8, num_rows=7)
        kernel = NetworkKernel(activation, depth=2, sigma_w=1.3, sigma_b=0.4, kind=kind)
        matrix, gradient = kernel(X, eval_gradient=True)
        np.testing.assert_allclose(matrix, kernel(X), rtol=1e-10)
        np.testing.assert_allclose(np.diag(matrix), kernel.diag(X), rtol=1e-12)
        np.testing.assert_allclose(matrix, kernel(X, X), rtol=1e-6)
        assert gradient.shape == (7, 7, 2)
        step = 1e-5
        for axis, name in enumerate(["sigma_b", "sigma_w"]):
            value = getattr(kernel, name)
            up, down = (
                clone(kernel).set_params(**{name: value * math.exp(sign * step)})(X)
                for sign in (1, -1)
            )
            # Steps of 1e-5 leave 1e-10 of truncation and 1e-11 of rounding, relative.
            np.testing.assert_allclose(
                gradient[..., axis], (up - down) / (2 * step), atol=1e-7 * np.abs(matrix).max()
            )

    def test_hyperparameters_are_listed_in_scikit_learns_order(self):
        kernel = NetworkKernel(sigma_w=2.0, sigma_b=0.5)
        assert [each.name for each in kernel.hyperparameters] == ["sigma_b", "sigma_w"]
        np.testing.assert_allclose(np.exp(kernel.theta), [0.5, 2.0])
        assert clone(kernel) == kernel
        assert kernel.clone_with_theta(np.log([0.25, 3.0])).sigma_w == pytest.approx(3.0)
        assert not kernel.is_stationary()
        assert "sigma_w=2" in repr(kernel)

    def test_zero_and_fixed_scales_are_not_tuned(self):
        X, _ = data(9)
        assert len(NetworkKernel(sigma_b=0.0).theta) == 1
        fixed = NetworkKernel(sigma_w_bounds="fixed")
        assert fixed(X, eval_gradient=True)[1].shape == (40, 40, 0)
        with pytest.raises(InvalidValueError, match="eval_gradient"):
            fixed(X, X, eval_gradient=True)

    def test_a_gaussian_process_tunes_the_scales(self):
        rng = np.random.default_rng(10)
        X = rng.uniform(-2, 2, size=(40, 1))
        y = np.sin(2 * X[:, 0]) + 0.05 * rng.normal(size=40)
        kernel = ConstantKernel(1.0) * NetworkKernel("erf", depth=2, sigma_b=1.0)
        start = kernel + WhiteKernel(0.01)
        process = GaussianProcessRegressor(start).fit(X, y)
        untuned = GaussianProcessRegressor(start, optimizer=None).fit(X, y)
        gained = process.log_marginal_likelihood_value_ - untuned.log_marginal_likelihood_value_
        assert gained > 5.0
        grid = np.linspace(-1.8, 1.8, 50)[:, None]
        mean, spread = process.predict(grid, return_std=True)
        assert np.abs(mean - np.sin(2 * grid[:, 0])).max() < 0.15
        assert (spread > 0).all()

    def test_a_support_vector_machine_takes_it_as_a_callable_or_a_matrix(self):
        X, y = load_iris(return_X_y=True)
        kernel = NetworkKernel("relu", depth=3, sigma_w=2**0.5, sigma_b=0.3, kind="ntk")
        called = SVC(kernel=kernel).fit(X[::2], y[::2])
        assert called.score(X[1::2], y[1::2]) > 0.93
        computed = SVC(kernel="precomputed").fit(kernel(X[::2]), y[::2])
        np.testing.assert_array_equal(
            computed.predict(kernel(X[1::2], X[::2])), called.predict(X[1::2])
        )


def test_callables_without_names_are_kernels_too():
    X, y = data(11)
    sharp = DotProductKernel(lambda c: np.exp(8 * (c - 1)))
    assert KernelRegressor(sharp, ridge=1e-6).fit(X, y).score(X, y) > 0.999
