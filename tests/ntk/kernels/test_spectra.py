"""Eigenvalues against eigendecompositions of kernel matrices, integrals and exact fractions."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import eval_gegenbauer

from sestina.core.errors import InvalidValueError, ShapeError
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.kernels.spectra import hypercube_power, hypercube_spectrum, sphere_spectrum
from sestina.ntk.kernels.targets import parse_target

DEEP_RELU = "relu:depth=4,sigma_w=sqrt(2),sigma_b=0.1"
TARGETS = [DEEP_RELU, "relu:depth=1", "erf:depth=3", "sin:amplitude=0.5,frequency=6"]


def cube(bits):
    return np.array(list(product((1.0, -1.0), repeat=bits)))


def by_integral(kernel, dimension, degree):
    """∫ K(c) P(c) (1 − c²)^{(d−3)/2} dc over the same without K and P, in the angle."""
    order = (dimension - 2) / 2

    def polynomial(c):
        if dimension == 2:
            return math.cos(degree * math.acos(c))
        return eval_gegenbauer(degree, order, c) / eval_gegenbauer(degree, order, 1.0)

    def weight(angle):
        return math.sin(angle) ** (dimension - 2)

    total = quad(weight, 0, math.pi)[0]
    options = {"epsabs": 1e-13, "epsrel": 1e-11, "limit": 200}
    return (
        quad(
            lambda a: kernel(math.cos(a)) * polynomial(math.cos(a)) * weight(a),
            0,
            math.pi,
            **options,
        )[0]
        / total
    )


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dimension", [2, 3, 7, 30])
def test_sphere_eigenvalues_equal_adaptive_integrals(target, dimension):
    kernel = parse_target(target)
    spectrum = sphere_spectrum(kernel, dimension, max_degree=6)
    expected = [by_integral(kernel, dimension, degree) for degree in range(7)]
    np.testing.assert_allclose(spectrum.eigenvalues, expected, atol=2e-12 * kernel.total, rtol=1e-9)
    assert (np.abs(spectrum.eigenvalues - expected) <= spectrum.errors + 1e-12).all()


def test_every_power_on_the_sphere_has_its_exact_eigenvalues():
    """By exact moments E[c^k P(c)] on S^4: Legendre-type polynomials in fractions."""
    dimension, power = 5, 7
    moments = [Fraction(1)]  # E c^{2j} = Π (2i−1)/(d+2i−2)
    for j in range(1, 10):
        moments.append(moments[-1] * Fraction(2 * j - 1, dimension + 2 * j - 2))

    def mean(coefficients):
        return sum(a * moments[k // 2] for k, a in enumerate(coefficients) if k % 2 == 0)

    previous, current = [Fraction(1)], [Fraction(0), Fraction(1)]
    expected = []
    for degree in range(8):
        polynomial = previous
        expected.append(float(mean([Fraction(0)] * power + polynomial)))
        following = [Fraction(0), *[(2 * (degree + 1) + dimension - 2) * a for a in current]]
        for k, a in enumerate(previous):
            following[k] -= (degree + 1) * a
        previous, current = current, [a / (degree + 1 + dimension - 2) for a in following]
    kernel = DotProductKernel.from_coefficients([0] * power + [1])
    found = sphere_spectrum(kernel, dimension, max_degree=7)
    np.testing.assert_allclose(found.eigenvalues, expected, rtol=1e-12, atol=1e-18)
    assert found.multiplicities @ found.eigenvalues == pytest.approx(1.0, rel=1e-12)
    assert found.remainder < 1e-12


def test_eigenvalues_on_the_circle_are_fourier_coefficients():
    kernel = parse_target(DEEP_RELU)
    angles = 2 * np.pi * np.arange(2**16) / 2**16
    fourier = np.fft.rfft(kernel(np.cos(angles))).real / 2**16
    found = sphere_spectrum(kernel, 2, max_degree=50)
    # The sampled kernel has a kink, so that its own aliasing is 1e-9.
    np.testing.assert_allclose(found.eigenvalues, fourier[:51], atol=1e-8)


def test_high_degrees_in_high_dimension_keep_their_digits():
    """exp(c) on S^{d−1} has eigenvalues 2^{d/2−1} Γ(d/2) I_{ℓ+d/2−1}(1), here by its series."""
    kernel, dimension = DotProductKernel(np.exp), 784
    found = sphere_spectrum(kernel, dimension, max_degree=30)
    for degree in (0, 1, 10, 30):
        order = degree + dimension / 2 - 1
        log_first = (
            (dimension / 2 - 1) * math.log(2)
            + math.lgamma(dimension / 2)
            - order * math.log(2)
            - math.lgamma(order + 1)
        )
        series = sum(
            math.exp(log_first + math.lgamma(order + 1) - math.lgamma(order + 1 + m))
            / (4**m * math.factorial(m))
            for m in range(10)
        )
        assert found.eigenvalues[degree] == pytest.approx(series, rel=1e-11)


@pytest.mark.parametrize("target", TARGETS)
def test_hypercube_eigenvalues_are_those_of_the_whole_kernel_matrix(target):
    kernel, bits = parse_target(target), 7
    points = cube(bits)
    matrix = kernel(points @ points.T / bits) / 2**bits
    spectrum = hypercube_spectrum(kernel, bits)
    for size in range(bits + 1):
        parity = points[:, :size].prod(1)
        eigenvalue = parity @ matrix @ parity / 2**bits
        assert spectrum.eigenvalues[size] == pytest.approx(eigenvalue, abs=1e-14 * kernel.total)
    total = spectrum.eigenvalues @ spectrum.multiplicities
    assert total == pytest.approx(kernel.total, rel=1e-12)
    assert spectrum.remainder == 0.0
    assert spectrum.domain_size == 128


def test_the_parity_of_many_bits_has_an_exact_tiny_eigenvalue():
    """exp(30 c) on 30 bits: the flips of one input are even or odd: sinh^s cosh^{n−s}."""
    kernel, bits = DotProductKernel(lambda c: np.exp(30 * (c - 1))), 30
    found = hypercube_spectrum(kernel, bits)
    expected = [
        math.sinh(1) ** s * math.cosh(1) ** (bits - s) * math.exp(-30) for s in range(bits + 1)
    ]
    np.testing.assert_allclose(found.eigenvalues, expected, rtol=1e-10)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(1, 6))
@settings(max_examples=30)
def test_achievable_kernels_have_no_negative_eigenvalue(coefficients, bits):
    kernel = DotProductKernel.from_coefficients(coefficients)
    for spectrum in (hypercube_spectrum(kernel, bits), sphere_spectrum(kernel, bits + 1)):
        assert (spectrum.eigenvalues >= -1e-15).all()
        listed = float(spectrum.eigenvalues @ spectrum.multiplicities)
        assert listed + spectrum.remainder == pytest.approx(kernel.total, abs=1e-10)


@given(st.integers(0, 6), st.integers(0, 100))
@settings(max_examples=20)
def test_power_adds_up_to_the_mean_square(bits, seed):
    values = np.random.default_rng(seed).normal(size=2**bits)
    assert hypercube_power(values).sum() == pytest.approx((values**2).mean())


def test_power_of_parities_lies_in_their_level():
    points = cube(5)[:, ::-1]  # bit b of the index is column b
    for size in range(6):
        power = hypercube_power(points[:, :size].prod(1))
        np.testing.assert_allclose(power, np.eye(6)[size], atol=1e-15)


def test_bad_dimensions_and_lengths_are_named():
    kernel = DotProductKernel.from_coefficients([0.0, 1.0])
    with pytest.raises(InvalidValueError, match="dimension is 1"):
        sphere_spectrum(kernel, 1)
    with pytest.raises(InvalidValueError, match="max_degree"):
        sphere_spectrum(kernel, 3, max_degree=-1)
    with pytest.raises(InvalidValueError, match="dimension"):
        hypercube_spectrum(kernel, 0)
    for values in ([1.0, 2.0, 3.0], np.ones((2, 2)), []):
        with pytest.raises(ShapeError, match="2\\^d"):
            hypercube_power(values)


def cube_matrix(kernel, bits):
    corners = np.array(list(product((-1.0, 1.0), repeat=bits)))
    return kernel(corners @ corners.T / bits) / 2**bits


INDEFINITE = {
    "a negative coefficient": DotProductKernel.from_coefficients([-0.5, 0.0, 1.5]),
    "real only": DotProductKernel(
        lambda c: np.exp(-np.sqrt(np.maximum(2 - 2 * c, 0))), complex_argument=False
    ),
    "no kernel": DotProductKernel(lambda c: (np.abs(c) ** 1.5 + c**2) / 2, complex_argument=False),
}


@pytest.mark.parametrize("kernel", INDEFINITE.values(), ids=INDEFINITE)
@pytest.mark.parametrize("bits", [1, 3, 6, 9])
def test_the_hypercube_keeps_signs_and_needs_no_series(kernel, bits):
    spectrum = hypercube_spectrum(kernel, bits)
    listed = np.repeat(spectrum.eigenvalues, spectrum.multiplicities.astype(int))
    exact = np.linalg.eigvalsh(cube_matrix(kernel, bits))
    assert np.sort(listed) == pytest.approx(exact, abs=1e-13)
    assert (spectrum.errors <= 1e-13).all()


@pytest.mark.parametrize("kernel", INDEFINITE.values(), ids=INDEFINITE)
def test_the_sphere_keeps_signs_and_says_how_far_it_may_be_off(kernel):
    spectrum = sphere_spectrum(kernel, 3, max_degree=6)
    for degree in range(7):
        legendre = np.polynomial.legendre.Legendre.basis(degree)
        exact = quad(
            lambda c, p=legendre: float(kernel(c)) * p(c) / 2, -1, 1, points=[0], epsabs=1e-13
        )[0]
        gap = abs(spectrum.eigenvalues[degree] - exact)
        assert gap <= spectrum.errors[degree] + 1e-11, degree
        assert spectrum.errors[degree] < 1e-5
