"""Tests of what people may write for an activation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sestina.core.errors import InvalidValueError, OptionError, UnknownNameError
from sestina.ntk.activations import (
    GELU,
    Abs,
    Custom,
    Erf,
    LeakyReLU,
    Polynomial,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
    activation,
)
from sestina.ntk.kernels.dot_product import DotProductKernel

PIECEWISE = [
    nn.ELU(),
    nn.ELU(alpha=0.5),
    nn.CELU(),
    nn.SELU(),
    nn.Hardtanh(-2.0, 1.5),
    nn.ReLU6(),
    nn.Hardswish(),
    nn.Hardsigmoid(),
    nn.Softshrink(0.4),
    nn.Softsign(),
]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("relu", ReLU),
        ({"name": "erf"}, Erf),
        (nn.ReLU(), ReLU),
        (nn.ReLU(inplace=True), ReLU),
        (nn.LeakyReLU(0.3), LeakyReLU),
        (nn.GELU(), GELU),
        (nn.GELU(approximate="tanh"), Custom),
        (nn.Tanh(), Tanh),
        (nn.Sigmoid(), Sigmoid),
        (nn.SiLU(), SiLU),
        (nn.Softplus(), Softplus),
        (nn.Mish(), Custom),
        (nn.Identity(), Polynomial),
        (torch.relu, ReLU),
        (torch.abs, Abs),
        (nn.functional.gelu, GELU),
        (torch.atan, Custom),
    ],
)
def test_names_specs_modules_and_functions_are_understood(value, kind):
    assert type(activation(value)) is kind


def test_an_activation_is_itself():
    phi = ReLU()
    assert activation(phi) is phi


def test_arguments_of_modules_are_kept():
    assert activation(nn.LeakyReLU(0.3)).spec() == {"name": "leaky_relu", "slope": 0.3}
    assert activation(nn.Softplus(beta=2.0)).spec() == {"name": "softplus", "beta": 2.0}


@pytest.mark.parametrize("module", PIECEWISE, ids=repr)
def test_kinks_of_pytorchs_modules_are_known(module):
    phi = activation(module)
    q = torch.tensor([0.8, 3.0], dtype=torch.float64)
    value, _ = phi.moments(q)
    z = torch.randn(400_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sampled = (module(q[:, None].sqrt() * z) ** 2).mean(1)
    torch.testing.assert_close(value, sampled, rtol=0.02, atol=1e-3)


def test_a_module_that_jumps_has_no_tangent_kernel():
    assert not activation(nn.Hardshrink(0.5)).has_ntk
    assert not activation(nn.Threshold(0.5, -1.0)).has_ntk


@pytest.mark.parametrize("value", [3, None, ["relu"]])
def test_other_things_are_refused(value):
    with pytest.raises(InvalidValueError, match=r"activation is .*pass one of the names"):
        activation(value)


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(UnknownNameError, match="did you mean 'relu'"):
        activation("reLu6")


def test_a_spec_needs_a_name():
    with pytest.raises(OptionError, match="a mapping with the key 'name'"):
        activation({"slope": 0.1})


def test_a_kernel_is_no_activation_although_it_can_be_called():
    kernel = DotProductKernel.from_coefficients([0.0, 1.0])
    with pytest.raises(InvalidValueError, match=r"design\(kernel\).activation"):
        activation(kernel)
