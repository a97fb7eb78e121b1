"""Fast kernel matrices against the plain ones."""

import math

import numpy as np
import pytest
import torch

from sestina.core.errors import InvalidValueError, OffSphereError, ShapeError
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.kernels.targets import parse_target
from sestina.ntk.matrices.curves import input_matrix, tabulated

DEEP = "relu:depth=20,sigma_w=sqrt(2),sigma_b=0.1"


def rows(seed, n=30, d=6):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("target", [DEEP, "erf:depth=2", "poly:0.1,0.5,0.4"])
@pytest.mark.parametrize("form", ["radial", "normalise"])
def test_matrices_equal_the_kernels_own(target, form):
    kernel = parse_target(target)
    x, y = rows(0), rows(1, n=12)
    for other in (None, y):
        expected = kernel.matrix(x, other, form=form)
        found = input_matrix(kernel, x, other, form=form)
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)
        mixed = input_matrix(kernel * 0.5 + kernel * 0.5, x, other, form=form)
        torch.testing.assert_close(mixed, expected, rtol=1e-8, atol=1e-8)


def test_tables_reach_their_stated_accuracy():
    c = np.cos(np.linspace(0, math.pi, 40_001))
    deep = parse_target(DEEP)
    assert np.abs(tabulated(deep)(c) - deep(c)).max() < 2e-10 * deep.total
    power = DotProductKernel.from_coefficients(np.eye(1, 16_001, 16_000)[0])
    assert np.abs(tabulated(power)(c) - c**16_000).max() < 1e-6
    assert tabulated(deep).spec() == deep.spec()


def test_a_bias_is_one_more_input():
    kernel, x = parse_target("relu:depth=2"), rows(2)
    longer = torch.cat([x, torch.full((30, 1), 0.5 * 6**0.5, dtype=torch.float64)], 1)
    torch.testing.assert_close(input_matrix(kernel, x, bias=0.5), input_matrix(kernel, longer))


def test_zero_rows_have_no_direction():
    x = rows(3)
    x[4] = 0.0
    for kernel in (parse_target("relu"), DotProductKernel.from_coefficients([1.0, 1.0])):
        for form in ("radial", "normalise"):
            matrix = input_matrix(kernel, x, form=form)
            assert (matrix[4] == 0).all()
            assert (matrix[:, 4] == 0).all()
            assert torch.isfinite(matrix).all()
    assert input_matrix(parse_target("relu"), x, bias=1.0)[4, 4] > 0


def test_networks_keep_norms_in_their_own_form():
    network, x = FullyConnected(activation="erf", sigma_b=0.3), rows(4)
    expected = network.nngp(x)
    torch.testing.assert_close(input_matrix(network, x, form="network", kind="nngp"), expected)
    curve = network.dot_product("ntk").matrix(x)
    torch.testing.assert_close(input_matrix(network, x), curve, rtol=1e-10, atol=1e-10)


def test_single_precision_comes_back_as_it_went_in():
    assert input_matrix(parse_target("relu"), rows(5).float()).dtype == torch.float32


def test_bad_input_is_named():
    kernel = parse_target("relu")
    with pytest.raises(OffSphereError):
        input_matrix(kernel, rows(6), form="strict")
    with pytest.raises(InvalidValueError, match="form"):
        input_matrix(kernel, rows(6), form="spherical")
    with pytest.raises(InvalidValueError, match="form"):
        input_matrix(kernel, rows(6), form="network")
    with pytest.raises(InvalidValueError, match="bias"):
        input_matrix(kernel, rows(6), bias=-1.0)
    with pytest.raises(ShapeError):
        input_matrix(kernel, rows(6), rows(6, d=3))
