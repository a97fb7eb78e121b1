"""Series expectations of designed activations, against brute force in the plane."""

from __future__ import annotations

import itertools
import logging
import math

import numpy as np
import pytest
import torch

from sestina.ntk.architectures import FullyConnected
from sestina.ntk.designs.forms import HermiteSeries, ReLUSum, TabulatedActivation
from sestina.ntk.kernels.dot_product import DotProductKernel

KNOTS = np.linspace(-6, 6, 601)
FORMS = {
    "relus": ReLUSum([-0.6, 0.0, 0.8], [1.0, -0.5, 0.7], 0.3, -0.2),
    "one relu": ReLUSum([0.0], [1.0]),
    "table": TabulatedActivation(6.0, np.tanh(KNOTS), 1 / np.cosh(KNOTS) ** 2),
    "hermite": HermiteSeries([0.4, 0.5, -0.3, 0.2], 3.0),
}


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]


def numbers(*values):
    return [torch.tensor(value, dtype=torch.float64) for value in values]


def brute(form, q1, q2, k12):
    """By panels in v for each of many u; kinks of v are where u puts them."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    edges = np.unique(np.concatenate([np.linspace(-9, 9, 13), np.array(form.kinks) / q1**0.5]))
    result = np.zeros(2)
    spread = math.sqrt(max(q2 - k12**2 / q1, 0.0))
    for low, high in itertools.pairwise(edges):
        x = (low + high) / 2 + (high - low) / 2 * nodes
        x_weights = (high - low) / 2 * weights * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        for place, weight in zip(x, x_weights, strict=True):
            u, mean = math.sqrt(q1) * place, k12 / math.sqrt(q1) * place
            inner = np.unique(
                np.concatenate([np.linspace(-9, 9, 7), (np.array(form.kinks) - mean) / spread])
            )
            halves = np.diff(inner)[:, None] / 2
            y = (inner[:-1, None] + halves * (nodes + 1)).ravel()
            y_weights = (halves * weights).ravel() * np.exp(-y * y / 2) / math.sqrt(2 * math.pi)
            v = torch.from_numpy(mean + spread * y)
            at = torch.tensor([u], dtype=torch.float64)
            result += weight * np.array(
                [
                    form(at).item() * (y_weights @ form(v).numpy()),
                    form.derivative(at).item() * (y_weights @ form.derivative(v).numpy()),
                ]
            )
    return result


@pytest.mark.parametrize("point", [(1.0, 1.0, 0.4), (1.3, 0.5, -0.6)])
def test_duals_agree_with_brute_force(form, point):
    value, slope = form.duals(*numbers(*point))
    np.testing.assert_allclose([value.item(), slope.item()], brute(form, *point), atol=2e-5)


@pytest.mark.parametrize("q", [1.0, 0.3, 4.0])
def test_the_ends_are_the_moments(form, q):
    value, slope = form.moments(torch.tensor(q, dtype=torch.float64))
    together = form.duals(*numbers(q, q, q))
    assert together[0].item() == pytest.approx(value.item(), rel=1e-9)
    assert together[1].item() == pytest.approx(slope.item(), rel=1e-9)
    nodes = -9 + 1e-4 * (np.arange(180_000) + 0.5)
    z = torch.from_numpy(nodes * math.sqrt(q))
    gauss = 1e-4 * np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)
    opposite = form.duals(*numbers(q, q, -q))
    assert value.item() == pytest.approx(gauss @ (form(z) ** 2).numpy(), rel=1e-4)
    assert opposite[0].item() == pytest.approx(gauss @ (form(z) * form(-z)).numpy(), abs=2e-3)


def test_one_relu_has_its_closed_form():
    q1, q2 = 1.7, 0.6
    for rho in (-0.9, 0.0, 0.5, 0.99):
        value, slope = FORMS["one relu"].duals(*numbers(q1, q2, rho * math.sqrt(q1 * q2)))
        theta = math.acos(rho)
        expected = math.sqrt(q1 * q2) * (math.sin(theta) + (math.pi - theta) * rho) / 2 / math.pi
        assert value.item() == pytest.approx(expected, abs=1e-9)
        assert slope.item() == pytest.approx((math.pi - theta) / 2 / math.pi, abs=1e-5)


def test_coefficients_are_read_from_complex_values(form):
    one = torch.ones((), dtype=torch.float64)
    kernel = DotProductKernel(
        lambda c: form.duals(one, one, torch.from_numpy(np.atleast_1d(c)))[0].numpy()
    )
    a_k = kernel.coefficients(6)
    nodes = -9 + 1e-4 * (np.arange(180_000) + 0.5)
    gauss = 1e-4 * np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)
    b1 = gauss @ (form(torch.from_numpy(nodes)).numpy() * nodes)
    assert a_k[1] == pytest.approx(b1**2, abs=1e-6)


def test_broadcasting_and_empty_shapes(form):
    q1 = torch.tensor([[0.5], [1.0], [0.5]], dtype=torch.float64)
    q2 = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    k12 = 0.3 * torch.sqrt(q1 * q2)
    value, slope = form.duals(q1, q2, k12)
    assert value.shape == slope.shape == (3, 2)
    torch.testing.assert_close(value[0], value[2])
    alone = form.duals(q1[1, 0], q2[0, 1], k12[1, 1])
    torch.testing.assert_close(value[1, 1], alone[0])
    assert form.duals(q1[:0], q2, k12[:0])[0].shape == (0, 2)


def test_gradients_agree_with_differences(form):
    q1, q2, k12 = numbers(1.1, 0.8, 0.3)
    for tensor in (q1, q2, k12):
        tensor.requires_grad_()
    value, slope = form.duals(q1, q2, k12)
    gradients = torch.autograd.grad(value + slope, (q1, q2, k12))
    for index, gradient in enumerate(gradients):
        ends = []
        for step in (1e-4, -1e-4):
            point = [1.1, 0.8, 0.3]
            point[index] += step
            ends.append(sum(part.item() for part in form.duals(*numbers(*point))))
        assert gradient.item() == pytest.approx((ends[0] - ends[1]) / 2e-4, abs=2e-3)


def test_a_shortened_series_is_logged(caplog):
    q = torch.ones((), dtype=torch.float64)
    k12 = torch.zeros(3000, 3000, dtype=torch.float64)[:1].expand(3000, 3000)
    with caplog.at_level(logging.INFO, logger="sestina"):
        FORMS["one relu"].duals(q, q, k12[:1, :1].requires_grad_())
    assert "512 instead of 16384" in caplog.text


def test_zero_variance_is_the_value_at_zero(form):
    value, _ = form.duals(*numbers(0.0, 1.0, 0.0))
    constant = form(torch.zeros((), dtype=torch.float64)).item()
    mean = form.duals(*numbers(1.0, 1.0, 0.0))[0].item() ** 0.5
    assert abs(value.item()) == pytest.approx(abs(constant * mean), abs=1e-4)


def test_an_infinite_network_uses_them():
    network = FullyConnected(activation=FORMS["relus"], depth=2, sigma_w=1.2, sigma_b=0.1)
    kernel = network.kernels(torch.tensor([[1.0, 2.0], [0.5, -1.0]], dtype=torch.float64))
    assert torch.isfinite(kernel.ntk).all()
    assert (torch.linalg.eigvalsh(kernel.ntk) > 0).all()
