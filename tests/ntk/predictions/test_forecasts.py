"""Forecasts against kernel regression as it turns out, on bits, on the sphere and on real data.

Stated accuracy: 6 % on functions of 9 bits, 12 % on real rows up to half of them; measurements
here have standard errors of 1 to 3 %.
"""

from itertools import product

import numpy as np
import pytest
import torch

from sestina.core.errors import InvalidValueError, NonFiniteError, ShapeError
from sestina.ntk.datasets import shipped_table
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.kernels.spectra import hypercube_spectrum, sphere_spectrum
from sestina.ntk.kernels.targets import parse_target
from sestina.ntk.matrices.curves import input_matrix
from sestina.ntk.predictions.forecasts import forecast, forecast_from_data

DEEP_RELU = "relu:depth=4,sigma_w=sqrt(2),sigma_b=0.1"


def measured(kernel, targets, size, ridge, repeats, seed=0):
    """Mean test and train error of kernel ridge regression on random rows, tested on the others."""
    rng = np.random.default_rng(seed)
    errors = []
    for _ in range(repeats):
        order = rng.permutation(len(kernel))
        train, test = order[:size], order[size:]
        dual = np.linalg.solve(kernel[np.ix_(train, train)] + ridge * np.eye(size), targets[train])
        predicted = [kernel[np.ix_(rows, train)] @ dual for rows in (test, train)]
        errors.append(
            [
                np.square(part - targets[rows]).reshape(len(rows), -1).sum(1).mean()
                for part, rows in zip(predicted, (test, train), strict=True)
            ]
        )
    return np.mean(errors, 0)


@pytest.fixture(scope="module")
def nine_bits():
    points = np.array(list(product((1.0, -1.0), repeat=9)))
    kernel = parse_target(DEEP_RELU)
    return kernel, points, kernel(np.clip(points @ points.T / 9, -1, 1))


@pytest.mark.parametrize("size", [32, 128, 400])
@pytest.mark.parametrize("ridge", [0.0, 3.0])
def test_errors_on_bits_are_forecast(nine_bits, size, ridge):
    kernel, points, matrix = nine_bits
    low = (points[:, 0] + points[:, 0] * points[:, 1] + points[:, 1:4].prod(1)) / 3**0.5
    spectrum = hypercube_spectrum(kernel, 9)
    for target, power in ((low, [0, 1 / 3, 1 / 3, 1 / 3]), (points.prod(1), [0] * 9 + [1])):
        test, train = measured(matrix, target, size, ridge, repeats=30)
        ours = forecast(spectrum, power, size, ridge=ridge)
        assert ours.test_mse == pytest.approx(test, rel=0.06)
        assert ours.train_mse == pytest.approx(train, rel=0.08, abs=1e-9)


def test_noise_on_bits_is_forecast(nine_bits):
    kernel, points, matrix = nine_bits
    rng, errors = np.random.default_rng(1), []
    for seed in range(20):
        noisy = points[:, 0] + 0.5 * rng.normal(size=512)
        errors.append(measured(matrix, noisy, 200, 1.0, repeats=2, seed=seed)[0])
    ours = forecast(hypercube_spectrum(kernel, 9), [0, 1], 200, ridge=1.0, noise=0.25)
    assert ours.test_mse == pytest.approx(np.mean(errors), rel=0.06)


def test_errors_on_the_sphere_are_forecast():
    kernel, dimension, size = parse_target("relu:depth=1"), 10, 200
    spectrum = sphere_spectrum(kernel, dimension, max_degree=12)
    rng = np.random.default_rng(2)
    errors = []
    for _ in range(20):
        points = rng.normal(size=(size + 400, dimension))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        # Degrees 1 and 2, each with mean square ½ on the sphere.
        targets = (dimension / 2) ** 0.5 * points[:, 0]
        targets += (dimension * (dimension + 2) / 2) ** 0.5 * points[:, 0] * points[:, 1]
        targets += 0.3 * rng.normal(size=len(targets))
        matrix = kernel(np.clip(points @ points[:size].T, -1, 1))
        dual = np.linalg.solve(matrix[:size] + 0.05 * np.eye(size), targets[:size])
        errors.append(np.square(matrix[size:] @ dual - targets[size:]).mean())
    ours = forecast(spectrum, [0, 0.5, 0.5], size, ridge=0.05, noise=0.09)
    assert ours.test_mse == pytest.approx(np.mean(errors), rel=0.06)


def test_learning_parity_is_hopeless_for_every_dot_product_kernel(nine_bits):
    kernel, _, _ = nine_bits
    ours = forecast(hypercube_spectrum(kernel, 9), [0] * 9 + [1], 256)
    assert ours.test_mse > 1.0
    assert ours.learnabilities[1] > 0.95
    assert ours.learnabilities[9] == ours.learnabilities[1::2].min()
    assert ours.overfitting > 1.0


def test_the_published_parity_error_is_forecast():
    """Ridgeless regression on 1,024 of 2,048 inputs of 11 bits with the tangent kernel of 4 layers
    of ReLU has a mean squared error of 2.07 (one split)."""
    spectrum = hypercube_spectrum(parse_target(DEEP_RELU), 11)
    ours = forecast(spectrum, [0.0] * 11 + [1.0], 1024)
    assert ours.test_mse == pytest.approx(2.07, rel=0.05)


def test_more_samples_than_eigenfunctions_leave_nothing_to_learn():
    spectrum = hypercube_spectrum(DotProductKernel.from_coefficients([0.0, 1.0]), 6)
    ours = forecast(spectrum, [0.0, 1.0], 10)
    assert ours.test_mse == 0.0
    assert ours.kappa == 0.0


class TestData:
    @pytest.mark.parametrize(
        ("name", "tolerance"), [("wine", 0.12), ("breast_cancer", 0.12), ("diabetes", 0.12)]
    )
    def test_learning_curves_of_real_rows_are_forecast(self, name, tolerance):
        table = shipped_table(name)
        targets = table.outputs - table.outputs.mean(0)
        kernel = self.kernel(table)
        sizes = [len(kernel) // 4, len(kernel) // 2]
        for ridge in (0.1, 1.0):
            curve = forecast_from_data(kernel, targets, sizes, ridge=ridge)
            for size, error in zip(sizes, curve.test_mse, strict=True):
                test, _ = measured(kernel, targets, size, ridge, repeats=30)
                assert error == pytest.approx(test, rel=tolerance)

    def test_the_curve_ends_at_the_exact_leave_one_out_error(self):
        table = shipped_table("wine")
        kernel = self.kernel(table)
        curve = forecast_from_data(kernel, table.outputs, [89, 150, 177, 400], ridge=0.1)
        assert curve.methods == ("spectrum", "interpolated", "interpolated", "extrapolated")
        assert curve.test_mse[2] == pytest.approx(curve.leave_one_out_mse)
        assert 0.8 < curve.explained[-1] < 1.0
        assert curve.learnabilities[0] > curve.learnabilities[50] > curve.learnabilities[-1]

    def test_a_useless_kernel_is_told_from_a_useful_one(self):
        table = shipped_table("wine")
        useful = forecast_from_data(self.kernel(table), table.outputs, [80], ridge=0.1)
        shuffled = np.random.default_rng(3).permutation(table.outputs)
        useless = forecast_from_data(self.kernel(table), shuffled, [80], ridge=0.1)
        assert useful.explained[0] > 0.7
        assert useless.explained[0] < 0.05
        assert useful.baseline_mse == pytest.approx(useless.baseline_mse)

    @staticmethod
    def kernel(table):
        rows = torch.tensor(table.standardised)
        kernel = input_matrix(parse_target(DEEP_RELU), rows).numpy()
        return kernel / kernel.diagonal().mean()


def test_bad_input_is_named():
    spectrum = hypercube_spectrum(DotProductKernel.from_coefficients([0.5, 0.5]), 3)
    with pytest.raises(ShapeError, match="power"):
        forecast(spectrum, [0.0] * 5, 2)
    with pytest.raises(InvalidValueError, match="power"):
        forecast(spectrum, [-1.0], 2)
    with pytest.raises(NonFiniteError, match="power"):
        forecast(spectrum, [np.nan], 2)
    with pytest.raises(InvalidValueError, match="num_train"):
        forecast(spectrum, [1.0], 8)
    with pytest.raises(InvalidValueError, match="ridge"):
        forecast(spectrum, [1.0], 2, ridge=-1.0)
    with pytest.raises(InvalidValueError, match="noise"):
        forecast(spectrum, [1.0], 2, noise=float("inf"))
    with pytest.raises(InvalidValueError, match="ridge"):
        forecast_from_data(np.eye(5), np.ones(5), [2], ridge=0.0)
    with pytest.raises(InvalidValueError, match="size"):
        forecast_from_data(np.eye(5), np.ones(5), [0], ridge=0.1)
    with pytest.raises(ShapeError, match="at least 4 rows"):
        forecast_from_data(np.eye(3), np.ones(3), [1], ridge=0.1)


@pytest.mark.parametrize("size", [2.5, True, "3", 0])
def test_a_size_that_is_no_whole_number_is_refused(size):
    with pytest.raises(InvalidValueError, match="size is"):
        forecast_from_data(np.eye(8), np.arange(8.0), [size], ridge=0.1)


def test_targets_whose_squares_overflow_are_refused():
    with pytest.raises(InvalidValueError, match=r"1e\+200"):
        forecast_from_data(np.eye(8), np.arange(8.0) / 7 * 1e200, [2], ridge=0.1)
    curve = forecast_from_data(np.eye(8), np.arange(8.0) / 7 * 1e150, [2, 6], ridge=0.1)
    assert np.isfinite(curve.test_mse).all()


def test_targets_without_anything_to_learn_have_no_error():
    curve = forecast_from_data(np.eye(8), np.zeros(8), [2, 6, 20], ridge=0.1)
    assert curve.test_mse.tolist() == [0.0, 0.0, 0.0]


def test_progress_is_told_of_the_stages_and_sizes():
    told = []
    forecast_from_data(
        np.eye(8),
        np.arange(8.0),
        [2, 6],
        ridge=0.1,
        progress=lambda done, total, _: told.append((done, total)),
    )
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
