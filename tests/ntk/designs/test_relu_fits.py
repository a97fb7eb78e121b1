"""Sums of ReLUs: the closed forms of the fit against quadrature, and what the fit reaches."""

from __future__ import annotations

import numpy as np
import pytest

from sestina.ntk.architectures import FullyConnected
from sestina.ntk.designs.forms import ReLUSum
from sestina.ntk.designs.measures import kernel_error, measured
from sestina.ntk.designs.relu_fits import _Sum, relu_sum
from sestina.ntk.designs.searches import signs_and_limit
from sestina.ntk.designs.signs import magnitudes
from sestina.ntk.designs.variance import ERROR_COSINES
from sestina.ntk.kernels.coefficients import asked_coefficients, truncated
from sestina.ntk.kernels.dot_product import DotProductKernel


def fitted(kernel, kind, terms, width=16_384):
    asked = asked_coefficients(kernel, 4000)
    a_k = truncated(asked, 512)
    signs, limit = signs_and_limit(a_k, kind, width=width, signs="searched")
    series = signs * magnitudes(a_k, kind)
    return relu_sum(kernel(ERROR_COSINES), series, limit, kind, terms=terms, width=width)


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
@pytest.mark.parametrize("seed", range(3))
def test_closed_forms_agree_with_quadrature(kind, seed):
    generator = np.random.default_rng(seed)
    positions = generator.normal(size=5)
    positions[1] = positions[0] + 0.004  # kinks that nearly coincide
    weights, (offset, slope) = generator.normal(size=5), generator.normal(size=2)
    sum_ = _Sum(positions, weights, offset, slope)
    result = measured(ReLUSum(positions, weights, offset, slope), kind, degrees=8192, limit=10.0)
    kernel = sum_.kernel(kind)
    scale = np.abs(kernel).max()
    # The measured series is lumped beyond degree 8,192, next to c = ±1.
    np.testing.assert_allclose(result.kernel(ERROR_COSINES)[2:-2], kernel[2:-2], atol=1e-7 * scale)
    np.testing.assert_allclose(result.kernel(ERROR_COSINES), kernel, atol=2e-4 * scale)
    second_moment = float((sum_.spread(kind) ** 2).sum())
    expected = result.variance.rms**2 + float((kernel**2).mean())
    assert second_moment == pytest.approx(expected, rel=0.03)  # 64 degrees of φ² only


def test_three_relus_beat_the_authors_seven_parameters():
    deep = FullyConnected(activation="relu", depth=4, sigma_w=2**0.5, sigma_b=0.1)
    target = deep.dot_product("ntk")
    phi = fitted(target, "ntk", terms=3)
    result = measured(phi, "ntk", degrees=8192, limit=9.0)
    assert phi.positions.size == 3
    assert kernel_error(target, result.kernel).sse < 0.01  # theirs 0.326
    assert float(result.variance.at(1.0)) < 6  # theirs 14.5


def test_one_relu_comes_back_as_itself():
    kernel = FullyConnected(activation="relu").dot_product("ntk")
    phi = fitted(kernel, "ntk", terms=1, width=10**9)
    result = measured(phi, "ntk", degrees=8192, limit=9.0)
    assert kernel_error(kernel, result.kernel).rms < 3e-5
    assert abs(float(phi.positions[0])) < 1e-3
    assert abs(float(phi.weights[0])) == pytest.approx(1.0, abs=1e-3)


def test_a_smooth_kernel_is_fitted_too():
    kernel = DotProductKernel(lambda c: np.exp(c - 1))
    phi = fitted(kernel, "nngp", terms=6)
    result = measured(phi, "nngp", degrees=8192, limit=9.0)
    assert kernel_error(kernel, result.kernel).rms < 5e-3
