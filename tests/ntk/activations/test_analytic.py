"""Tests of literal values of the smooth closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from sestina.core.errors import InvalidValueError
from sestina.ntk.activations import GELU, RBF, Cos, Erf, Exp, Gaussian, Sin


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_rbf_gives_the_gaussian_kernel():
    q1, q2, k12 = tensor(1.2), tensor(0.8), tensor(0.3)
    value, _ = RBF(0.7).duals(q1, q2, k12)
    assert value.item() == pytest.approx(math.exp(-0.7 * (1.2 + 0.8 - 0.6)))


def test_erf_of_wide_inputs_becomes_sign():
    # (2/π) asin ρ
    value, _ = Erf().duals(tensor(1e9), tensor(1e9), tensor(0.5e9))
    assert value.item() == pytest.approx(1 / 3, abs=1e-8)


def test_erf_and_gelu_keep_their_digits_for_wide_equal_inputs():
    q = 1e12
    # 1 − (2/π) acos(2q/(1+2q)) with acos(1 − x) ≈ √(2x), x = 1/2q
    value = Erf().moments(tensor(q))[0].item()
    assert 1 - value == pytest.approx(2 / math.pi * math.sqrt(1 / q), rel=1e-3)
    # GELU becomes ReLU, with E[φ²] = q/2.
    assert GELU().moments(tensor(q))[0].item() == pytest.approx(q / 2, rel=1e-9)


def test_sine_and_cosine_differ_by_their_phase():
    q1, q2, k12 = tensor(0.4), tensor(1.1), tensor(-0.2)
    cosine = Cos(1.3, 2.0, 0.4).duals(q1, q2, k12)
    sine = Sin(1.3, 2.0, 0.4 + math.pi / 2).duals(q1, q2, k12)
    torch.testing.assert_close(cosine, sine)


def test_half_sine_six_is_the_parity_kernel():
    # NTK of A sin ωz, one hidden layer: A² e^{−ω²} (sinh ω²c + ω²c cosh ω²c)
    one, c = tensor(1.0), tensor(0.3)
    value, slope = Sin(0.5, 6.0).duals(one, one, c)
    x = 36 * 0.3
    expected = 0.25 * math.exp(-36) * (math.sinh(x) + x * math.cosh(x))
    assert (value + c * slope).item() == pytest.approx(expected)


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_a_growing_gaussian_is_refused(rate):
    with pytest.raises(InvalidValueError, match=r"b is .*expected a finite number below 0"):
        Gaussian(1.0, rate)


def test_a_gaussian_kernel_without_width_is_refused():
    with pytest.raises(InvalidValueError, match="gamma is 0"):
        RBF(0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sin(1e200),
        lambda: Cos(1.0, 1e200),
        lambda: Exp(1.0, -1e200),
        lambda: Gaussian(1.0, -1e200),
    ],
)
def test_numbers_whose_squares_overflow_are_refused(make):
    with pytest.raises(InvalidValueError, match=r"1e\+200, expected a number .* 1e\+100"):
        make()


def test_an_integer_that_no_float_holds_is_refused():
    with pytest.raises(InvalidValueError, match="amplitude"):
        Sin(10**400)
