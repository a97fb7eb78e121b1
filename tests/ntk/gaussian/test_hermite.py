"""Tests of the Hermite polynomials against NumPy's, and of coefficients against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.polynomial import hermite_e

from sestina.core.errors import InvalidValueError, NonFiniteError
from sestina.ntk.gaussian.hermite import (
    evaluate_series,
    gauss_hermite,
    hermite_coefficients,
    hermite_values,
)


def relu_coefficients(n):
    """ReLU's b_k in closed form: 1/√2π, 1/2, then (−1)^{k/2−1} (k−3)!!/√(2π k!) for even k."""
    b = np.zeros(n)
    b[0], b[1] = 1 / math.sqrt(2 * math.pi), 0.5
    for k in range(2, n, 2):
        double_factorial_log = math.lgamma(k - 1) - math.lgamma(k / 2) - (k / 2 - 1) * math.log(2)
        size = math.exp(double_factorial_log - math.lgamma(k + 1) / 2) / math.sqrt(2 * math.pi)
        b[k] = (-1) ** (k // 2 - 1) * size
    return b


def test_values_are_numpys_divided_by_the_root_of_the_factorial():
    z = np.linspace(-4, 4, 9)
    values = hermite_values(z, 12)
    for k in range(12):
        expected = hermite_e.hermeval(z, [0] * k + [1]) / math.sqrt(math.factorial(k))
        np.testing.assert_allclose(values[k], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_degrees_have_few_rows(n):
    assert hermite_values(np.zeros((2, 3)), n).shape == (n, 2, 3)


def test_gauss_rule_integrates_the_polynomials_to_the_identity():
    nodes, weights = gauss_hermite(40)
    values = hermite_values(nodes, 30)
    np.testing.assert_allclose((values * weights) @ values.T, np.eye(30), atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 200, 1000])
def test_gauss_rules_of_any_size_sum_to_one_and_have_unit_variance(n):
    nodes, weights = gauss_hermite(n)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert weights @ nodes**2 == pytest.approx(1 if n > 1 else 0, abs=1e-12)


def test_relu_coefficients_are_the_closed_form_up_to_degree_8000():
    b = hermite_coefficients(lambda z: np.maximum(z, 0), 8000, kinks=[0.0])
    np.testing.assert_allclose(b, relu_coefficients(8000), atol=1e-14)


def test_coefficients_of_a_scaled_cosine_are_the_closed_form():
    frequency, phase, scale = 2.0, 0.3, 1.5
    b = hermite_coefficients(lambda z: np.cos(frequency * z + phase), 30, scale=scale)
    k = np.arange(30)
    omega = frequency * scale
    size = np.exp(k * math.log(omega) - omega**2 / 2 - [math.lgamma(j + 1) / 2 for j in k])
    np.testing.assert_allclose(b, size * np.cos(phase + k * np.pi / 2), atol=1e-14)


def test_kinks_are_cut_in_the_functions_own_argument():
    # E[1{σz > t}] = P(Z > t/σ)
    b = hermite_coefficients(lambda z: (z > 1.0).astype(float), 1, scale=2.0, kinks=[1.0])
    assert b[0] == pytest.approx(0.5 * math.erfc(0.5 / math.sqrt(2)), abs=1e-14)


def test_an_undeclared_kink_is_refused():
    with pytest.raises(InvalidValueError, match="declare where it"):
        hermite_coefficients(lambda z: np.abs(z - 0.123), 50)


def test_a_function_with_a_hole_is_named():
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(NonFiniteError, match=r"function is nan at -"),
    ):
        hermite_coefficients(np.sqrt, 10)


def test_clenshaw_sums_the_series():
    b = np.random.default_rng(3).standard_normal(60)
    z = np.linspace(-5, 5, 11)
    np.testing.assert_allclose(evaluate_series(b, z), b @ hermite_values(z, 60), rtol=1e-10)
    assert evaluate_series([], 2.0) == 0.0


def test_clenshaw_takes_tensors_and_their_gradients():
    z = torch.tensor([0.3, -1.2], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: evaluate_series([0.5, -1.0, 0.25, 2.0], t), z)


@pytest.mark.parametrize("call", [lambda: hermite_values(0.0, -1), lambda: gauss_hermite(0)])
def test_impossible_counts_are_refused(call):
    with pytest.raises(InvalidValueError, match="n is"):
        call()
