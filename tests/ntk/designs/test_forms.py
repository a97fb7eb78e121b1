"""The forms of designed activations: exact derivatives of every order, exact round trips."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicHermiteSpline

from sestina.core.errors import InvalidValueError, OptionError, ShapeError
from sestina.ntk.activations import activation
from sestina.ntk.designs.forms import HermiteSeries, ReLUSum, SinusoidSum, TabulatedActivation

# PyTorch's own decompositions for forward mode, loaded on first use.
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning"
)

KNOTS = np.linspace(-2, 2, 41)


def table():
    return TabulatedActivation(2.0, np.sin(3 * KNOTS), 3 * np.cos(3 * KNOTS))


FORMS = {
    "table": table,
    "hermite": lambda: HermiteSeries([1.0, 0.5, -0.3, 0.2, 0.1]),
    "hermite with a limit": lambda: HermiteSeries([1.0, 0.5, -0.3, 0.2, 0.1], 1.5),
    "relu sum": lambda: ReLUSum([0.5, -0.25], [1.0, 2.0], 0.3, 0.1),
    "sinusoid": lambda: SinusoidSum([0.5, 0.2], [2.0, 3.0], [0.1, 0.2], 0.3, 0.2),
}


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]()


@pytest.fixture
def z():
    # Inside and outside of the limits, away from knots and kinks.
    return torch.tensor([-5.0, -2.3, -1.03, -0.31, 0.0125, 0.77, 1.91, 4.2], dtype=torch.float64)


def test_gradients_of_both_orders_and_both_modes_are_right(form, z):
    z.requires_grad_()
    assert torch.autograd.gradcheck(form, (z,), check_forward_ad=True)
    assert torch.autograd.gradcheck(form.derivative, (z,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(form, (z,))


def test_derivative_is_what_autograd_finds(form, z):
    z.requires_grad_()
    (slope,) = torch.autograd.grad(form(z).sum(), z)
    torch.testing.assert_close(slope, form.derivative(z))


def test_it_works_under_torch_func(form, z):
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(form))(z), form.derivative(z))
    tangent = torch.func.jvp(form, (z,), (torch.full_like(z, 2.0),))[1]
    torch.testing.assert_close(tangent, 2 * form.derivative(z))
    rows = z.reshape(4, 2)
    jacobian = torch.func.vmap(torch.func.jacrev(form))(rows)
    torch.testing.assert_close(jacobian, torch.diag_embed(form.derivative(rows)))
    second = torch.func.vmap(torch.func.grad(torch.func.grad(form)))(z)
    torch.testing.assert_close(second, form.value_of_order(z, 2))


def test_a_spec_makes_an_equal_one(form, z):
    again = activation(form.spec())
    assert type(again) is type(form)
    assert torch.equal(again(z), form(z))
    assert repr(again) == repr(form)


def test_shapes_and_dtypes_are_kept(form):
    for shape in ((), (0,), (1,), (2, 3, 4)):
        z = torch.zeros(shape, dtype=torch.float32)
        assert form(z).shape == shape
        assert form(z).dtype == torch.float32
        assert form.derivative(z).dtype == torch.float32


def test_float32_is_as_good_as_it_gets(form):
    z = torch.linspace(-3, 3, 1001, dtype=torch.float64)
    error = (form(z.float()).double() - form(z)).abs().max()
    assert error < 3e-6 * (1 + form(z).abs().max())


def test_a_table_is_the_cubic_hermite_spline_inside():
    spline = CubicHermiteSpline(KNOTS, np.sin(3 * KNOTS), 3 * np.cos(3 * KNOTS))
    z = np.random.default_rng(0).uniform(-2, 2, 500)
    for order in range(4):
        value = table().value_of_order(torch.from_numpy(z), order).numpy()
        np.testing.assert_allclose(value, spline(z, order), rtol=1e-9, atol=1e-9)


def test_a_table_is_linear_outside_and_survives_anything():
    phi = table()
    z = torch.tensor([-3.0, 2.5, 1e30, -1e30, math.nan], dtype=torch.float64)
    left, right = math.sin(-6.0), math.sin(6.0)
    slope = 3 * math.cos(6.0)
    expected = [left - slope, right + slope / 2, slope * 1e30, -slope * 1e30]
    np.testing.assert_allclose(phi(z)[:4].numpy(), expected, rtol=1e-12)
    assert phi(z)[4].isnan()
    assert phi.derivative(z)[:4].tolist() == pytest.approx([slope] * 4)


def test_a_table_moves_with_its_module():
    phi = table().double().float()
    assert phi.cells.dtype == torch.float32
    assert phi(torch.zeros(2)).dtype == torch.float32
    assert phi(torch.zeros(2, dtype=torch.float64)).dtype == torch.float64


def test_a_hermite_series_is_its_polynomial():
    z = torch.linspace(-3, 3, 50, dtype=torch.float64)
    phi = HermiteSeries([0.5, 0.0, math.sqrt(2), math.sqrt(6)])  # ½ + z² − 1 + z³ − 3z
    torch.testing.assert_close(phi(z), z**3 + z**2 - 3 * z - 0.5)
    torch.testing.assert_close(phi.derivative(z), 3 * z**2 + 2 * z - 3)
    torch.testing.assert_close(phi.value_of_order(z, 3), torch.full_like(z, 6.0))
    torch.testing.assert_close(phi.value_of_order(z, 4), torch.zeros_like(z))


def test_a_sum_of_relus_is_the_formula_and_names_its_kinks():
    z = torch.linspace(-3, 3, 60, dtype=torch.float64)
    phi = ReLUSum([1.0, -1.0], [2.0, 0.5], 0.25, -0.5)
    expected = 2 * torch.relu(z - 1) + 0.5 * torch.relu(z + 1) + 0.25 - 0.5 * z
    torch.testing.assert_close(phi(z), expected)
    assert phi.kinks == (-1.0, 1.0)


def test_a_sum_of_sinusoids_has_exact_duals():
    phi = SinusoidSum([0.5, 0.2], [2.0, 0.7], [0.1, 1.2], 0.3, -0.4)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    q1, q2, k12 = 1.3, 0.6, -0.5
    u = math.sqrt(q1) * nodes[:, None] + 0 * nodes
    v = k12 / math.sqrt(q1) * nodes[:, None] + math.sqrt(q2 - k12**2 / q1) * nodes
    both = [torch.from_numpy(points) for points in (u, v)]
    for index, function in enumerate((phi, phi.derivative)):
        brute = weights @ (function(both[0]) * function(both[1])).numpy() @ weights
        exact = phi.duals(*(torch.tensor(x, dtype=torch.float64) for x in (q1, q2, k12)))[index]
        assert exact.item() == pytest.approx(brute, abs=1e-12)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: TabulatedActivation(2.0, [1.0, 2.0], [1.0]), ShapeError),
        (lambda: TabulatedActivation(2.0, [1.0], [1.0]), ShapeError),
        (lambda: TabulatedActivation(0.0, [1.0, 2.0], [1.0, 2.0]), InvalidValueError),
        (lambda: TabulatedActivation(math.inf, [1.0, 2.0], [1.0, 2.0]), InvalidValueError),
        (lambda: TabulatedActivation(1.0, [1.0, math.nan], [1.0, 2.0]), InvalidValueError),
        (lambda: HermiteSeries([]), ShapeError),
        (lambda: HermiteSeries([1.0] * 5000), ShapeError),
        (lambda: HermiteSeries([1.0], -1.0), InvalidValueError),
        (lambda: HermiteSeries("****"), InvalidValueError),
        (lambda: ReLUSum([1.0], [1.0, 2.0]), ShapeError),
        (lambda: ReLUSum([[1.0]], [1.0]), ShapeError),
        (lambda: ReLUSum([1.0], [1.0], math.nan), InvalidValueError),
        (lambda: SinusoidSum([1.0], [1.0], []), ShapeError),
        (lambda: activation({"name": "table", "limits": 2.0}), OptionError),
    ],
)
def test_bad_arguments_are_refused(make, error):
    with pytest.raises(error):
        make()
