"""Signs and limit together: what is gained by a limit, and what a width makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from sestina.ntk.architectures import FullyConnected
from sestina.ntk.designs.forms import HermiteSeries
from sestina.ntk.designs.measures import kernel_error, measured
from sestina.ntk.designs.searches import signs_and_limit
from sestina.ntk.designs.signs import magnitudes
from sestina.ntk.kernels.coefficients import asked_coefficients
from sestina.ntk.kernels.dot_product import DotProductKernel


@pytest.mark.parametrize("a_k", [[1.0], [0.0, 1.0], [0.0, 0.0, 0.0, 1.0], [0.5] * 3])
def test_short_series_have_signs_too(a_k):
    signs, limit = signs_and_limit(np.array(a_k), "ntk", width=4096, signs="searched")
    assert np.abs(signs).tolist() == [1.0] * len(a_k)
    assert 4 <= limit <= 24


def test_a_limit_tames_a_polynomial():
    deep = FullyConnected(activation="relu", depth=4, sigma_w=2**0.5, sigma_b=0.1)
    a_k = asked_coefficients(deep.dot_product("ntk"), 33).a_k
    signs, limit = signs_and_limit(a_k, "ntk", width=16_384, signs="searched")
    b_k = signs * magnitudes(a_k, "ntk")
    tamed = measured(HermiteSeries(b_k, limit), "ntk", degrees=64, limit=limit + 3)
    wild = measured(HermiteSeries(b_k), "ntk", degrees=64, limit=24.0)
    assert tamed.variance.rms < 4
    assert wild.variance.rms > 1e6
    bias = kernel_error(DotProductKernel.from_coefficients(a_k), tamed.kernel).rms
    assert bias < 5e-3


def test_a_wider_network_is_given_a_nearer_kernel():
    a_k = np.random.default_rng(1).uniform(size=12)
    target = DotProductKernel.from_coefficients(a_k)
    biases = []
    for width in (100, 10**13):
        signs, limit = signs_and_limit(a_k, "ntk", width=width, signs="searched")
        phi = HermiteSeries(signs * magnitudes(a_k, "ntk"), limit)
        result = measured(phi, "ntk", degrees=64, limit=limit + 3)
        biases.append(kernel_error(target, result.kernel).rms)
    assert biases[1] < 1e-3 < biases[0]
