"""Tests of kernels by name."""

from __future__ import annotations

import math

import pytest

from sestina.core.errors import (
    DivergentKernelError,
    InvalidValueError,
    OptionError,
    UnknownNameError,
)
from sestina.ntk.activations import LeakyReLU, Sin
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.kernels.targets import parse_target


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("relu", FullyConnected(activation="relu")),
        (
            "relu:depth=4,sigma_w=1.41421356,sigma_b=0.1",
            FullyConnected(activation="relu", depth=4, sigma_w=1.41421356, sigma_b=0.1),
        ),
        ("erf:depth=4", FullyConnected(activation="erf", depth=4)),
        (
            "sin:amplitude=0.5,frequency=6",
            FullyConnected(activation=Sin(0.5, 6.0)),
        ),
        (
            " leaky_relu: slope = 0.2 , depth = 2, residual=true ",
            FullyConnected(activation=LeakyReLU(0.2), depth=2, residual=True),
        ),
        (
            "tanh:parametrisation=standard,width=64,input_width=3",
            FullyConnected(activation="tanh", parametrisation="standard", width=64, input_width=3),
        ),
    ],
)
def test_networks_are_named(text, network):
    expected = network.dot_product("ntk")
    assert parse_target(text).spec() == expected.spec()
    assert parse_target(text, "nngp").total == network.dot_product("nngp").total


def test_roots_are_understood():
    for text in ("relu:sigma_w=sqrt(2)", "relu:sigma_w=sqrt2"):
        assert parse_target(text).total == FullyConnected(
            activation="relu", sigma_w=math.sqrt(2)
        ).dot_product("ntk")(1.0)


def test_polynomials_are_named_by_their_coefficients():
    kernel = parse_target("poly:0, 0, 1, sqrt(4)")
    assert kernel.coefficients(5).tolist() == [0, 0, 1, 2, 0]


@pytest.mark.parametrize(
    ("text", "error", "problem"),
    [
        ("rellu", UnknownNameError, "did you mean 'relu'"),
        ("pol:1", UnknownNameError, "did you mean 'poly'"),
        ("", UnknownNameError, "write e.g. relu:depth=4"),
        ("relu:dept=4", OptionError, "did you mean 'depth'"),
        ("relu:slope=0.1", OptionError, "option of relu is 'slope'"),
        ("relu:depth", OptionError, "expected option=value"),
        ("relu:depth=4,depth=5", OptionError, "each option once"),
        ("relu:depth=four", OptionError, "depth is 'four'"),
        ("relu:depth=2.5", InvalidValueError, "depth is 2.5"),
        ("relu:sigma_w=nan", InvalidValueError, "sigma_w is nan"),
        ("hermite", OptionError, "expected degree as well"),
        ("poly:", OptionError, "expected the coefficients a0,a1,…"),
        ("poly:1,,2", OptionError, "poly coefficient 1"),
        ("poly:1,x", OptionError, "poly coefficient 1 is 'x'"),
        ("sign", DivergentKernelError, "infinite"),
    ],
)
def test_what_is_wrong_is_named(text, error, problem):
    with pytest.raises(error, match=problem):
        parse_target(text)


def test_a_coefficient_that_is_no_number_is_shown_a_series_that_is_right():
    with pytest.raises(OptionError, match=r"write e\.g\. poly:0,0\.5,1\.4142$"):
        parse_target("poly:0,a")


def test_an_option_that_is_a_list_is_refused_with_another_way():
    with pytest.raises(OptionError, match=r"a list can't be written.*poly:a0"):
        parse_target("polynomial:coefficients=1")
