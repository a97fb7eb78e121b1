"""Long Hermite series on grids, against 40-digit arithmetic and against themselves."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from sestina.ntk.gaussian.series import HalfGrid, Parts, evaluate, hermite_blocks, project


def rows(z, degrees):
    return np.concatenate([now.copy() for _, now, _ in hermite_blocks(np.asarray(z), degrees)])


@pytest.mark.parametrize("z", [0.0, 0.7, 3.0, 12.0])
def test_high_degrees_agree_with_forty_digit_arithmetic(z):
    degrees = 2000
    with mpmath.workdps(40):
        before, now = mpmath.mpf(0), mpmath.mpf(1)
        for k in range(degrees - 1):
            ahead = (z * now - mpmath.sqrt(k) * before) / mpmath.sqrt(k + 1)
            before, now = now, ahead
        expected = float(now)
    amplitude = math.exp(z * z / 4) * degrees**-0.25
    assert abs(rows([z], degrees)[-1, 0] - expected) < 1e-13 * amplitude


def test_blocks_come_with_the_degree_before():
    z = np.array([0.3, 2.0])
    whole = rows(z, 100)
    for first, now, before in hermite_blocks(z, 100):
        np.testing.assert_array_equal(now, whole[first : first + len(now)])
        if first:
            np.testing.assert_array_equal(before, whole[first - 1 : first - 1 + len(now)])


@pytest.mark.parametrize("degrees", [1, 2, 31, 32, 33, 65])
def test_evaluation_is_the_sum_of_its_terms(degrees):
    b = np.random.default_rng(degrees).normal(size=degrees)
    z = np.linspace(0, 4, 17)
    parts = evaluate(b, z)
    step = 1e-5
    for sign in (1, -1):
        value = b @ rows(sign * z, degrees)
        slope = (b @ rows(sign * z + step, degrees) - b @ rows(sign * z - step, degrees)) / 2 / step
        np.testing.assert_allclose(parts.even_g + sign * parts.odd_g, value, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(
            parts.odd_slope_g + sign * parts.even_slope_g, slope, rtol=1e-6, atol=1e-4
        )


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40))
def test_projection_undoes_evaluation(coefficients):
    b = np.array(coefficients)
    # h₃₉² e^{−z²/2} reaches to its turning point 2√39 = 12.5 and, to 1e-10, some way beyond.
    grid = HalfGrid.up_to(20.0, 0.05)
    parts = evaluate(b, grid.z_g)
    even, odd = project(grid, parts.even_g[None], parts.odd_g[None], b.size)
    np.testing.assert_allclose(even[0], b[0::2], atol=1e-10)
    np.testing.assert_allclose(odd[0], b[1::2], atol=1e-10)


def test_both_grids_integrate_the_gaussian():
    for grid in (HalfGrid.up_to(10.0, 0.1), HalfGrid.panels(10.0)):
        for power, moment in ((0, 1.0), (2, 1.0), (4, 3.0), (6, 15.0)):
            assert grid.mean(grid.z_g**power) == pytest.approx(moment, rel=1e-12)


def test_panels_end_at_the_breaks():
    step_at = 0.7312
    grid = HalfGrid.panels(9.0, [-step_at])
    assert grid.mean((grid.z_g > step_at).astype(float)) == pytest.approx(
        2 * ndtr(-step_at), abs=1e-14
    )


def test_parts_recover_the_function_on_both_sides():
    z = np.linspace(0, 2, 5)
    parts = Parts.of(np.exp(z), np.exp(-z), np.exp(z), np.exp(-z))
    np.testing.assert_allclose(parts.even_g + parts.odd_g, np.exp(z))
    np.testing.assert_allclose(parts.odd_slope_g - parts.even_slope_g, np.exp(-z))
    np.testing.assert_allclose(parts.square_g, (np.exp(2 * z) + np.exp(-2 * z)) / 2)
    np.testing.assert_allclose(parts.slope_square_g, np.cosh(2 * z))


def test_beyond_the_limit_goes_on_along_the_tangent():
    z = np.array([0.5, 1.0, 3.0])
    parts = evaluate(np.array([0.2, 0.3, 0.5]), np.minimum(z, 1.0)).beyond(1.0, z)
    inside = evaluate(np.array([0.2, 0.3, 0.5]), np.array([1.0]))
    value = inside.even_g + inside.odd_g
    slope = inside.odd_slope_g + inside.even_slope_g
    assert (parts.even_g + parts.odd_g)[2] == pytest.approx(float(value[0] + 2 * slope[0]))
    assert (parts.even_g - parts.odd_g)[0] == pytest.approx(0.2 - 0.15 + 0.5 * (0.25 - 1) / 2**0.5)
