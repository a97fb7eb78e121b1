"""Tests of custom functions: kinks, jumps, derivatives, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sestina.core.errors import DtypeError, InvalidValueError
from sestina.ntk.activations import Custom, ReLU, Softplus

DOUBLE = torch.float64


def tensor(*values):
    return torch.tensor(values, dtype=DOUBLE)


def test_a_jump_at_a_declared_kink_rules_the_tangent_kernel_out():
    assert not Custom(torch.sign, kinks=[0.0]).has_ntk
    assert not Custom(lambda z: (z > 2).to(z.dtype), kinks=[2.0]).has_ntk
    assert Custom(torch.relu, kinks=[0.0]).has_ntk
    assert Custom(lambda z: 1e4 * torch.relu(z - 1) + z, kinks=[1.0]).has_ntk


def test_a_jump_still_has_values():
    step = Custom(lambda z: (z > 0).to(z.dtype), kinks=[0.0])
    value, _ = step.duals(tensor(1.0), tensor(2.0), tensor(0.0))
    assert value.item() == pytest.approx(0.25, abs=1e-12)


def test_derivative_is_autograds_unless_given():
    z = tensor(-1.0, 0.5)
    assert torch.equal(Custom(torch.square).derivative(z), 2 * z)
    given = Custom(torch.square, derivative=lambda z: 3 * z)
    assert torch.equal(given.derivative(z), 3 * z)


def test_derivative_of_a_constant_is_zero():
    constant = Custom(lambda z: torch.full_like(z, 2.0))
    assert torch.equal(constant.derivative(tensor(0.3)), tensor(0.0))
    value, slope = constant.duals(tensor(1.0), tensor(1.0), tensor(0.4))
    assert (value.item(), slope.item()) == (pytest.approx(4.0), 0.0)


def test_derivative_works_where_gradients_are_off():
    with torch.no_grad():
        assert torch.equal(Custom(torch.square).derivative(tensor(1.5)), tensor(3.0))


def test_derivative_can_be_differentiated_again():
    z = tensor(0.7).requires_grad_()
    (second,) = torch.autograd.grad(Custom(torch.sin).derivative(z).sum(), z)
    assert second.item() == pytest.approx(-torch.sin(z).item())


def test_parameters_of_a_module_are_found():
    prelu = nn.PReLU(init=0.1).double()
    assert list(Custom(prelu, kinks=[0.0]).parameters()) == [prelu.weight]


def test_parameters_of_a_module_can_be_learned():
    prelu = nn.PReLU(init=0.1).double()
    slope = prelu.weight
    q, k12 = tensor(1.3), tensor(0.4)
    relu_value, relu_slope = ReLU().duals(q, q, k12)
    closed_forms = (
        slope * k12 + (1 - slope) ** 2 * relu_value,
        slope + (1 - slope) ** 2 * relu_slope,
    )
    for found, closed in zip(
        Custom(prelu, kinks=[0.0]).duals(q, q, k12), closed_forms, strict=True
    ):
        (grad,) = torch.autograd.grad(found, slope)
        (expected,) = torch.autograd.grad(closed, slope)
        torch.testing.assert_close(grad, expected)


def test_a_module_in_single_precision_is_refused():
    with pytest.raises(DtypeError, match=r"PReLU.weight has dtype torch.float32"):
        Custom(nn.PReLU(), kinks=[0.0])


def test_kinks_are_sorted_and_distinct():
    assert Custom(torch.relu, kinks=[1, 0.0, 1.0]).kinks == (0.0, 1.0)


@pytest.mark.parametrize("kink", [float("nan"), float("inf")])
def test_kinks_are_finite(kink):
    with pytest.raises(InvalidValueError, match="kinks is"):
        Custom(torch.relu, kinks=[kink])


def test_python_code_is_not_written_to_files():
    with pytest.raises(InvalidValueError, match="describe the kernel by kernel"):
        Custom(torch.relu).spec()


def test_repr_names_the_function():
    assert repr(Custom(torch.relu, kinks=[0.0])) == "Custom(relu, kinks=(0.0,))"
    assert "ReLU, kinks=()" in repr(Custom(ReLU()))


def test_softplus_is_smooth_far_out_too():
    # PyTorch's own turns into z above 20, with a kink.
    assert Softplus()(tensor(25.0)).item() > 25.0
