"""σ(c) of one unit, against closed forms and Monte Carlo."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sestina.ntk.activations import Activation, activation
from sestina.ntk.designs.forms import HermiteSeries, ReLUSum, SinusoidSum
from sestina.ntk.designs.measures import measured
from sestina.ntk.designs.variance import ERROR_COSINES


def samples(phi: Activation, kind, cosine, count=1 << 20):
    generator = torch.Generator().manual_seed(7)
    u, w, v = torch.randn(3, count, generator=generator, dtype=torch.float64)
    other = cosine * u + math.sqrt(1 - cosine**2) * w
    unit = phi(u) * phi(other)
    if kind == "ntk":
        unit = unit + cosine * v**2 * phi.derivative(u) * phi.derivative(other)
    return unit


def test_the_linear_activation_has_the_closed_form():
    # F = uv + c V², Var = 1 + c² + 2c².
    variance = measured(HermiteSeries([0.0, 1.0]), "ntk", degrees=8, limit=10.0).variance
    c = np.array([1.0, 0.5, 0.0, -1.0])
    np.testing.assert_allclose(variance.at(c), np.sqrt(1 + 3 * c**2), rtol=1e-4)
    exact = math.sqrt((1 + 3 * ERROR_COSINES**2).mean())
    assert variance.rms == pytest.approx(exact, rel=1e-9)
    nngp = measured(HermiteSeries([0.0, 1.0]), "nngp", degrees=8, limit=10.0).variance
    np.testing.assert_allclose(nngp.at(c), np.sqrt(1 + c**2), rtol=1e-4)


def test_a_constant_kernel_has_no_spread():
    variance = measured(HermiteSeries([2.0]), "ntk", degrees=4, limit=9.0).variance
    assert variance.rms == pytest.approx(0.0, abs=1e-6)
    assert variance.typical == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
@pytest.mark.parametrize(
    "phi",
    [
        SinusoidSum([0.5], [3.0], [0.4], 0.1, 0.3),
        ReLUSum([-0.5, 0.3], [1.0, -0.7], 0.2, 0.1),
        HermiteSeries([0.3, 0.5, -0.2, 0.1]),
        activation("tanh"),
    ],
    ids=["sinusoid", "relus", "hermite", "tanh"],
)
def test_sigma_agrees_with_monte_carlo(phi, kind):
    variance = measured(phi, kind, degrees=512, limit=10.0).variance
    for cosine in (1.0, 0.8, 0.0, -0.6, -1.0):
        sampled = samples(phi, kind, cosine).std().item()
        # A million samples with kurtosis below 100: 1 % at two standard errors.
        assert float(variance.at(cosine)) == pytest.approx(sampled, rel=0.015)


def test_typical_error_agrees_with_wide_networks():
    phi = SinusoidSum([0.5], [3.0], [0.4], 0.1, 0.3)
    variance = measured(phi, "ntk", degrees=256, limit=10.0).variance
    generator = torch.Generator().manual_seed(3)
    width, errors = 1000, []
    angles = torch.arccos(torch.from_numpy(ERROR_COSINES))
    kernel = measured(phi, "ntk", degrees=256, limit=10.0).kernel(ERROR_COSINES)
    for _ in range(300):
        w = torch.randn(2, width, generator=generator, dtype=torch.float64)
        v = torch.randn(width, generator=generator, dtype=torch.float64)
        z = torch.cos(angles)[:, None] * w[0] + torch.sin(angles)[:, None] * w[1]
        value, slope = phi(z), phi.derivative(z)
        one = (value * value[0]).mean(1)
        one += torch.from_numpy(ERROR_COSINES) * (v**2 * slope * slope[0]).mean(1)
        errors.append(((one.numpy() - kernel) ** 2).mean())
    squares = np.array(errors)
    assert np.sqrt(squares.mean() * width) == pytest.approx(variance.rms, rel=0.08)
    assert np.sqrt(squares).mean() * math.sqrt(width) == pytest.approx(variance.typical, rel=0.06)
    assert squares.std() / squares.mean() == pytest.approx(variance.variation, rel=0.35)


def test_typical_lies_below_the_root_mean_square():
    variance = measured(activation("gelu"), "ntk", degrees=128, limit=10.0).variance
    assert 0.7 * variance.rms < variance.typical < variance.rms
