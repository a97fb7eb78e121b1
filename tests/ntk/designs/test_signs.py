"""The search of signs, against trying them all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sestina.ntk.architectures import FullyConnected
from sestina.ntk.designs.forms import HermiteSeries
from sestina.ntk.designs.measures import kernel_error, measured
from sestina.ntk.designs.searches import signs_and_limit
from sestina.ntk.designs.signs import alternating_signs, chosen_signs, magnitudes
from sestina.ntk.kernels.coefficients import asked_coefficients, truncated
from sestina.ntk.kernels.dot_product import DotProductKernel


def squared_error(signs, a_k, kind, width, limit):
    """bias² + variance/width by quadrature."""
    phi = HermiteSeries(signs * magnitudes(a_k, kind), limit)
    result = measured(phi, kind, degrees=max(64, a_k.size), limit=limit + 3)
    bias = kernel_error(DotProductKernel.from_coefficients(a_k), result.kernel).rms
    return bias**2 + result.variance.rms**2 / width


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
@pytest.mark.parametrize("seed", range(2))
def test_the_search_finds_the_best_of_all_signs(kind, seed):
    a_k = np.random.default_rng(seed).uniform(size=6) * 0.7 ** np.arange(6)
    found = chosen_signs(magnitudes(a_k, kind), kind, width=1000, limit=8.0)
    all_signs = [np.array((1.0, *rest)) for rest in itertools.product((1.0, -1.0), repeat=5)]
    best = min(squared_error(signs, a_k, kind, 1000, 8.0) for signs in all_signs)
    assert squared_error(found, a_k, kind, 1000, 8.0) == pytest.approx(best, rel=1e-3)


def test_deep_relu_flips_the_sign_of_the_linear_term():
    deep = FullyConnected(activation="relu", depth=4, sigma_w=2**0.5, sigma_b=0.1)
    asked = asked_coefficients(deep.dot_product("ntk"), 2000)
    a_k = truncated(asked, 512)
    found, limit = signs_and_limit(a_k, "ntk", width=16_384, signs="searched")
    assert limit == 7.0
    # + − − − + + − − …, mirrored to make the first odd sign positive.
    flipped = alternating_signs(512)
    flipped[1] *= -1
    flipped[1::2] *= -1
    np.testing.assert_array_equal(found, flipped)
    plain, _ = signs_and_limit(a_k, "ntk", width=16_384, signs="alternating")
    np.testing.assert_array_equal(plain, alternating_signs(512))
    before, after = (squared_error(s, a_k, "ntk", 1, 7.0) ** 0.5 for s in (plain, found))
    assert after < 0.88 * before


def test_the_choice_is_the_same_every_time():
    a_k = np.random.default_rng(5).uniform(size=60) * 0.9 ** np.arange(60)
    first, second = (signs_and_limit(a_k, "ntk", width=4096, signs="searched") for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    assert first[1] == second[1]


def test_first_terms_of_both_parities_are_positive():
    for seed in range(5):
        a_k = np.random.default_rng(seed).uniform(size=12)
        a_k[: seed % 3] = 0
        signs = chosen_signs(magnitudes(a_k, "ntk"), "ntk", width=4096, limit=6.0)
        for parity in (0, 1):
            present = np.flatnonzero(a_k[parity::2])
            assert signs[parity::2][present[0]] == 1
