"""Gradient flow against descent in function space, in parameters, and in a real network."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sestina.core.errors import DtypeError, InvalidValueError, NonFiniteError, ShapeError
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.designs.inverse import design
from sestina.ntk.matrices.curves import input_matrix
from sestina.ntk.nets import FullyConnectedNet
from sestina.ntk.predictions.regression import GradientFlow, flow_rate, max_learning_rate


def random_kernels(seed, num_train=12, num_test=7, rank=30):
    features = np.random.default_rng(seed).normal(size=(num_train + num_test, rank)) / rank**0.5
    kernel = features @ features.T
    return (
        kernel[:num_train, :num_train],
        kernel[num_train:, :num_train],
        kernel[num_train:, num_train:],
    )


def descended(kernel, cross, targets, rate, learning_rate, steps, start_train=0.0, start_test=0.0):
    """Gradient descent in function space, step by step: the slow obvious version."""
    train = np.zeros_like(targets) + start_train
    test = np.zeros((len(cross), *targets.shape[1:])) + start_test
    for _ in range(steps):
        residual = train - targets
        train = train - learning_rate * rate * kernel @ residual
        test = test - learning_rate * rate * cross @ residual
    return train, test


@pytest.mark.parametrize("loss", ["mean", "half-mean", "element-mean", "half-element-mean"])
def test_descent_steps_are_followed_exactly(loss):
    kernel, cross, _ = random_kernels(0)
    targets = np.random.default_rng(1).normal(size=(12, 3))
    rate = flow_rate(loss, 12, 3)
    learning_rate = 0.3 * max_learning_rate(kernel, loss=loss, num_outputs=3)
    flow = GradientFlow(kernel, targets, loss=loss, learning_rate=learning_rate)
    train, test = descended(kernel, cross, targets, rate, learning_rate, 57)
    time = 57 * learning_rate
    np.testing.assert_allclose(flow.mean(time=time), train, atol=1e-12)
    np.testing.assert_allclose(flow.mean(cross, time=time), test, atol=1e-12)


def test_flow_is_the_limit_of_small_steps():
    kernel, cross, _ = random_kernels(2)
    targets = np.random.default_rng(3).normal(size=(12, 2))
    flow = GradientFlow(kernel, targets)
    for steps, tolerance in ((1000, 2e-3), (100_000, 2e-5)):
        _, test = descended(kernel, cross, targets, flow.rate, 5.0 / steps, steps)
        np.testing.assert_allclose(flow.mean(cross, time=5.0), test, atol=tolerance)


def test_the_end_of_training_interpolates_and_matches_the_solved_system():
    kernel, cross, _ = random_kernels(4)
    targets = np.random.default_rng(5).normal(size=12)
    flow = GradientFlow(kernel, targets)
    np.testing.assert_allclose(flow.mean(), targets, atol=1e-9)
    np.testing.assert_allclose(
        flow.mean(cross), cross @ np.linalg.solve(kernel, targets), atol=1e-9
    )
    ridged = GradientFlow(kernel, targets, ridge=0.3).mean(cross)
    solved = np.linalg.solve(kernel + 0.3 * np.eye(12), targets)
    np.testing.assert_allclose(ridged, cross @ solved, atol=1e-12)


def test_ridge_is_weight_decay_towards_the_start():
    rng = np.random.default_rng(6)
    features, targets = rng.normal(size=(8, 20)), rng.normal(size=8)
    weights, ridge = np.zeros(20), 0.7
    flow = GradientFlow(features @ features.T, targets, ridge=ridge, learning_rate=1e-3)
    for _ in range(200):
        gradient = features.T @ (features @ weights - targets) + ridge * weights
        weights -= 1e-3 * flow.rate * gradient
    np.testing.assert_allclose(flow.mean(time=0.2), features @ weights, atol=1e-12)


def test_a_singular_kernel_reaches_the_solution_of_minimal_norm():
    rng = np.random.default_rng(7)
    features, new = rng.normal(size=(10, 4)), rng.normal(size=(3, 4))
    targets = rng.normal(size=10)
    flow = GradientFlow(features @ features.T, targets)
    expected = new @ np.linalg.pinv(features) @ targets
    np.testing.assert_allclose(flow.mean(new @ features.T), expected, atol=1e-10)
    assert np.count_nonzero(flow.eigenvalues) == 4


def test_float32_kernels_do_not_make_their_rounding_a_signal():
    rng = np.random.default_rng(8)
    features = rng.normal(size=(40, 3)).astype(np.float32)
    targets = rng.normal(size=40)
    flow = GradientFlow(features @ features.T, targets)
    assert np.abs(flow.dual()).max() < 10.0


def test_covariance_is_that_of_many_random_linear_networks():
    """f(x) = w·x with w₀ ~ N(0, S): the tangent kernel is x·x', the prior x·S·x'."""
    rng = np.random.default_rng(9)
    train, test = rng.normal(size=(6, 9)), rng.normal(size=(4, 9))
    mixing = rng.normal(size=(9, 9)) / 3
    scale = mixing @ mixing.T
    targets, time = rng.normal(size=6), 0.8
    flow = GradientFlow(train @ train.T, targets, prior=train @ scale @ train.T)
    # Each sample follows the flow from its own start, linear in it: A maps starts to ends.
    starts = rng.normal(size=(200_000, 9)) @ mixing.T
    residual = targets - starts @ train.T
    ends = (
        starts @ test.T
        + (
            np.stack(
                [
                    GradientFlow(train @ train.T, basis).mean(test @ train.T, time=time)
                    for basis in np.eye(6)
                ],
                1,
            )
            @ residual.T
        ).T
    )
    found = flow.covariance(
        test @ train.T, test @ scale @ train.T, test @ scale @ test.T, time=time
    )
    np.testing.assert_allclose(found, np.cov(ends.T), atol=0.05 * found.max())
    mean = flow.mean(test @ train.T, time=time)
    np.testing.assert_allclose(ends.mean(0), mean, atol=0.02 * found.max() ** 0.5)


def test_covariance_starts_at_the_prior_and_vanishes_on_fitted_rows():
    kernel, cross, _ = random_kernels(10)
    prior, prior_cross, prior_test = (0.5 * part for part in random_kernels(11))
    flow = GradientFlow(kernel, np.ones(12), prior=prior)
    np.testing.assert_allclose(flow.covariance(time=0.0), prior, atol=1e-12)
    np.testing.assert_allclose(flow.covariance(), 0.0, atol=1e-9)
    at_start = flow.covariance(cross, prior_cross, prior_test, time=0.0)
    np.testing.assert_allclose(at_start, prior_test, atol=1e-12)
    at_end = flow.covariance(cross, prior_cross, prior_test)
    smoother = cross @ np.linalg.inv(kernel)
    lee = (
        prior_test
        + smoother @ prior @ smoother.T
        - smoother @ prior_cross.T
        - prior_cross @ smoother.T
    )  # Lee et al. 2019, eq. 16
    np.testing.assert_allclose(at_end, lee, atol=1e-8)


@given(st.integers(0, 10_000), st.floats(0.0, 100.0), st.floats(0.0, 100.0))
@settings(max_examples=25)
def test_training_loss_never_rises(seed, time1, time2):
    kernel, _, _ = random_kernels(seed)
    flow = GradientFlow(kernel, np.random.default_rng(seed).normal(size=(12, 2)))
    early, late = sorted((time1, time2))
    assert flow.loss_at(late) <= flow.loss_at(early) * (1 + 1e-12) + 1e-15


def test_times_stack_in_front_and_kinds_come_back():
    kernel, cross, _ = random_kernels(12)
    vector, matrix = np.ones(12), np.ones((12, 2))
    assert GradientFlow(kernel, vector).mean(cross).shape == (7,)
    assert GradientFlow(kernel, matrix).mean(cross, time=[0.0, 1.0, math.inf]).shape == (3, 7, 2)
    tensors = GradientFlow(torch.from_numpy(kernel).float(), torch.ones(12, dtype=torch.int64))
    predicted = tensors.mean(torch.from_numpy(cross).float())
    assert isinstance(predicted, torch.Tensor)
    assert predicted.dtype == torch.float64
    assert GradientFlow(kernel.tolist(), [1.0] * 12).mean(time=0.0).tolist() == [0.0] * 12


def test_losses_are_averaged_as_named():
    kernel, cross, _ = random_kernels(13)
    targets = np.random.default_rng(14).normal(size=(12, 3))
    wanted = np.random.default_rng(15).normal(size=(7, 3))
    flow = GradientFlow(kernel, targets, loss="half-element-mean")
    assert flow.loss_at(0.0) == pytest.approx(0.5 * (targets**2).mean())
    residual = flow.mean(cross, time=2.0) - wanted
    assert flow.loss_at(2.0, cross, wanted) == pytest.approx(0.5 * (residual**2).mean())
    assert GradientFlow(kernel, targets).loss_at(0.0) == pytest.approx((targets**2).sum(1).mean())


def test_descent_above_the_maximal_learning_rate_diverges():
    kernel, cross, _ = random_kernels(16)
    targets = np.random.default_rng(17).normal(size=12)
    largest = max_learning_rate(kernel)
    rate = flow_rate("mean", 12)
    assert largest == pytest.approx(12 / np.linalg.eigvalsh(kernel)[-1])
    below, _ = descended(kernel, cross, targets, rate, 0.99 * largest, 3000)
    above, _ = descended(kernel, cross, targets, rate, 1.01 * largest, 3000)
    assert np.abs(below).max() < 10 < np.abs(above).max()
    with pytest.raises(InvalidValueError, match="diverges"):
        GradientFlow(kernel, targets, learning_rate=1.01 * largest)


def test_a_wide_network_trains_as_forecast():
    """One hidden layer of 4,096 units, 400 steps: 3 % is the bound set for width 8192."""
    rng = np.random.default_rng(18)
    inputs = rng.normal(size=(60, 4))
    inputs *= 2 / np.linalg.norm(inputs, axis=1, keepdims=True)
    x = torch.tensor(inputs)
    y = torch.tensor(np.stack([np.sin(inputs[:, 0]), inputs[:, 1] * inputs[:, 2]], 1))
    net = FullyConnectedNet(
        4, 2, 4096, torch.nn.ReLU(), sigma_w=2**0.5, sigma_b=0.1, seed=0, dtype=torch.float64
    )
    optimiser = torch.optim.SGD(net.parameters(), lr=0.5)
    for _ in range(400):
        optimiser.zero_grad()
        (net(x[:40]) - y[:40]).square().sum(1).mean().backward()
        optimiser.step()
    kernel = FullyConnected(activation="relu", sigma_w=2**0.5, sigma_b=0.1).ntk(x)
    flow = GradientFlow(kernel[:40, :40], y[:40], learning_rate=0.5)
    forecast = flow.mean(kernel[40:, :40], time=200.0)
    difference = (net(x[40:]) - forecast).square().mean().sqrt()
    assert difference < 0.05 * forecast.square().mean().sqrt()


def test_published_test_losses_are_reproduced(shared_data):
    """Wine-quality-red, gradient flow to epoch 1020 at learning rate 0.1: 0.5403 for one layer of
    ReLU and 0.5084 for four; and for the network designed to be like four, the same."""
    folder = shared_data / "ntk" / "uci" / "wine-quality-red"
    table = np.loadtxt(folder / "wine-quality-red_R.dat", skiprows=1)
    targets = np.eye(6)[table[:, -1].astype(int)]
    halves = (folder / "conxuntos.dat").read_text().splitlines()[:2]
    train, test = (np.array(line.split(), dtype=int) for line in halves)
    deep, shallow = (
        FullyConnected(activation="relu", depth=depth, sigma_w=2**0.5, sigma_b=0.1)
        for depth in (4, 1)
    )
    losses = []
    for kernel in (shallow, deep, design(deep.dot_product("ntk")).achieved):
        matrix = input_matrix(kernel, torch.tensor(table[:, 1:-1]), form="normalise").numpy()
        flow = GradientFlow(matrix[np.ix_(train, train)], targets[train])
        losses.append(flow.loss_at(102.0, matrix[np.ix_(test, train)], targets[test]))
    assert losses[0] == pytest.approx(0.5403, abs=1e-4)
    assert losses[1] == pytest.approx(0.5084, abs=1e-4)
    assert losses[2] == pytest.approx(losses[1], abs=1e-4)


class TestBadInput:
    kernel = np.eye(3)

    def test_kernels_must_be_square_and_symmetric(self):
        with pytest.raises(ShapeError, match="square"):
            GradientFlow(np.ones((3, 2)), np.ones(3))
        with pytest.raises(ShapeError):
            GradientFlow(np.ones((0, 0)), np.ones(0))
        with pytest.raises(InvalidValueError, match="transpose"):
            GradientFlow(np.triu(np.ones((3, 3))), np.ones(3))

    def test_kernels_must_be_positive(self):
        with pytest.raises(InvalidValueError, match="smallest eigenvalue is -1"):
            GradientFlow(-self.kernel, np.ones(3))

    def test_shapes_must_match(self):
        with pytest.raises(ShapeError, match="targets"):
            GradientFlow(self.kernel, np.ones(4))
        with pytest.raises(ShapeError, match="kernel_test_train"):
            GradientFlow(self.kernel, np.ones(3)).mean(np.ones((2, 4)))
        with pytest.raises(ShapeError, match="prior"):
            GradientFlow(self.kernel, np.ones(3), prior=np.eye(4))
        flow = GradientFlow(self.kernel, np.ones(3), prior=self.kernel)
        with pytest.raises(ShapeError, match="prior_test"):
            flow.covariance(np.ones((2, 3)), np.ones((2, 3)), np.eye(4))

    def test_numbers_must_be_real_and_finite(self):
        with pytest.raises(NonFiniteError):
            GradientFlow(np.diag([1.0, np.nan]), np.ones(2))
        with pytest.raises(NonFiniteError):
            GradientFlow(self.kernel, np.array([1.0, np.inf, 0.0]))
        with pytest.raises(DtypeError):
            GradientFlow(self.kernel.astype(complex), np.ones(3))
        with pytest.raises(DtypeError):
            GradientFlow(self.kernel, np.array(["a", "b", "c"]))
        with pytest.raises(DtypeError):
            GradientFlow(torch.eye(3, dtype=torch.complex64), torch.ones(3))

    def test_options_must_be_in_range(self):
        flow = GradientFlow(self.kernel, np.ones(3))
        with pytest.raises(InvalidValueError, match="time"):
            flow.mean(time=-1.0)
        with pytest.raises(InvalidValueError, match="time"):
            flow.mean(time=math.nan)
        with pytest.raises(InvalidValueError, match="ridge"):
            GradientFlow(self.kernel, np.ones(3), ridge=-0.1)
        with pytest.raises(InvalidValueError, match="loss"):
            GradientFlow(self.kernel, np.ones(3), loss="huber")
        with pytest.raises(InvalidValueError, match="prior"):
            flow.covariance()
        stepped = GradientFlow(self.kernel, np.ones(3), learning_rate=0.5)
        with pytest.raises(InvalidValueError, match="whole number of steps"):
            stepped.mean(time=0.7)


def test_test_targets_of_another_shape_are_refused():
    kernel, targets = np.eye(4), np.ones((4, 2))
    flow = GradientFlow(kernel, targets)
    cross = np.ones((3, 4))
    assert flow.loss_at(1.0, cross, np.ones((3, 2))) >= 0
    for wrong in (np.ones((2, 3)), np.ones(6), np.ones(3)):
        with pytest.raises(ShapeError, match="targets"):
            flow.loss_at(1.0, cross, wrong)
