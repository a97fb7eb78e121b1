"""Kernels from data: found where known, as good as ReLU where not, and emitted as networks."""

import re

import numpy as np
import pytest
import torch

from sestina.core.errors import DtypeError, InvalidValueError, NonFiniteError, ShapeError
from sestina.ntk.datasets import shipped_table
from sestina.ntk.designs.inputs import RadialNetwork
from sestina.ntk.empirical import empirical_ntk
from sestina.ntk.fitting.fits import FitOptions, dictionary, fit_kernel
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.predictions.estimators import KernelClassifier, KernelRegressor

PLAIN = FitOptions(form="radial", bias=0.0)


def cubic(num_rows=120, noise=0.0):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(num_rows, 3))
    directions = X / np.linalg.norm(X, axis=1, keepdims=True)
    y = np.linalg.norm(X, axis=1) * directions.prod(1) * 10
    return X, y + noise * rng.normal(size=num_rows)


@pytest.fixture(scope="module")
def wine():
    table = shipped_table("wine")
    return table, fit_kernel(table.standardised, table.targets.astype(int))


def test_members_are_achievable_and_of_unit_size():
    c = np.linspace(-1, 1, 11)
    for name, kernel in dictionary().items():
        assert kernel.total == pytest.approx(1.0), name
        assert kernel.coefficients(64).min() > -1e-13, name
    np.testing.assert_allclose(dictionary()["exp(8(c-1))"](c), np.exp(8 * (c - 1)), rtol=1e-10)


@pytest.mark.parametrize("criterion", ["leave-one-out", "marginal-likelihood"])
def test_a_kernel_that_is_known_is_found(criterion):
    fitted = fit_kernel(*cubic(), FitOptions(form="radial", bias=0.0, criterion=criterion))
    assert next(iter(fitted.weights)) == "c^3"
    assert fitted.weights["c^3"] > 0.9
    assert sum(fitted.weights.values()) == pytest.approx(1.0)
    assert fitted.kernel.total == pytest.approx(1.0)
    scores = {score.name: score for score in fitted.scores}
    assert list(scores) == ["fitted", "relu depth 1", "relu depth 2", "relu depth 4"]
    assert scores["fitted"].leave_one_out_mse < 0.1 * scores["relu depth 4"].leave_one_out_mse


def test_norms_and_constants_are_noticed():
    X, y = cubic()
    assert fit_kernel(X, y).inputs == ("radial", 0.0)
    directions = X / np.linalg.norm(X, axis=1, keepdims=True)
    assert fit_kernel(X, directions.prod(1)).inputs == ("normalise", 0.0)
    assert fit_kernel(X, np.abs(X).sum(1) < 2).inputs.bias == 1.0
    assert fit_kernel(X, y, FitOptions(form="normalise", bias=0.5)).inputs == ("normalise", 0.5)


def test_the_fitted_kernel_predicts_new_rows_better_than_relus():
    X, y = cubic(300, noise=0.05)
    fitted = fit_kernel(X[:150], y[:150], PLAIN)
    ours = fitted.estimator().fit(X[:150], y[:150])
    relu = KernelRegressor(ridge=0.1, centre=True).fit(X[:150], y[:150])
    assert isinstance(ours, KernelRegressor)
    assert ours.score(X[150:], y[150:]) > max(0.95, relu.score(X[150:], y[150:]))


def test_leave_one_out_scores_are_those_of_the_estimator(wine):
    table, fitted = wine
    X, y = table.standardised, table.targets.astype(int)
    rows = np.arange(0, len(y), 9)
    hits = []
    for row in rows:
        rest = np.delete(np.arange(len(y)), row)
        hits.append(fitted.estimator().fit(X[rest], y[rest]).predict(X[[row]])[0] == y[row])
    assert fitted.task == "classification"
    assert isinstance(fitted.estimator(), KernelClassifier)
    assert abs(np.mean(hits) - (1 - fitted.scores[0].leave_one_out_error)) < 0.06
    assert fitted.scores[0].leave_one_out_error <= 0.03


def test_a_fitted_kernel_is_at_least_as_good_as_relus_by_its_criterion(wine):
    for fitted in (wine[1], fit_kernel(*cubic(60, noise=1.0))):
        best = min(score.leave_one_out_mse for score in fitted.scores[1:])
        assert fitted.scores[0].leave_one_out_mse <= best * (1 + 1e-9)


def test_folds_give_an_honest_error():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(80, 4)), rng.normal(size=80)  # nothing to learn
    fitted = fit_kernel(X, y, FitOptions(folds=4))
    assert fitted.scores[0].validation_mse > 0.95
    assert fitted.scores[0].validation_error is None
    assert all(score.validation_mse is not None for score in fitted.scores)
    assert "CV mse" in fitted.report()
    assert "CV error" not in fitted.report()


def test_large_data_is_drawn_from_and_said_so(caplog):
    X, y = cubic(200)
    with caplog.at_level("INFO"):
        fitted = fit_kernel(X, y, FitOptions(form="radial", bias=0.0, max_rows=50))
    assert fitted.num_rows == 50
    assert "50 of 200 rows" in caplog.text
    again = fit_kernel(X, y, FitOptions(form="radial", bias=0.0, max_rows=50))
    assert again.weights == fitted.weights


def test_own_dictionaries_and_progress_are_used():
    told = []
    kernels = {"even": DotProductKernel.from_coefficients([0.0, 0.0, 2.0]), "cube": 3 * _cube()}
    fitted = fit_kernel(
        *cubic(), PLAIN, kernels=kernels, progress=lambda done, total, label: told.append(label)
    )
    assert fitted.weights["cube"] > 0.9
    assert set(told) == {"choosing the kernel"}


def _cube():
    return DotProductKernel.from_coefficients([0.0, 0.0, 0.0, 1.0])


def test_the_emitted_network_has_the_fitted_kernel(wine):
    table, fitted = wine
    designed = fitted.design()
    x = torch.tensor(table.standardised[:12], dtype=torch.float32)
    matrices = []
    for seed in range(8):
        net = fitted.module(designed, 13, 1, 4096, seed=seed)
        matrices.append(empirical_ntk(net, x, axes="trace"))
    form, bias = fitted.inputs
    model = KernelRegressor(fitted.kernel, form=form, bias=bias).fit(x.numpy(), np.arange(12.0))
    wanted = torch.tensor(model._matrix(x.double().numpy(), None)).float()
    mean = torch.stack(matrices).mean(0).reshape(12, 12)
    # Eight networks of 4,096 units: σ/√32768, and σ of such designs is at most about 10·K(1).
    assert (mean - wanted).square().mean().sqrt() < 0.06 * wanted.diagonal().mean()


def test_radial_networks_scale_and_take_zero():
    net = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Tanh())
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    radial, directions = RadialNetwork(net, bias=0.7), RadialNetwork(net, scale=False, bias=0.7)
    assert radial(x).shape == directions(x).shape == (5, 2)
    plain = RadialNetwork(torch.nn.Linear(3, 2))
    torch.testing.assert_close(plain(3 * x), 3 * plain(x))
    ignoring = RadialNetwork(torch.nn.Linear(3, 2), scale=False)
    torch.testing.assert_close(ignoring(3 * x), ignoring(x))
    assert plain(torch.zeros(1, 3)).tolist() == [[0.0, 0.0]]
    assert ignoring(torch.zeros(1, 3)).tolist() == [[0.0, 0.0]]


class TestBadInput:
    X, y = cubic(20)

    def test_data_must_be_numbers_of_one_shape(self):
        with pytest.raises(ShapeError, match="at least 8 rows"):
            fit_kernel(self.X[:7], self.y[:7])
        with pytest.raises(ShapeError, match="y"):
            fit_kernel(self.X, self.y[:-1])
        with pytest.raises(ShapeError):
            fit_kernel(self.y, self.y)
        with pytest.raises(NonFiniteError):
            fit_kernel(np.where(self.X > 1, np.nan, self.X), self.y)
        with pytest.raises(DtypeError):
            fit_kernel(self.X.astype(str), self.y)
        with pytest.raises(InvalidValueError, match="two values"):
            fit_kernel(self.X, np.ones(20))
        with pytest.raises(InvalidValueError, match="two values"):
            fit_kernel(self.X, ["a"] * 20)

    def test_options_must_be_in_range(self):
        for options in (
            {"criterion": "accuracy"},
            {"form": "network"},
            {"bias": -1.0},
            {"folds": 1},
            {"max_rows": 3},
        ):
            with pytest.raises(InvalidValueError, match=next(iter(options))):
                FitOptions(**options)
        with pytest.raises(InvalidValueError, match="folds"):
            fit_kernel(self.X, self.y, FitOptions(folds=11))
        with pytest.raises(InvalidValueError, match="task"):
            fit_kernel(self.X, self.y, task="ranking")
        with pytest.raises(InvalidValueError, match="labels"):
            fit_kernel(self.X, np.ones((20, 2), int))
        with pytest.raises(InvalidValueError, match="rename it"):
            fit_kernel(self.X, self.y, kernels={"relu depth 1": _cube()})
        with pytest.raises(InvalidValueError, match=r"K\(1\) above 0"):
            fit_kernel(self.X, self.y, kernels={"0": DotProductKernel.from_coefficients([0.0])})


def test_units_of_the_targets_do_not_matter_however_large_or_small():
    X, y = cubic(40)
    plain = fit_kernel(X, y, PLAIN)
    for size in (1e-200, 1e200, 1e307):
        again = fit_kernel(X, y / np.abs(y).max() * size, PLAIN)
        assert again.ridge == pytest.approx(plain.ridge, rel=1e-3)
        assert again.weights == pytest.approx(dict(plain.weights), abs=1e-3)
        assert np.isfinite(again.output_mean_o).all()


@pytest.mark.parametrize("seed", [-1, 0.5, True])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(InvalidValueError, match="seed is"):
        FitOptions(seed=seed)


def test_rows_that_are_all_zero_or_too_large_are_named():
    y = np.arange(10.0)
    with pytest.raises(InvalidValueError, match="no feature varies"):
        fit_kernel(np.zeros((10, 2)), y, PLAIN)
    for size in (1e200, 1e-200):
        with pytest.raises(InvalidValueError, match=f"X is of up to {re.escape(f'{size:.3g}')}"):
            fit_kernel(np.outer(y, [size, 0.0]) / 9, y, PLAIN)
