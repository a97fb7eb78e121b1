"""Tests of literal values of the polynomial activations."""

from __future__ import annotations

import math

import pytest
import torch

from sestina.core.errors import InvalidValueError
from sestina.ntk.activations import Hermite, Monomial, Polynomial


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("degree", [0, 1, 2, 7, 60])
def test_hermite_at_unit_variance_is_a_power_of_the_correlation(degree):
    rho = tensor(-0.8, 0.0, 0.3, 1.0)
    value, slope = Hermite(degree).duals(tensor(1.0), tensor(1.0), rho)
    torch.testing.assert_close(value, rho**degree)
    torch.testing.assert_close(slope, degree * rho ** max(degree - 1, 0))


def test_hermite_is_orthonormal():
    z = torch.randn(2_000_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert (Hermite(3)(z) ** 2).mean().item() == pytest.approx(1, abs=0.03)
    assert (Hermite(3)(z) * Hermite(2)(z)).mean().item() == pytest.approx(0, abs=0.02)


def test_moments_of_monomials_are_double_factorials():
    # E[z²ⁿ] = (2n−1)!!
    for degree in range(11):
        odd = math.prod(range(1, 2 * degree, 2))
        assert Monomial(degree).moments(tensor(1.0))[0].item() == pytest.approx(odd)


def test_a_monomial_is_a_polynomial():
    q1, q2, k12 = tensor(0.6), tensor(1.7), tensor(0.5)
    general = Polynomial([0, 0, 0, 1])
    torch.testing.assert_close(Monomial(3).duals(q1, q2, k12), general.duals(q1, q2, k12))
    assert Monomial(3).spec() == {"name": "monomial", "degree": 3}


def test_a_hermite_polynomial_is_a_polynomial():
    q1, q2, k12 = tensor(0.6), tensor(1.7), tensor(0.5)
    general = Polynomial([0, -3 / math.sqrt(6), 0, 1 / math.sqrt(6)])
    torch.testing.assert_close(Hermite(3).duals(q1, q2, k12), general.duals(q1, q2, k12))


def test_a_line_has_a_linear_kernel():
    value, slope = Polynomial([0.0, 1.0]).duals(tensor(2.0), tensor(3.0), tensor(0.7))
    assert (value.item(), slope.item()) == (0.7, 1.0)


@pytest.mark.parametrize("count", [0, 22])
def test_too_few_and_too_many_coefficients_are_refused(count):
    with pytest.raises(InvalidValueError, match=f"{count} numbers.*use a series of Hermite"):
        Polynomial([1.0] * count)


def test_a_coefficient_that_is_no_number_is_named():
    with pytest.raises(InvalidValueError, match=r"coefficients\[1\] is nan"):
        Polynomial([0.0, math.nan])


@pytest.mark.parametrize("coefficients", [1, None, "12"])
def test_coefficients_that_are_no_list_are_refused(coefficients):
    with pytest.raises(InvalidValueError, match="a list of numbers"):
        Polynomial(coefficients)
