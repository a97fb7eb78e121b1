"""Kernels measured on activations, against kernels known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sestina.ntk.activations import activation
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.designs.measures import kernel_error, measured
from sestina.ntk.designs.variance import ERROR_COSINES
from sestina.ntk.kernels.dot_product import DotProductKernel


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
@pytest.mark.parametrize("name", ["relu", "erf", "gelu", "abs"])
def test_one_layer_kernels_are_measured(name, kind):
    exact = FullyConnected(activation=name).dot_product(kind)(ERROR_COSINES)
    result = measured(activation(name), kind, degrees=8192, limit=10.0)
    # Beyond degree 8,192 a kink's series is lumped, which shows next to c = ±1 only.
    np.testing.assert_allclose(result.kernel(ERROR_COSINES)[2:-2], exact[2:-2], atol=1e-7)
    np.testing.assert_allclose(result.kernel(ERROR_COSINES), exact, atol=2e-4)


def test_coefficients_are_those_of_a_sinusoid():
    result = measured(activation({"name": "sin", "frequency": 2.0}), "nngp", degrees=40, limit=10.0)
    k = np.arange(1, 20, 2)
    expected = [math.exp(-4) * 4.0**degree / math.factorial(degree) for degree in k]
    np.testing.assert_allclose(result.coefficients_k[k], expected, rtol=1e-9)
    assert abs(result.coefficients_k[0:20:2]).max() < 1e-25


def test_errors_are_signed_at_one_and_leave_it_out_inside():
    target = DotProductKernel.from_coefficients([1.0])
    achieved = DotProductKernel.from_coefficients([1.0] + [0.0] * 4000 + [-0.5])
    error = kernel_error(target, achieved)
    assert error.at_one == -0.5
    assert error.max == 0.5
    # c = −1 is in the interior: degree 4,001 is odd. At the next angle c^4001 = 0.13.
    inside = 0.5 * ERROR_COSINES[1:] ** 4001
    assert error.sse_interior == pytest.approx(float((inside**2).sum()))
    assert error.sse == pytest.approx(0.25 + error.sse_interior)
    assert error.rms == pytest.approx(math.sqrt(error.sse / 100))
