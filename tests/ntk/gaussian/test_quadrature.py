"""Tests of quadrature: closed forms run through it as custom functions, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from sestina.core.errors import InvalidValueError, NonFiniteError
from sestina.ntk.activations import (
    GELU,
    ABReLU,
    Abs,
    Custom,
    Erf,
    Gaussian,
    Hermite,
    LeakyReLU,
    RectifiedMonomial,
    ReLU,
    Sin,
)
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.gaussian import quadrature

DOUBLE = torch.float64
# Through `Custom` an activation loses its closed form and keeps its kinks.
KINKED = [ReLU(), LeakyReLU(0.1), ABReLU(-0.3, 2.0), Abs(), RectifiedMonomial(2)]
SMOOTH = [Erf(), GELU(), Gaussian(1.0, -1.0), Hermite(5), Sin(1.5, 2.0, 0.3), Sin(1.0, 6.0)]
RHOS = [-1.0, -1 + 1e-9, -0.9999, -0.7, 0.0, 0.2, 0.95, 0.9999, 1 - 1e-9, 1.0]


def tensor(*values):
    return torch.tensor(values, dtype=DOUBLE)


def numerical(phi):
    return Custom(phi.forward, phi.derivative, kinks=phi.kinks)


def largest_error(phi, q1, q2, rhos):
    """Relative to the geometric mean of the moments."""
    k12 = torch.sqrt(q1 * q2) * rhos
    found = numerical(phi).duals(q1, q2, k12)
    scales = [torch.sqrt(a * b) for a, b in zip(phi.moments(q1), phi.moments(q2), strict=True)]
    return max(
        ((left - right).abs() / scale).max().item()
        for left, right, scale in zip(found, phi.duals(q1, q2, k12), scales, strict=True)
    )


@pytest.mark.parametrize("phi", [*KINKED, *SMOOTH], ids=repr)
@pytest.mark.parametrize(("q1", "q2"), [(1.0, 1.0), (0.3, 4.0), (50.0, 2.0), (1e-4, 30.0)])
def test_quadrature_finds_the_closed_forms(phi, q1, q2):
    # Promised: 1e-6 for smooth functions, 1e-5 for kinked ones.
    assert largest_error(phi, tensor(q1), tensor(q2), tensor(*RHOS)) < 1e-9


@pytest.mark.parametrize("phi", [*KINKED, *SMOOTH], ids=repr)
def test_the_diagonal_is_the_closed_forms(phi):
    q = tensor(1e-3, 0.5, 1.0, 7.0, 40.0)
    for left, right in zip(numerical(phi).moments(q), phi.moments(q), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-10, atol=0)


@settings(max_examples=25)
@given(
    q1=st.floats(1e-3, 20.0),
    q2=st.floats(1e-3, 20.0),
    rho=st.floats(-1, 1),
    slopes=st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
)
def test_quadrature_finds_any_two_slopes_at_any_norms(q1, q2, rho, slopes):
    phi = ABReLU(*slopes)
    if max(map(abs, slopes)) > 1e-3:
        assert largest_error(phi, tensor(q1), tensor(q2), tensor(rho)) < 1e-9


def shifted_relu_slope(t1, t2, q1, q2, rho):
    """P(u > t1, v > t2), by the conditional distribution of v."""
    low, other, spread = t1 / math.sqrt(q1), t2 / math.sqrt(q2), math.sqrt(1 - rho * rho)

    def density(x):
        return norm.pdf(x) * norm.sf((other - rho * x) / spread)

    nearby = [other / rho + step * spread for step in range(-8, 9, 2)] if rho else []
    points = [point for point in nearby if low < point < 12]
    return quad(density, low, 12, points=points or None, epsabs=1e-13, limit=400)[0]


@pytest.mark.parametrize("shift", [-1.3, 0.6, 2.5])
@pytest.mark.parametrize("rho", [-0.999, -0.5, 0.0, 0.7, 0.999])
def test_a_kink_off_zero_has_the_bivariate_normals_slope(shift, rho):
    phi = Custom(lambda z: torch.relu(z - shift), kinks=[shift])
    q1, q2 = 1.0, 2.5
    _, slope = phi.duals(tensor(q1), tensor(q2), math.sqrt(q1 * q2) * tensor(rho))
    expected = shifted_relu_slope(shift, shift, q1, q2, rho)
    assert slope.item() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("rho", [-0.99, -0.3, 0.5, 0.99])
def test_two_kinks_have_the_bivariate_normals_slope(rho):
    hard_tanh = Custom(lambda z: z.clamp(-1, 1), kinks=[-1.0, 1.0])
    q1, q2 = 0.8, 3.0
    _, slope = hard_tanh.duals(tensor(q1), tensor(q2), math.sqrt(q1 * q2) * tensor(rho))
    expected = sum(
        s1 * s2 * shifted_relu_slope(t1, t2, q1, q2, rho)
        for t1, s1 in ((-1, 1), (1, -1))
        for t2, s2 in ((-1, 1), (1, -1))
    )
    assert slope.item() == pytest.approx(expected, abs=1e-10)


def test_values_are_the_integral_of_slopes_over_the_covariance():
    # Price's theorem again, for kinks off zero: E[φφ](k) = E[φ(u)]E[φ(v)] + ∫₀ᵏ E[φ'φ'].
    hard_tanh = Custom(lambda z: z.clamp(-1, 0.5), kinks=[-1.0, 0.5])
    q1, q2, k = tensor(0.8), tensor(3.0), tensor(1.2)
    nodes, weights = np.polynomial.legendre.leggauss(60)
    slopes = hard_tanh.duals(q1, q2, k * torch.from_numpy((nodes + 1) / 2))[1]
    integral = (slopes * torch.from_numpy(weights)).sum() * k / 2
    start = hard_tanh.duals(q1, q2, tensor(0.0))[0]
    torch.testing.assert_close(hard_tanh.duals(q1, q2, k)[0], start + integral)

    def mean(q):  # of a clamped Gaussian
        low, high = -1 / math.sqrt(q), 0.5 / math.sqrt(q)
        inside = math.sqrt(q) * (norm.pdf(low) - norm.pdf(high))
        return inside - norm.cdf(low) + 0.5 * norm.sf(high)

    assert start.item() == pytest.approx(mean(0.8) * mean(3.0), abs=1e-12)


def test_a_steep_function_takes_a_long_series():
    steep = Erf()
    q = tensor(150.0)
    assert quadrature._choose_terms(steep, q, quadrature._choose_rule(steep, q)) > 4096
    assert largest_error(steep, q, tensor(0.5), tensor(*RHOS)) < 1e-9


@pytest.mark.parametrize("seed", [98, 112])
def test_a_kink_far_out_in_the_tail_is_no_undeclared_one(seed):
    # relu(z − 0.3) where the second layer's deviations are a thirtieth of 0.3.
    phi = Custom(lambda z: torch.relu(z - 0.3), kinks=(0.3,))
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    nngp, theta = FullyConnected(activation=phi, depth=3).kernels(x)
    assert nngp.isfinite().all()
    assert theta.isfinite().all()
    value, slope = phi.moments(tensor(1e-4, 1.0))
    assert value[0] == slope[0] == 0
    assert slope[1].item() == pytest.approx(norm.sf(0.3), abs=1e-12)


def test_a_steeper_function_falls_back_to_the_plane_and_stays_right():
    steep = Erf()
    q = tensor(400.0)
    assert quadrature._choose_terms(steep, q, quadrature._choose_rule(steep, q)) is None
    assert largest_error(steep, q, q, tensor(-0.9, 0.3, 0.99)) < 1e-9


def test_all_but_a_step_is_refused():
    q = tensor(4e4)
    with pytest.raises(InvalidValueError, match=r"up to 4e\+04, too high for Custom"):
        numerical(Erf()).duals(q, q, 0.5 * q)


def test_the_plane_and_the_series_agree():
    phi, q1, q2 = Sin(1.5, 2.0, 0.3), tensor(0.7), tensor(1.9)
    k12 = torch.sqrt(q1 * q2) * tensor(*RHOS)
    rule = quadrature._choose_rule(phi, torch.cat([q1, q2]))
    in_plane = quadrature._planar_duals(phi, q1, q2, k12, rule)
    for left, right in zip(in_plane, phi.duals(q1, q2, k12), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("phi", [ReLU(), Erf()], ids=repr)
def test_blocks_do_not_show(phi, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    q1 = 0.2 + torch.rand(7, 1, generator=generator, dtype=DOUBLE)
    q2 = 0.2 + torch.rand(1, 5, generator=generator, dtype=DOUBLE)
    k12 = torch.sqrt(q1 * q2) * (2 * torch.rand(7, 5, generator=generator, dtype=DOUBLE) - 1)
    arguments = [value.requires_grad_() for value in (q1, q2, k12)]
    whole = numerical(phi).duals(*arguments)
    whole_grads = torch.autograd.grad(whole[0].sum() + whole[1].sum(), arguments)
    monkeypatch.setattr(quadrature, "_BLOCK_ELEMENTS", 1)
    blocks = numerical(phi).duals(*arguments)
    grads = torch.autograd.grad(blocks[0].sum() + blocks[1].sum(), arguments)
    torch.testing.assert_close(blocks, whole, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(grads, whole_grads, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("phi", [ReLU(), Erf()], ids=repr)
def test_expanded_variances_are_computed_once(phi):
    q, k12 = tensor(1.3), 1.3 * tensor(-0.5, 0.1, 0.9)
    expanded = numerical(phi).duals(q.expand(3), q.expand(3), k12)
    torch.testing.assert_close(expanded, numerical(phi).duals(q, q, k12), rtol=0, atol=0)


@pytest.mark.parametrize("phi", [ReLU(), Erf()], ids=repr)
def test_single_precision_stays_single(phi):
    q = torch.tensor([1.3])
    value, slope = numerical(phi).duals(q, q, 0.4 * q)
    assert value.dtype == slope.dtype == torch.float32
    torch.testing.assert_close((value, slope), phi.duals(q, q, 0.4 * q), rtol=1e-5, atol=1e-5)


def test_gradients_of_two_kinks_are_right():
    hard_tanh = Custom(lambda z: z.clamp(-1, 1), kinks=[-1.0, 1.0])
    arguments = [
        value.requires_grad_() for value in (tensor(0.7, 1.0), tensor(1.3, 1.0), tensor(0.5, -0.3))
    ]
    assert torch.autograd.gradcheck(hard_tanh.duals, arguments)


def test_gradients_close_to_parallel_are_right():
    # ∂E[φφ]/∂k12 = E[φ'φ'], where ∂ρ/∂B is as large as 1e4.
    phi = numerical(LeakyReLU(0.3))
    k12 = (1 - tensor(1e-3, 1e-6, 1e-9)).requires_grad_()
    value, slope = phi.duals(tensor(1.0), tensor(1.0), k12)
    (grad,) = torch.autograd.grad(value.sum(), k12)
    torch.testing.assert_close(grad, slope.detach(), rtol=0, atol=1e-6)


UNDECLARED = [
    torch.relu,
    lambda z: torch.relu(z) ** 2,
    lambda z: (z - 0.7).abs(),
    lambda z: z.clamp(-1, 1),
    lambda z: torch.sign(z - 0.1),
    lambda z: torch.sin(1e6 * z),
    lambda z: torch.exp(z * z),
]


@pytest.mark.parametrize("function", UNDECLARED)
def test_what_does_not_settle_is_refused(function):
    phi, one = Custom(function), tensor(1.0)
    with pytest.raises(InvalidValueError, match="declare where it or its derivative jumps"):
        phi.duals(one, one, 0.3 * one)
    with pytest.raises(InvalidValueError, match="declare where it or its derivative jumps"):
        phi.moments(one)


def test_a_second_kink_is_not_forgotten():
    phi, one = Custom(lambda z: z.clamp(-1, 1), kinks=[1.0]), tensor(1.0)
    with pytest.raises(InvalidValueError, match="declare where it or its derivative jumps"):
        phi.moments(one)


def test_a_function_with_a_hole_is_named():
    with pytest.raises(NonFiniteError, match=r"activation is NaN from Custom\(log"):
        Custom(torch.log).moments(tensor(1.0))
