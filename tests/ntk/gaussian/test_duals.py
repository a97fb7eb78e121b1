"""Tests of the closed forms themselves; each activation's are tested beside the activation."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sestina.ntk.gaussian.duals import angle, rectified_monomial_duals, sign_duals

DOUBLE = torch.float64
variances = st.floats(1e-3, 1e3)


def tensor(*values):
    return torch.tensor(values, dtype=DOUBLE)


@given(q1=variances, q2=variances, rho=st.floats(-1, 1))
def test_angle_is_the_arc_cosine_and_the_root_its_sine(q1, q2, rho):
    scale = math.sqrt(q1 * q2)
    root, theta = angle(tensor(q1), tensor(q2), tensor(rho * scale))
    assert theta.item() == pytest.approx(math.acos(rho), abs=1e-7)
    assert root.item() / scale == pytest.approx(math.sin(theta.item()), abs=1e-7)


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-10, 1e-13])
def test_angle_keeps_its_digits_near_one(gap):
    # 1 − (1 − gap) is what float64 makes of the gap; half-angle formula as oracle.
    c = 1 - gap
    _, theta = angle(tensor(1.0), tensor(1.0), tensor(c))
    assert theta.item() == pytest.approx(2 * math.asin(math.sqrt((1 - c) / 2)), rel=1e-12)


@pytest.mark.parametrize("factor", [1.0, 3.0, 0.1, 1e5])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_parallel_vectors_of_any_norm_have_an_exact_angle(factor, sign):
    q1 = tensor(0.7)
    q2 = q1 * factor * factor
    root, theta = angle(q1, q2, sign * factor * q1)
    assert root.item() == 0.0
    assert theta.item() == (0.0 if sign > 0 else math.pi)


def test_gradients_at_the_ends_and_at_zero_are_finite():
    q1 = tensor(2.0, 2.0, 0.0, 0.0).requires_grad_()
    q2 = tensor(2.0, 2.0, 1.0, 0.0).requires_grad_()
    k12 = tensor(2.0, -2.0, 0.0, 0.0).requires_grad_()
    value, slope = rectified_monomial_duals(1, q1, q2, k12)
    grads = torch.autograd.grad(value.sum() + slope.sum(), (q1, q2, k12))
    assert all(bool(torch.isfinite(grad).all()) for grad in grads)


def test_relu_is_exact_at_the_ends():
    value, slope = rectified_monomial_duals(1, tensor(0.3), tensor(0.3), tensor(0.3, -0.3))
    assert value.tolist() == [0.15, 0.0]
    assert slope.tolist() == [0.5, 0.0]


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
def test_rectified_monomials_are_cho_and_sauls_arc_cosine_kernels(degree):
    # Their definition: J_n = (−1)ⁿ sin^{2n+1}θ (1/sinθ · ∂/∂θ)ⁿ ((π−θ)/sinθ), here by autograd.
    theta = tensor(0.3, 0.9, 2.0, 2.8).requires_grad_()
    term = (math.pi - theta) / theta.sin()
    for _ in range(degree):
        (slope,) = torch.autograd.grad(term.sum(), theta, create_graph=True)
        term = slope / theta.sin()
    expected = (-1) ** degree * theta.sin() ** (2 * degree + 1) * term / (2 * math.pi)
    value, _ = rectified_monomial_duals(degree, tensor(1.0), tensor(1.0), theta.cos().detach())
    torch.testing.assert_close(value, expected.detach(), rtol=1e-9, atol=1e-9)


def test_sign_has_the_arcsine_and_an_infinite_slope_at_the_ends():
    value, slope = sign_duals(tensor(2.0), tensor(2.0), tensor(2.0, 1.0, -2.0))
    torch.testing.assert_close(value, tensor(1.0, 1 / 3, -1.0))
    assert slope.tolist()[0] == slope.tolist()[2] == math.inf
    # E[φ'φ'] with φ' = 2δ: 4 times the Gaussian's density at the origin.
    assert slope[1].item() == pytest.approx(4 / (2 * math.pi * math.sqrt(3)))
