"""Posteriors against scikit-learn and against leaving rows out one by one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from sestina.core.errors import InvalidValueError, ShapeError
from sestina.ntk.predictions.posteriors import GaussianProcess, leave_one_out


def problem(seed, num_train=15, num_outputs=2):
    rng = np.random.default_rng(seed)
    train, test = rng.normal(size=(num_train, 3)), rng.normal(size=(6, 3))
    return RBF(1.3), train, test, rng.normal(size=(num_train, num_outputs))


def test_posterior_equals_scikit_learns():
    kernel, train, test, targets = problem(0)
    peer = GaussianProcessRegressor(kernel, alpha=0.1, optimizer=None).fit(train, targets[:, 0])
    ours = GaussianProcess(kernel(train), targets[:, 0], noise=0.1)
    mean, covariance = peer.predict(test, return_cov=True)
    np.testing.assert_allclose(ours.mean(kernel(test, train)), mean, atol=1e-10)
    np.testing.assert_allclose(
        ours.covariance(kernel(test, train), kernel(test)), covariance, atol=1e-10
    )
    assert ours.log_marginal_likelihood() == pytest.approx(peer.log_marginal_likelihood_value_)


def test_outputs_share_the_kernel_and_add_their_likelihoods():
    kernel, train, test, targets = problem(1)
    both = GaussianProcess(kernel(train), targets, noise=0.2)
    each = [GaussianProcess(kernel(train), column, noise=0.2) for column in targets.T]
    np.testing.assert_allclose(
        both.mean(kernel(test, train)),
        np.stack([one.mean(kernel(test, train)) for one in each], 1),
    )
    total = sum(one.log_marginal_likelihood() for one in each)
    assert both.log_marginal_likelihood() == pytest.approx(total)
    np.testing.assert_allclose(both.mean(), kernel(train) @ both.dual)
    assert isinstance(GaussianProcess(torch.eye(3), torch.ones(3)).covariance(), torch.Tensor)


@given(st.integers(0, 10_000), st.floats(1e-4, 10.0))
@settings(max_examples=20)
def test_leave_one_out_equals_leaving_one_out(seed, ridge):
    kernel, train, _, targets = problem(seed, num_train=9)
    found = leave_one_out(kernel(train), targets, ridge=ridge)
    for row in range(9):
        rest = np.delete(np.arange(9), row)
        fitted = GaussianProcess(kernel(train[rest]), targets[rest], noise=ridge)
        expected = fitted.mean(kernel(train[[row]], train[rest]))[0]
        np.testing.assert_allclose(found.predictions[row], expected, atol=1e-8)
    assert found.mse == pytest.approx(np.square(targets - found.predictions).sum(1).mean())


def test_repeated_rows_need_noise_and_the_error_says_how_much():
    kernel = np.ones((4, 4))
    with pytest.raises(InvalidValueError, match="remove repeated rows, or add about"):
        GaussianProcess(kernel, np.ones(4))
    with pytest.raises(InvalidValueError, match="repeated rows"):
        leave_one_out(kernel, np.ones(4))
    assert GaussianProcess(kernel, np.ones(4), jitter=1e-6).mean() == pytest.approx(1.0, abs=1e-6)


def test_bad_shapes_and_options_are_named():
    with pytest.raises(ShapeError, match="kernel_test_train"):
        GaussianProcess(np.eye(3), np.ones(3)).mean(np.ones((2, 2)))
    with pytest.raises(ShapeError, match="kernel_test "):
        GaussianProcess(np.eye(3), np.ones(3)).covariance(np.ones((2, 3)), np.eye(3))
    with pytest.raises(InvalidValueError, match="noise"):
        GaussianProcess(np.eye(3), np.ones(3), noise=-1.0)
    with pytest.raises(InvalidValueError, match="jitter"):
        GaussianProcess(np.eye(3), np.ones(3), jitter=float("nan"))
