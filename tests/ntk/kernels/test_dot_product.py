"""Tests of dot-product kernels: coefficients to the last digits, algebra, fits, matrices."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ntk.relu_series import IS_WIDER, relu_series
from sestina.core.errors import (
    DivergentKernelError,
    DtypeError,
    InvalidValueError,
    NonFiniteError,
    OffSphereError,
    ShapeError,
    UnknownNameError,
)
from sestina.ntk.activations import Custom
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.kernels.dot_product import DotProductKernel

series = st.lists(st.floats(0, 2), min_size=1, max_size=8)


def polynomial(*coefficients):
    return DotProductKernel.from_coefficients(coefficients)


def relu_kernel(depth, kind="ntk"):
    network = FullyConnected(activation="relu", depth=depth, sigma_w=math.sqrt(2), sigma_b=0.1)
    return network.dot_product(kind)


@pytest.mark.skipif(not IS_WIDER, reason="long double is no wider than double here")
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 20])
def test_a_thousand_relu_coefficients_have_an_error_below_1e_13(depth):
    expected = relu_series(depth, 1000)
    for kind, known in zip(("nngp", "ntk"), expected, strict=True):
        found = relu_kernel(depth, kind).coefficients(1000)
        assert np.abs(found - known).max() <= 1e-13


def test_one_layer_has_the_closed_form():
    # ReLU: b₀² = 1/2π, b₁² = 1/4, b_k² = ((k−3)!!)²/(2π k!) for even k; NTK: (1 + k) b_k²
    kernel = FullyConnected(activation="relu").dot_product("ntk")
    found = kernel.coefficients(12)
    expected = np.zeros(12)
    expected[0], expected[1] = 1 / (2 * math.pi), 0.5
    for k in range(2, 12, 2):
        odd = math.prod(range(k - 3, 0, -2))
        expected[k] = (1 + k) * odd**2 / (2 * math.pi * math.factorial(k))
    np.testing.assert_allclose(found, expected, atol=1e-15)


def test_known_coefficients_of_four_layers():
    # From the reference curves.
    expected = [1.47473124, 0.88612947, 0.68754455, 0.3756638, 0.25281315, 0.15895018]
    np.testing.assert_allclose(relu_kernel(4).coefficients(6), expected, atol=5e-9)


def test_the_number_of_coefficients_does_not_change_them():
    kernel = relu_kernel(4)
    long = kernel.coefficients(4000)
    for n in (0, 1, 7, 1000):
        np.testing.assert_allclose(kernel.coefficients(n), long[:n], atol=2e-14)
        assert len(kernel.coefficients(n)) == n


def test_tail_is_what_the_first_coefficients_leave_out():
    kernel = relu_kernel(4)
    assert kernel.total == pytest.approx(5.07, abs=1e-13)
    # Measured before: about 2.55/√N
    assert kernel.tail(1000) == pytest.approx(0.0806, abs=1e-4)
    assert polynomial(1, 2, 3).tail(2) == 3.0


@pytest.mark.parametrize("activation", ["tanh", "gelu", "sin", "softplus", "rbf"])
def test_coefficients_of_networks_sum_to_the_kernel(activation):
    network = FullyConnected(activation=activation, depth=3, sigma_w=1.3, sigma_b=0.2)
    kernel = network.dot_product("ntk")
    a = kernel.coefficients(500)
    assert a.min() > -1e-14
    c = np.linspace(-0.9, 0.9, 7)
    np.testing.assert_allclose(np.polynomial.polynomial.polyval(c, a), kernel(c), atol=1e-11)


def test_kinked_quadrature_reads_the_closed_forms_coefficients():
    custom = FullyConnected(activation=Custom(torch.relu, kinks=[0.0]), depth=2, sigma_w=1.4)
    closed = FullyConnected(activation="relu", depth=2, sigma_w=1.4)
    for kind in ("nngp", "ntk"):
        found = custom.dot_product(kind).coefficients(200)
        np.testing.assert_allclose(found, closed.dot_product(kind).coefficients(200), atol=1e-12)


CALLABLES = {
    "exponential": (
        lambda c: np.exp(2 * (c - 1)),
        lambda k: math.exp(-2) * 2**k / math.factorial(k),
    ),
    "geometric": (lambda c: 1 / (2 - c), lambda k: 0.5 ** (k + 1)),
    "half_power": (lambda c: -np.sqrt(1 - c) + 2, None),
    "hyperbolic": (lambda c: np.sinh(6 * c), lambda k: k % 2 * 6**k / math.factorial(k)),
}


@pytest.mark.parametrize("name", ["exponential", "geometric", "hyperbolic"])
def test_coefficients_of_callables_are_their_taylor_series(name):
    function, coefficient = CALLABLES[name]
    kernel = DotProductKernel(function)
    expected = [coefficient(k) for k in range(60)]
    np.testing.assert_allclose(kernel.coefficients(60), expected, atol=2e-15 * max(1, kernel.total))


def test_a_callable_may_have_negative_coefficients():
    # Refusing them, with a certificate, is for `design`.
    np.testing.assert_allclose(
        DotProductKernel(lambda c: 1 - c**2).coefficients(3), [1, 0, -1], atol=1e-15
    )


@pytest.mark.parametrize(
    "function",
    [
        lambda c: 1 / (1 - c),
        lambda c: -np.log(1 - c),
        lambda c: (1 - c) ** -0.5,
        lambda c: c * np.nan,
    ],
)
def test_an_infinite_sum_of_coefficients_is_refused(function):
    with pytest.raises(DivergentKernelError, match=r"K\(1\) is (inf|nan)"):
        DotProductKernel(function)


def test_a_function_that_is_not_analytic_is_refused_when_read():
    kernel = DotProductKernel(lambda c: np.abs(c) ** 3 + 0 * c)
    with pytest.raises(InvalidValueError, match=r"off by .* from its own series"):
        kernel.coefficients(10)


def real_only(c):
    if np.iscomplexobj(c):
        raise TypeError("no complex numbers here")
    return np.exp(c - 1)


def test_a_real_function_is_fitted():
    kernel = DotProductKernel(real_only, complex_argument=False)
    assert not kernel.is_analytic
    found = kernel.coefficients(300)
    c = np.linspace(-1, 1, 9)
    np.testing.assert_allclose(np.polynomial.polynomial.polyval(c, found), kernel(c), atol=1e-7)
    assert found.min() >= 0
    assert found[256:].tolist() == [0.0] * 44


def test_a_real_function_called_complex_says_what_to_do():
    with pytest.raises(InvalidValueError, match="complex_argument=False"):
        DotProductKernel(real_only).coefficients(3)


def test_a_function_that_is_not_elementwise_is_refused():
    with pytest.raises(ShapeError, match="write it elementwise"):
        DotProductKernel(np.sum)


@given(series, st.floats(-1, 1))
def test_values_are_the_polynomials(coefficients, c):
    expected = sum(a * c**k for k, a in enumerate(coefficients))
    assert DotProductKernel.from_coefficients(coefficients)(c) == pytest.approx(expected, abs=1e-12)


@given(series, series, st.floats(0, 3))
def test_sums_products_and_multiples_are_those_of_series(left, right, factor):
    p, r = DotProductKernel.from_coefficients(left), DotProductKernel.from_coefficients(right)
    n = len(left) + len(right)
    known_left, known_right = np.pad(left, (0, n - len(left))), np.pad(right, (0, n - len(right)))
    for kernel, expected in [
        (p + r, known_left + known_right),
        (p * r, np.pad(np.convolve(left, right), (0, 1))),
        (factor * p, factor * known_left),
        (p * factor, factor * known_left),
    ]:
        scale = max(1.0, kernel.total)
        np.testing.assert_allclose(kernel.coefficients(n), expected, atol=1e-13 * scale)
        assert kernel.total == pytest.approx(expected.sum())


@given(series, st.floats(0.1, 1))
def test_composition_is_that_of_polynomials(outer, scale):
    inner = np.array([0.25, 0.5, 0.25]) * scale
    kernel = DotProductKernel.from_coefficients(outer) @ DotProductKernel.from_coefficients(inner)
    expected, power = np.zeros(2 * len(outer)), np.ones(1)
    for a in outer:
        expected[: len(power)] += a * power
        power = np.convolve(power, inner)
    np.testing.assert_allclose(kernel.coefficients(len(expected)), expected, atol=1e-13)


def test_two_layers_are_one_composed_with_itself():
    # NNGP of ReLU with σ_w² = 2 maps 1 to 1, so depth is composition.
    network = FullyConnected(activation="relu", sigma_w=math.sqrt(2), readout_sigma_w=1.0)
    once = 2 * network.replace(sigma_w=1.0).dot_product("nngp")
    twice = network.replace(depth=2).dot_product("nngp")
    c = np.linspace(-1, 1, 9)
    np.testing.assert_allclose((once @ once)(c), twice(c), atol=1e-14)
    np.testing.assert_allclose((once @ once).coefficients(100), twice.coefficients(100), atol=1e-14)


def test_composition_outside_the_domain_is_refused():
    once = FullyConnected(activation="relu").dot_product("nngp")
    arccosine = DotProductKernel(lambda c: np.pi - np.arccos(c))
    with pytest.raises(DivergentKernelError):
        arccosine @ (4 * once)


@pytest.mark.parametrize("factor", [-1.0, math.inf, math.nan])
def test_a_negative_multiple_is_refused(factor):
    with pytest.raises(InvalidValueError, match="factor is"):
        factor * polynomial(1)


def test_algebra_with_other_things_is_a_type_error():
    for operation in (
        lambda k: k + "1",
        lambda k: k * "2",
        lambda k: k @ 2,
    ):
        with pytest.raises(TypeError):
            operation(polynomial(1))


def test_call_keeps_kind_shape_and_dtype():
    kernel = polynomial(0, 1, 1)
    assert kernel(0.5) == 0.75
    assert isinstance(kernel(0.5), float)
    assert kernel(np.full((2, 3), 0.5)).tolist() == [[0.75] * 3] * 2
    assert kernel(np.zeros((0,))).shape == (0,)
    assert kernel(torch.full((2,), 0.5, dtype=torch.float32)).dtype == torch.float32
    assert kernel(torch.tensor(0.5j, dtype=torch.complex128)).item() == -0.25 + 0.5j


@pytest.mark.parametrize(
    "kernel",
    [
        polynomial(0.5, 1, 0, 2),
        DotProductKernel(lambda c: np.exp(c - 1)),
        DotProductKernel(lambda c: 2 - np.sqrt(1 - c)),
        relu_kernel(3),
        relu_kernel(2) @ (0.1 * polynomial(1, 1)) + polynomial(0, 1) * polynomial(1, 1),
    ],
    ids=["series", "callable", "root", "network", "expression"],
)
def test_kernels_are_differentiable(kernel):
    c = torch.tensor([-0.8, 0.0, 0.3, 0.9], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(kernel, c)
    ends = torch.tensor([-1.0, 1.0], dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(kernel(ends).sum(), ends)
    assert bool(torch.isfinite(grad).all())


def test_a_real_function_is_not_differentiable():
    kernel = DotProductKernel(real_only, complex_argument=False)
    c = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    with pytest.raises(InvalidValueError, match="takes complex arrays, to be differentiated"):
        kernel(c).sum().backward()


def test_samples_of_a_network_are_fitted_honestly():
    kernel = relu_kernel(4)
    c = np.cos(np.linspace(0, np.pi, 100))
    fitted = DotProductKernel.from_samples(c, kernel(c), degree=60)
    error = np.abs(fitted(c) - kernel(c)).max()
    assert fitted.residual == pytest.approx(error)
    assert 0.01 < fitted.residual < 0.5  # 60 terms leave out about 2.55/√60
    assert fitted.coefficients(61).min() >= 0


def test_samples_of_no_kernel_leave_a_residual():
    c = np.linspace(-1, 1, 50)
    assert DotProductKernel.from_samples(c, -c, degree=5).residual == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("c", "values", "error", "problem"),
    [
        ([0.0, 1.0], [1.0], ShapeError, "c and values"),
        ([], [], ShapeError, "c and values"),
        ([0.0, 2.0], [1.0, 1.0], InvalidValueError, "c is 2.0, expected cosines"),
        ([0.0, math.nan], [1.0, 1.0], NonFiniteError, "c is nan at"),
        ([0.0, 1.0], [1.0, math.inf], NonFiniteError, "values is inf at"),
    ],
)
def test_bad_samples_are_named(c, values, error, problem):
    with pytest.raises(error, match=problem):
        DotProductKernel.from_samples(c, values)


@pytest.mark.parametrize("degree", [-1, 256])
def test_a_degree_that_samples_cannot_tell_is_refused(degree):
    with pytest.raises(InvalidValueError, match="degree is"):
        DotProductKernel.from_samples([0.0], [1.0], degree=degree)


def test_bad_coefficients_are_named():
    with pytest.raises(NonFiniteError, match="nan at"):
        polynomial(0, math.nan)
    with pytest.raises(ShapeError, match="one axis"):
        DotProductKernel.from_coefficients([[1.0]])
    with pytest.raises(ShapeError, match="one axis"):
        DotProductKernel.from_coefficients([])
    with pytest.raises(InvalidValueError, match="n is -1"):
        polynomial(1).coefficients(-1)


@pytest.mark.parametrize(
    "kernel",
    [
        polynomial(0.5, 1, 0, 2),
        relu_kernel(3),
        relu_kernel(3, "nngp"),
        0.5 * relu_kernel(2) + polynomial(1) * polynomial(0, 1) @ polynomial(0, 0.5),
    ],
    ids=["series", "ntk", "nngp", "expression"],
)
def test_spec_goes_through_json(kernel):
    again = DotProductKernel.from_spec(json.loads(json.dumps(kernel.spec())))
    c = np.linspace(-1, 1, 7)
    assert again(c).tolist() == kernel(c).tolist()
    assert repr(again) == repr(kernel)


def test_python_functions_have_no_spec():
    with pytest.raises(InvalidValueError, match="not written to files"):
        (polynomial(1) + DotProductKernel(np.exp)).spec()


def test_a_damaged_spec_is_named():
    with pytest.raises(InvalidValueError, match="expected a key 'form'"):
        DotProductKernel.from_spec({})
    with pytest.raises(InvalidValueError, match="expected a key 'coefficients'"):
        DotProductKernel.from_spec({"form": "series"})
    with pytest.raises(UnknownNameError, match="did you mean 'series'"):
        DotProductKernel.from_spec({"form": "serie"})


def inputs(n, d, seed=0, dtype=torch.float64):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_radial_form_is_the_homogeneous_networks_kernel():
    network = FullyConnected(activation="relu", depth=3, sigma_w=1.4)
    x1, x2 = inputs(6, 4), inputs(5, 4, seed=1)
    kernel = network.dot_product("ntk")
    torch.testing.assert_close(kernel.matrix(x1, x2), network.ntk(x1, x2), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(kernel.matrix(x1), network.ntk(x1), rtol=1e-8, atol=1e-8)


def test_equal_and_opposite_rows_are_exact():
    kernel, x = relu_kernel(4), inputs(50, 30)
    both = kernel.matrix(x, torch.cat([2 * x, -x]), form="normalise")
    assert both[:, :50].diagonal().tolist() == [kernel.total] * 50
    assert both[:, 50:].diagonal().tolist() == [kernel(-1.0)] * 50


def test_normalised_form_ignores_norms():
    kernel, x = relu_kernel(2), inputs(6, 4)
    scaled = x * torch.linspace(0.1, 3, 6, dtype=torch.float64)[:, None]
    torch.testing.assert_close(
        kernel.matrix(x, form="normalise"), kernel.matrix(scaled, form="normalise")
    )
    assert kernel.matrix(x, form="normalise").diagonal().tolist() == [kernel.total] * 6


def test_strict_form_refuses_other_norms():
    kernel, x = relu_kernel(2), inputs(6, 4)
    on_sphere = 2 * x / torch.linalg.vector_norm(x, dim=1, keepdim=True)
    torch.testing.assert_close(
        kernel.matrix(on_sphere, form="strict"), kernel.matrix(x, form="normalise")
    )
    on_sphere[3] *= 1.5
    with pytest.raises(OffSphereError, match=r"x1 is of norm 3 in row 3, expected the norm √d = 2"):
        kernel.matrix(on_sphere, form="strict")


def test_a_zero_row_has_no_direction():
    kernel, x = polynomial(1, 1), inputs(3, 4)
    x[1] = 0
    assert kernel.matrix(x)[1].tolist() == [0.0] * 3
    with pytest.raises(OffSphereError, match="of norm 0 in row 1, expected a norm above 0"):
        kernel.matrix(x, form="normalise")


def test_matrices_keep_dtype_and_gradients():
    kernel = relu_kernel(2)
    assert kernel.matrix(inputs(3, 4, dtype=torch.float32)).dtype == torch.float32
    x1, x2 = inputs(3, 4).requires_grad_(), inputs(2, 4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(kernel.matrix, (x1, x2))
    assert torch.autograd.gradcheck(kernel.matrix, (x1,))
    twins = torch.stack([x1[0], x1[0], -x1[0], 0 * x1[0]]).detach().requires_grad_()
    (grad,) = torch.autograd.grad(kernel.matrix(twins).sum(), twins)
    assert bool(torch.isfinite(grad).all())


def test_matrices_of_nothing_are_empty():
    assert polynomial(1, 1).matrix(inputs(0, 4), inputs(3, 4)).shape == (0, 3)


def test_bad_inputs_are_named():
    kernel = polynomial(1, 1)
    with pytest.raises(ShapeError, match="x1 is"):
        kernel.matrix(torch.ones(3))
    with pytest.raises(ShapeError, match="x2 is"):
        kernel.matrix(inputs(2, 3), inputs(2, 4))
    with pytest.raises(DtypeError, match="x1 has dtype"):
        kernel.matrix(torch.ones(2, 2, dtype=torch.int64))
    with pytest.raises(DtypeError, match="x2 has dtype"):
        kernel.matrix(inputs(2, 2), inputs(2, 2, dtype=torch.float32))
    with pytest.raises(NonFiniteError, match="x1 is nan"):
        kernel.matrix(torch.full((2, 2), math.nan))
    with pytest.raises(InvalidValueError, match="form is 'sphere'"):
        kernel.matrix(inputs(2, 2), form="sphere")
