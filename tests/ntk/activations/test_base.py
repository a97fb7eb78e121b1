"""The contract of every activation: derivative, closed forms, gradients, continuation, specs.

Each runs through the same tests. The oracle of the expectations is `tests.ntk.plane`.
"""

from __future__ import annotations

import math

import pytest
import torch

from sestina.core.errors import InvalidValueError, OptionError
from sestina.ntk.activations import (
    GELU,
    RBF,
    ABReLU,
    Abs,
    Activation,
    Cos,
    Erf,
    Exp,
    Gaussian,
    Hermite,
    LeakyReLU,
    Monomial,
    Polynomial,
    RectifiedMonomial,
    ReLU,
    Sigmoid,
    Sign,
    SiLU,
    Sin,
    Softplus,
    Tanh,
    activation,
)
from sestina.ntk.activations.base import REGISTRY, check_degree, check_number
from tests.ntk.plane import expectation

DOUBLE = torch.float64

# Its own tests are beside its module.
CLOSED_FORMS = [
    ABReLU(-0.3, 2.0),
    Abs(),
    Cos(1.0, 1.2, 0.2),
    Erf(),
    Exp(1.5, 0.5),
    GELU(),
    Gaussian(2.0, -0.7),
    Hermite(0),
    Hermite(3),
    Hermite(4),
    LeakyReLU(0.1),
    Monomial(3),
    Polynomial([0.1, 0.5, 0.3, -0.2]),
    RBF(0.5),
    ReLU(),
    RectifiedMonomial(1),
    RectifiedMonomial(2),
    RectifiedMonomial(3),
    Sin(1.5, 2.0, 0.3),
]
QUADRATURES = [SiLU(), Sigmoid(), Softplus(2.0), Tanh()]
EVERY = [*CLOSED_FORMS, *QUADRATURES, Sign()]
SMOOTH = [phi for phi in EVERY if not phi.kinks]

pairs = pytest.mark.parametrize(("q1", "q2"), [(1.0, 1.0), (0.3, 2.5), (6.0, 1.4)])


def named(activations):
    return {"argvalues": activations, "ids": [repr(phi) for phi in activations]}


def tensor(*values):
    return torch.tensor(values, dtype=DOUBLE)


def applied(function):
    return lambda z: function(torch.from_numpy(z)).numpy()


def test_every_registered_activation_is_tested_here():
    from_designs = {name for name in REGISTRY if REGISTRY[name].__module__.endswith(".forms")}
    assert {phi.name for phi in EVERY} == set(REGISTRY) - from_designs


@pytest.mark.parametrize("phi", **named(EVERY))
def test_derivative_is_autograds(phi):
    z = tensor(-3.1, -1.0, -0.2, 0.4, 1.7, 2.9).requires_grad_()
    value = phi(z)
    expected = (
        torch.autograd.grad(value.sum(), z)[0] if value.requires_grad else torch.zeros_like(z)
    )
    torch.testing.assert_close(phi.derivative(z.detach()), expected)


@pytest.mark.parametrize("phi", **named(EVERY))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_keep_shape_and_dtype(phi, dtype):
    for z in (
        torch.zeros(0, dtype=dtype),
        torch.ones((), dtype=dtype),
        torch.ones(2, 3, dtype=dtype),
    ):
        for result in (phi(z), phi.derivative(z)):
            assert (result.shape, result.dtype) == (z.shape, dtype)


@pytest.mark.parametrize("phi", **named([*CLOSED_FORMS, *QUADRATURES]))
@pairs
def test_duals_are_the_expectations(phi, q1, q2):
    rhos = [-1.0, -0.9999, -0.6, 0.0, 0.35, 0.9999, 1.0]
    values, slopes = phi.duals(tensor(q1), tensor(q2), math.sqrt(q1 * q2) * tensor(*rhos))
    value_scale, slope_scale = (
        math.sqrt(a.item() * b.item())
        for a, b in zip(phi.moments(tensor(q1)), phi.moments(tensor(q2)), strict=True)
    )
    for i, rho in enumerate(rhos):
        value = expectation(applied(phi), applied(phi), q1, q2, rho)
        slope = expectation(applied(phi.derivative), applied(phi.derivative), q1, q2, rho)
        assert values[i].item() == pytest.approx(value, abs=1e-9 * value_scale)
        # At ρ = ±1 the rays of a kink coincide up to rounding, which the slope of a jump sees.
        assert slopes[i].item() == pytest.approx(slope, abs=1e-7 * slope_scale)


@pytest.mark.parametrize("phi", **named([*CLOSED_FORMS, *QUADRATURES]))
def test_moments_are_what_duals_are_at_one(phi):
    q = tensor(0.2, 1.0, 3.0)
    for moment, dual in zip(phi.moments(q), phi.duals(q, q, q), strict=True):
        torch.testing.assert_close(moment, dual, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("phi", **named([*CLOSED_FORMS, *QUADRATURES]))
def test_slopes_are_the_derivatives_of_values(phi):
    # Price's theorem: ∂E[φφ]/∂k12 = E[φ'φ'].
    k12 = tensor(-0.9, -0.1, 0.0, 0.5, 1.2).requires_grad_()
    value, slope = phi.duals(tensor(1.3), tensor(1.6), k12)
    (derivative,) = torch.autograd.grad(value.sum(), k12)
    torch.testing.assert_close(derivative, slope.detach(), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("phi", **named(EVERY))
def test_duals_have_the_right_gradients(phi):
    q1 = tensor(0.7, 1.0).requires_grad_()
    q2 = tensor(1.3, 1.0).requires_grad_()
    k12 = tensor(0.5, -0.4).requires_grad_()
    assert torch.autograd.gradcheck(phi.duals, (q1, q2, k12))
    if phi.has_ntk:
        assert torch.autograd.gradcheck(phi.moments, (q1,))


@pytest.mark.parametrize("phi", **named([*CLOSED_FORMS, Tanh()]))
def test_duals_have_the_right_second_gradients(phi):
    q1, q2, k12 = (value.requires_grad_() for value in (tensor(0.7), tensor(1.3), tensor(0.5)))
    assert torch.autograd.gradgradcheck(phi.duals, (q1, q2, k12), atol=1e-4)


@pytest.mark.parametrize("phi", **named([*CLOSED_FORMS, *QUADRATURES]))
def test_no_gradient_is_nan_for_equal_opposite_and_zero_inputs(phi):
    q1 = tensor(1.0, 1.0, 0.0, 0.0).requires_grad_()
    q2 = tensor(1.0, 1.0, 2.0, 0.0).requires_grad_()
    k12 = tensor(1.0, -1.0, 0.0, 0.0).requires_grad_()
    total = sum(dual.sum() for dual in phi.duals(q1, q2, k12))
    for grad in torch.autograd.grad(total, (q1, q2, k12)):
        assert bool(torch.isfinite(grad).all())


@pytest.mark.parametrize("phi", **named(EVERY))
def test_complex_covariances_continue_the_real_ones(phi):
    q = tensor(1.4)[0]
    c = tensor(-0.8, 0.0, 0.3, 0.7)
    real = phi.duals(q, q, q * c)
    for left, right in zip(real, phi.duals(q, q, (q * c).to(torch.complex128)), strict=True):
        torch.testing.assert_close(right, left.to(torch.complex128), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("phi", **named(EVERY))
def test_complex_covariances_obey_cauchys_formula(phi):
    # An analytic function's mean over a circle is its value in the centre.
    q = tensor(1.4)[0]
    angles = torch.arange(256, dtype=DOUBLE) * (2 * math.pi / 256)
    circle = 0.2 + 0.7 * torch.exp(1j * angles)
    centre = phi.duals(q, q, q * 0.2)
    for mean, value in zip(phi.duals(q, q, q * circle), centre, strict=True):
        torch.testing.assert_close(mean.mean(), value.to(torch.complex128), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("phi", **named([*CLOSED_FORMS, *QUADRATURES]))
def test_duals_broadcast(phi):
    q1, q2 = tensor(0.4, 1.0, 2.0)[:, None], tensor(0.5, 1.5)[None, :]
    k12 = torch.sqrt(q1 * q2) * tensor(0.9, -0.3)
    expected = [
        torch.stack(
            [
                torch.stack([phi.duals(q1[i, 0], q2[0, j], k12[i, j])[which] for j in range(2)])
                for i in range(3)
            ]
        )
        for which in (0, 1)
    ]
    for whole, parts in zip(phi.duals(q1, q2, k12), expected, strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("phi", **named([*CLOSED_FORMS, *QUADRATURES]))
def test_nothing_in_nothing_out(phi):
    empty = torch.zeros(0, dtype=DOUBLE)
    for result in (*phi.duals(empty, empty, empty), *phi.moments(empty)):
        assert result.shape == (0,)


@pytest.mark.parametrize("phi", **named(EVERY))
def test_spec_makes_an_equal_activation(phi):
    again = activation(phi.spec())
    assert type(again) is type(phi)
    assert again.spec() == phi.spec()
    z = tensor(-1.5, 0.3)
    assert torch.equal(again(z), phi(z))


@pytest.mark.parametrize("phi", **named(SMOOTH))
def test_a_smooth_activation_has_no_kinks(phi):
    assert phi.kinks == ()


def test_repr_shows_the_arguments():
    assert repr(Sin(1.5, 2.0, 0.3)) == "Sin(amplitude=1.5, frequency=2.0, phase=0.3)"


def test_a_subclass_needs_only_the_function_and_its_derivative():
    class Square(Activation):
        def forward(self, z):
            return z * z

        def derivative(self, z):
            return 2 * z

    q, k = tensor(1.5), tensor(0.4)
    value, slope = Square().duals(q, q, k)
    torch.testing.assert_close(value, q * q + 2 * k * k)
    torch.testing.assert_close(slope, 4 * k)


def test_unknown_and_missing_arguments_are_named():
    with pytest.raises(OptionError, match=r"'slop'.*did you mean 'slope'"):
        LeakyReLU.from_arguments(slop=0.1)
    with pytest.raises(OptionError, match="expected none; remove it"):
        ReLU.from_arguments(slope=0.1)
    with pytest.raises(OptionError, match="expected degree as well"):
        Hermite.from_arguments()


@pytest.mark.parametrize("value", [math.nan, math.inf, "1", True, None])
def test_numbers_are_finite_numbers(value):
    with pytest.raises(InvalidValueError, match="slope is"):
        check_number("slope", value)


@pytest.mark.parametrize("value", [-1, 2.0, True, "2"])
def test_degrees_are_integers_in_range(value):
    with pytest.raises(InvalidValueError, match="degree is"):
        check_degree(value)
