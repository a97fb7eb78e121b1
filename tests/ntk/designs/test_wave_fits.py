"""Sums of sinusoids: exact recovery where there is one, a fit where there is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sestina.ntk.architectures import FullyConnected
from sestina.ntk.designs.forms import SinusoidSum
from sestina.ntk.designs.inverse import design
from sestina.ntk.kernels.dot_product import DotProductKernel


def kernel_of(phi, kind):
    return FullyConnected(activation=phi).dot_product(kind)


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
def test_half_sine_six_z_comes_back(kind):
    made = design(kernel_of(SinusoidSum([0.5], [6.0], [0.0]), kind), kind, "sinusoid")
    phi = made.activation
    assert isinstance(phi, SinusoidSum)
    assert phi.amplitudes.tolist() == pytest.approx([0.5], rel=1e-9)
    assert phi.frequencies.tolist() == pytest.approx([6.0], rel=1e-9)
    assert phi.phases.tolist() == pytest.approx([0.0], abs=1e-9)
    assert (phi.offset, phi.slope) == (0.0, 0.0)
    assert made.error.max < 1e-9


def test_it_comes_back_from_its_formula():
    def formula(c):
        return 0.25 * np.exp(-36.0) * (np.sinh(36 * c) + 36 * c * np.cosh(36 * c))

    phi = design(DotProductKernel(formula), form="sinusoid").activation
    assert isinstance(phi, SinusoidSum)
    assert phi.amplitudes.tolist() == pytest.approx([0.5], rel=1e-9)
    assert phi.frequencies.tolist() == pytest.approx([6.0], rel=1e-9)


@settings(max_examples=10)
@given(st.floats(0.2, 3.0), st.floats(0.5, 8.0), st.floats(-3.1, 3.1))
def test_amplitude_frequency_and_phase_come_back(amplitude, frequency, phase):
    original = SinusoidSum([amplitude], [frequency], [phase])
    kernel = kernel_of(original, "ntk")
    made = design(kernel, form="sinusoid")
    assert made.error.max < 1e-7 * kernel.total
    assert isinstance(made.activation, SinusoidSum)
    assert made.activation.amplitudes.size <= 2


def test_each_parity_may_have_its_own_frequency():
    original = SinusoidSum([0.7, 0.4], [2.0, 5.0], [math.pi / 2, 0.0])  # a cosine and a sine
    made = design(kernel_of(original, "ntk"), form="sinusoid")
    assert isinstance(made.activation, SinusoidSum)
    assert sorted(made.activation.frequencies.tolist()) == pytest.approx([2.0, 5.0], rel=1e-6)
    assert made.error.max < 1e-9


def test_offset_and_slope_are_told_from_the_wave():
    original = SinusoidSum([0.7], [2.0], [0.0], 0.5, 0.3)
    made = design(kernel_of(original, "nngp"), "nngp", "sinusoid")
    assert made.error.max < 1e-9
    assert isinstance(made.activation, SinusoidSum)
    assert made.activation.frequencies.tolist() == pytest.approx([2.0], rel=1e-6)
    assert made.activation.slope == pytest.approx(0.3, rel=1e-6)


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
def test_other_kernels_are_fitted(kind):
    kernel = FullyConnected(activation="erf", depth=3, sigma_w=1.5, sigma_b=0.3).dot_product(kind)
    made = design(kernel, kind, "sinusoid", terms=6)
    scale = float(np.sqrt((kernel(np.linspace(-1, 1, 99)) ** 2).mean()))
    assert isinstance(made.activation, SinusoidSum)
    assert made.activation.amplitudes.size == 6
    assert made.error.rms < 0.01 * scale


def test_polynomials_without_a_wave_are_affine():
    made = design(DotProductKernel.from_coefficients([0.3, 0.8]), form="sinusoid", terms=2)
    assert made.error.rms < 0.01
