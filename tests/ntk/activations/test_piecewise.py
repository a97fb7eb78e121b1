"""Tests of literal values of the ReLU family."""

from __future__ import annotations

import math

import pytest
import torch

from sestina.core.errors import InvalidValueError
from sestina.ntk.activations import ABReLU, Abs, LeakyReLU, RectifiedMonomial, ReLU, Sign


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_independent_inputs_have_the_products_of_means():
    # E[max(z, 0)] = 1/√2π, E[|z|] = √(2/π), E[sign] = 0
    zero, one = tensor(0.0), tensor(1.0)
    assert ReLU().duals(one, one, zero)[0].item() == pytest.approx(1 / (2 * math.pi))
    assert Abs().duals(one, one, zero)[0].item() == pytest.approx(2 / math.pi)
    assert Sign().duals(one, one, zero)[0].item() == 0.0


def test_the_family_is_one():
    q1, q2, k12 = tensor(0.6), tensor(1.7), tensor(0.5)
    for special, general in [
        (ReLU(), ABReLU(0.0, 1.0)),
        (LeakyReLU(0.2), ABReLU(0.2, 1.0)),
        (Abs(), ABReLU(-1.0, 1.0)),
        (RectifiedMonomial(1), ABReLU(0.0, 1.0)),
    ]:
        torch.testing.assert_close(special.duals(q1, q2, k12), general.duals(q1, q2, k12))


def test_equal_slopes_are_a_line():
    value, slope = ABReLU(2.0, 2.0).duals(tensor(1.0), tensor(1.0), tensor(0.3))
    assert (value.item(), slope.item()) == (pytest.approx(1.2), pytest.approx(4.0))


def test_relu_knows_its_moments_exactly():
    value, slope = ReLU().moments(tensor(0.3))
    assert (value.item(), slope.item()) == (0.15, 0.5)


def test_sign_has_no_tangent_kernel_and_an_infinite_moment():
    assert not Sign().has_ntk
    assert Sign().moments(tensor(0.7))[1].item() == math.inf


def test_a_rectified_monomial_of_degree_zero_is_refused():
    with pytest.raises(InvalidValueError, match="degree is 0, expected an integer from 1"):
        RectifiedMonomial(0)
