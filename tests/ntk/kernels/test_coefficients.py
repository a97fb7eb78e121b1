"""Which kernels can be had, what is said of the others, and how a long series is cut."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from sestina.core.errors import (
    DivergentKernelError,
    InvalidValueError,
    NonFiniteError,
    NotAchievableError,
)
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.kernels.coefficients import AskedCoefficients, asked_coefficients, truncated
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.kernels.targets import parse_target

COSINES = np.cos(np.linspace(0, math.pi, 201))


def kernel_of(*a):
    return DotProductKernel.from_coefficients(list(a))


def test_achievable_kernels_give_their_coefficients():
    asked = asked_coefficients(DotProductKernel(lambda c: np.exp(c - 1)), 40)
    expected = [math.exp(-1) / math.factorial(k) for k in range(10)]
    np.testing.assert_allclose(asked.a_k[:10], expected, rtol=1e-9)
    assert asked.total == pytest.approx(1.0)
    assert asked.tail < 1e-12


def test_the_certificate_names_degree_value_and_the_nearest_kernel():
    with pytest.raises(NotAchievableError) as caught:
        asked_coefficients(kernel_of(1.0, 0.5, -0.1, 0.3), 100)
    error = caught.value
    assert error.indices == (2,)
    assert error.coefficients == pytest.approx((-0.1,))
    assert isinstance(error.nearest, DotProductKernel)
    assert (error.nearest.coefficients(8) >= 0).all()
    gap = np.abs(error.nearest(COSINES) - kernel_of(1.0, 0.5, -0.1, 0.3)(COSINES)).max()
    assert gap == pytest.approx(error.distance, rel=1e-3)
    # Clipping alone would leave 0.1.
    assert error.distance < 0.06
    assert "a_2 = -0.1" in str(error)


def test_the_nearest_kernel_is_achievable_and_no_clipped_neighbour_is_nearer():
    target = DotProductKernel(lambda c: np.cos(1.5 * c))
    with pytest.raises(NotAchievableError) as caught:
        asked_coefficients(target, 64)
    nearest = caught.value.nearest
    assert isinstance(nearest, DotProductKernel)
    asked_coefficients(nearest, 64)
    angles = np.cos(np.linspace(0, math.pi, 401))

    def distance(a):
        return ((np.polynomial.polynomial.polyval(angles, a) - target(angles)) ** 2).mean()

    best = nearest.coefficients(12)
    for k in range(12):
        for step in (0.01, -0.01):
            other = best.copy()
            other[k] = max(0.0, other[k] + step)
            assert distance(other) >= distance(best) - 1e-12


def test_a_deep_kernel_less_a_little_is_refused_with_a_near_neighbour():
    relu = FullyConnected(activation="relu", depth=2).dot_product("ntk")
    spoilt = DotProductKernel(lambda c: relu(c) - 0.2 * c**3)
    with pytest.raises(NotAchievableError) as caught:
        asked_coefficients(spoilt, 2000)
    assert caught.value.indices == (3,)
    assert caught.value.distance < 0.2


@pytest.mark.parametrize(("size", "is_refused"), [(1e-9, True), (1e-11, True), (1e-14, False)])
def test_rounding_is_told_from_a_negative_coefficient(size, is_refused):
    kernel = DotProductKernel(lambda c: np.exp(c) - size * c**2 - c**2 / 2)
    if is_refused:
        with pytest.raises(NotAchievableError):
            asked_coefficients(kernel, 1000)
    else:
        assert asked_coefficients(kernel, 1000).a_k[2] == 0


@pytest.mark.parametrize("degrees", [100, 1000, 16_384])
def test_no_network_is_refused_for_the_noise_of_its_coefficients(degrees):
    for activation in ("relu", "erf", "gelu"):
        network = FullyConnected(activation=activation, depth=3, sigma_w=1.3, sigma_b=0.2)
        for kind in ("ntk", "nngp"):
            assert (asked_coefficients(network.dot_product(kind), degrees).a_k >= 0).all()


def test_kernels_known_on_the_real_axis_only_are_fitted_or_refused():
    good = DotProductKernel(lambda c: np.exp(np.real(c)), complex_argument=False)
    asked = asked_coefficients(good, 200)
    assert np.polynomial.polynomial.polyval(0.3, asked.a_k) == pytest.approx(
        math.exp(0.3), rel=1e-6
    )
    for function in (lambda c: np.cos(3 * c), lambda c: 2 - np.abs(c), lambda c: -c):
        bad = DotProductKernel(function, complex_argument=False)
        with pytest.raises(NotAchievableError) as caught:
            asked_coefficients(bad, 200)
        assert caught.value.coefficients[0] < 0


def test_infinite_and_empty_kernels_are_refused():
    with pytest.raises(DivergentKernelError, match="inf"), np.errstate(divide="ignore"):
        asked_coefficients(DotProductKernel(lambda c: 1 / (1 - c)), 100)
    with pytest.raises(InvalidValueError, match="zero"):
        asked_coefficients(kernel_of(0.0, 0.0), 100)


def test_a_cut_series_keeps_its_sum_its_signs_and_its_beginning():
    relu = FullyConnected(activation="relu", depth=4, sigma_w=2**0.5, sigma_b=0.1)
    asked = asked_coefficients(relu.dot_product("ntk"), 4000)
    a_k = truncated(asked, 1000)
    assert a_k.size == 1000
    assert a_k.sum() == pytest.approx(5.07, abs=1e-12)
    assert (a_k >= 0).all()
    np.testing.assert_array_equal(a_k[:750], asked.a_k[:750])


def test_a_series_that_ends_is_left_alone():
    asked = asked_coefficients(kernel_of(0.0, 0.0, 1.0, 1.0), 100)
    assert truncated(asked, 100).tolist() == [0, 0, 1, 1]


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=60),
    st.floats(0, 1),
    st.integers(1, 60),
)
def test_truncation_is_achievable_and_keeps_the_total(a, tail, degrees):
    a_k = np.array(a)
    total = float(a_k.sum()) + tail
    result = truncated(AskedCoefficients(a_k=a_k, total=total), degrees)
    assert (result >= 0).all()
    assert result.size <= max(degrees, a_k.size)
    if min(result.size, degrees) > 2 and (tail > 1e-6 or a_k.size > degrees):
        assert result.sum() == pytest.approx(total)


REFUSED = {  # (kernel, the first coefficients that are negative)
    "a pole within the disc": (DotProductKernel(lambda c: 1 / (1 + 25 * c**2)), {2: -25.0}),
    "the same, real": (
        DotProductKernel(lambda c: 1 / (1 + 25 * np.real(c) ** 2), complex_argument=False),
        {2: -25.0},
    ),
    "far out": (kernel_of(*[0.01] * 60, -0.3), {60: -0.3}),
    "nothing else": (kernel_of(-1.0), {0: -1.0}),
    "a kink at zero": (
        DotProductKernel(lambda c: 2 - np.abs(c), complex_argument=False),
        {1: -1.0},
    ),
}


@pytest.mark.parametrize(("kernel", "expected"), REFUSED.values(), ids=REFUSED)
def test_certificates_state_the_true_coefficients(kernel, expected):
    with pytest.raises(NotAchievableError) as caught:
        asked_coefficients(kernel, 16_384)
    found = dict(zip(caught.value.indices, caught.value.coefficients, strict=True))
    for k, value in expected.items():
        assert found[k] == pytest.approx(value, rel=1e-5)
    if kernel.total > 0:
        c = np.cos(np.linspace(0, math.pi, 401))
        powers = c[:, None] ** np.arange(100)
        best = np.linalg.norm(powers @ nnls(powers, kernel(c), maxiter=10_000)[0] - kernel(c))
        assert np.linalg.norm(caught.value.nearest(c) - kernel(c)) <= 1.01 * best + 1e-9


ACHIEVABLE = {
    "degrees of ten thousand": DotProductKernel(lambda c: np.exp(1.6e4 * (c - 1))),
    "a wave of them": parse_target("sin:frequency=130", kind="nngp"),
}


@pytest.mark.parametrize("kernel", ACHIEVABLE.values(), ids=ACHIEVABLE)
def test_no_kernel_is_refused_for_degrees_that_are_not_read(kernel):
    assert (asked_coefficients(kernel, 16_384).a_k >= 0).all()


@pytest.mark.parametrize(
    "kernel",
    [
        DotProductKernel(lambda c: c**20_000),
        DotProductKernel(lambda c: np.exp(2e4 * (c - 1))),
        kernel_of(*[0.0] * 16_400, 1.0),
    ],
)
def test_degrees_beyond_are_named(kernel):
    with pytest.raises(InvalidValueError, match="its first 16,384 coefficients make "):
        asked_coefficients(kernel, 16_384)


def test_a_sound_real_function_beyond_what_a_fit_tells_is_not_accused():
    # Every coefficient of 1 − √(1 − c²) is at least 0; those above 255 make 0.05.
    kernel = DotProductKernel(
        lambda c: 1 - np.sqrt(np.maximum(0, 1 - np.real(c) ** 2)), complex_argument=False
    )
    with pytest.raises(InvalidValueError, match="complex arrays") as caught:
        asked_coefficients(kernel, 256)
    assert not isinstance(caught.value, NotAchievableError)


def test_samples_of_no_kernel_are_refused():
    c = np.cos(np.linspace(0, math.pi, 200))
    kernel = DotProductKernel.from_samples(c, np.cos(3 * c))
    with pytest.raises(InvalidValueError, match="samples is off by up to 1 from"):
        asked_coefficients(kernel, 200)
    noisy = np.exp(c) + 0.02 * np.sin(40 * c)
    assert asked_coefficients(DotProductKernel.from_samples(c, noisy), 200).total > 2


def test_a_function_that_is_nan_somewhere_is_named():
    for function, is_complex in ((np.sqrt, True), (np.log1p, False)):
        kernel = DotProductKernel(lambda c, f=function: f(c) + 1, complex_argument=is_complex)
        with pytest.raises(NonFiniteError, match="K on"), np.errstate(all="ignore"):
            asked_coefficients(kernel, 100)
