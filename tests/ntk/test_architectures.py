"""Tests of the recursion: against finite networks, against itself, its gradients and its errors."""

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sestina.core.errors import (
    DivergentKernelError,
    InvalidValueError,
    OptionError,
    UnknownNameError,
)
from sestina.ntk.activations import Custom, Erf, LeakyReLU, ReLU, Sign, Tanh
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.empirical import empirical_ntk
from tests.ntk.finite import sampled_ntk
from tests.ntk.plain import plain_kernels

DOUBLE = torch.float64
VARIANTS = {
    "plain": {},
    "residual": {"residual": True},
    "layer_norm": {"layer_norm": True},
    "residual_layer_norm": {"residual": True, "layer_norm": True},
    "standard": {"parametrisation": "standard"},
    "standard_everything": {"parametrisation": "standard", "residual": True, "layer_norm": True},
}
variants = pytest.mark.parametrize("options", list(VARIANTS.values()), ids=list(VARIANTS))


def tensor(*values):
    return torch.tensor(values, dtype=DOUBLE)


def rows(n, d, seed=0):
    """Inputs of norms from a half to two."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(n, d, dtype=DOUBLE, generator=generator)
    return directions * torch.linspace(0.5, 2, n, dtype=DOUBLE)[:, None]


def network(activation="erf", **options):
    if options.get("parametrisation") == "standard":
        options = {"width": 128} | options
    defaults = {"depth": 2, "sigma_w": 1.2, "sigma_b": 0.3}
    readout = {"readout_sigma_w": 0.9, "readout_sigma_b": 0.2}
    return FullyConnected(activation=activation, **(defaults | readout | options))


@variants
@pytest.mark.parametrize("phi", [ReLU(), Erf()], ids=repr)
def test_kernels_are_the_mean_over_finite_networks(phi, options):
    # 5 standard errors of 48 networks, and 2 % of the diagonal for what is left of order 1/width.
    x = rows(4, 3, seed=5)
    mean, error = sampled_ntk(
        phi,
        x,
        width=128,
        num_networks=48,
        depth=2,
        scales=((1.2, 0.3), (0.9, 0.2)),
        standard=options.get("parametrisation") == "standard",
        residual=options.get("residual", False),
        layer_norm=options.get("layer_norm", False),
    )
    found = network(phi, **options).ntk(x)
    scale = found.diagonal().sqrt()
    allowed = 5 * error + 0.02 * scale[:, None] * scale
    assert bool(((mean - found).abs() <= allowed).all())


@variants
def test_kernels_without_biases_are_the_mean_over_finite_networks(options):
    # In the standard parametrisation a layer without biases lacks their gradient, 1.
    x = rows(3, 3, seed=6)
    mean, error = sampled_ntk(
        torch.tanh,
        x,
        width=128,
        num_networks=48,
        depth=2,
        scales=((1.1, 0.0), (1.0, 0.0)),
        standard=options.get("parametrisation") == "standard",
        residual=options.get("residual", False),
        layer_norm=options.get("layer_norm", False),
    )
    bare = {"sigma_w": 1.1, "sigma_b": 0.0, "readout_sigma_w": 1.0, "readout_sigma_b": 0.0}
    found = network("tanh", **options, **bare).ntk(x)
    scale = found.diagonal().sqrt()
    assert bool(((mean - found).abs() <= 5 * error + 0.02 * scale[:, None] * scale).all())


@variants
@pytest.mark.parametrize("phi", [LeakyReLU(0.2), Erf(), Tanh()], ids=repr)
def test_matrices_are_the_recursion_on_every_pair(phi, options):
    x1, x2 = rows(7, 4), rows(5, 4, seed=1)
    one = network(phi, depth=3, **options)
    for found, expected in zip(one.kernels(x1, x2), plain_kernels(one, x1, x2), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    for found, expected in zip(one.kernels(x1), plain_kernels(one, x1), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@variants
def test_the_diagonal_is_a_pair_of_equal_inputs(options):
    q = tensor(0.2, 1.0, 5.0)
    one = network("gelu", depth=4, **options).at_input_width(3)
    for diagonal, pair in zip(one.diagonal(q), one.pairwise(q, q, q), strict=True):
        torch.testing.assert_close(diagonal, pair, rtol=1e-12, atol=0)
    torch.testing.assert_close(one.nngp_diagonal(q), one.diagonal(q).nngp)
    torch.testing.assert_close(one.nngp_pairwise(q, q, q), one.pairwise(q, q, q).nngp)


@pytest.mark.parametrize("depth", [1, 4, 20])
def test_opposite_and_equal_inputs_are_exact_at_any_depth(depth):
    one = FullyConnected(activation="relu", depth=depth, sigma_w=math.sqrt(2))
    x = rows(3, 5)
    twice = one.kernels(torch.cat([x, x, 3 * x]), x)
    for found, diagonal in zip(
        twice, one.diagonal(one.first_covariance((x * x).mean(1))), strict=True
    ):
        torch.testing.assert_close(found[:3].diagonal(), diagonal, rtol=1e-12, atol=0)
        torch.testing.assert_close(found[3:6].diagonal(), diagonal, rtol=1e-12, atol=0)
        torch.testing.assert_close(found[6:].diagonal(), 3 * diagonal, rtol=1e-12, atol=0)
    if depth == 1:
        assert one.kernels(x, -x).ntk.diagonal().abs().max().item() < 1e-12


def test_curve_is_the_matrix_on_the_sphere():
    one = network("relu", depth=3)
    c = tensor(-1.0, -0.3, 0.0, 0.8, 1.0)
    x1 = tensor([1.0, 0.0]) * math.sqrt(2)
    x2 = torch.stack([c, torch.sqrt(1 - c * c)], 1) * math.sqrt(2)
    for curve, matrix in zip(one.curve(c), one.kernels(x1, x2), strict=True):
        torch.testing.assert_close(curve, matrix[0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(one.nngp_curve(c), one.curve(c).nngp)


@pytest.mark.parametrize("activation", ["relu", "erf", "gelu", "sin"])
def test_curve_continues_into_the_complex_disc(activation):
    one = network(activation, depth=3)
    angles = torch.arange(128, dtype=DOUBLE) * (2 * math.pi / 128)
    circle = 0.1 + 0.6 * torch.exp(1j * angles)
    for values, centre in zip(one.curve(circle), one.curve(tensor(0.1)), strict=True):
        torch.testing.assert_close(values.mean().real, centre[0], rtol=1e-12, atol=1e-12)


@given(c=st.floats(-1, 1), depth=st.integers(1, 6), bias=st.floats(0, 1))
def test_kernels_are_positive_definite_on_pairs(c, depth, bias):
    one = FullyConnected(activation="relu", depth=depth, sigma_w=1.4, sigma_b=bias)
    values, ends = one.curve(tensor(c)), one.curve(tensor(1.0))
    for value, end in zip(values, ends, strict=True):
        assert abs(value.item()) <= end.item() * (1 + 1e-12)


def test_four_layers_have_the_known_values():
    # From the reference curves, σ_w² = 2, σ_b² = 0.01.
    one = FullyConnected(activation="relu", depth=4, sigma_w=math.sqrt(2), sigma_b=0.1)
    nngp, ntk = one.curve(tensor(1.0, 0.5, 0.0, -0.5, -1.0))
    expected_ntk = tensor(5.07, 2.1605117, 1.47473124, 1.16887982, 1.085666)
    expected_nngp = tensor(1.02, 0.79782707, 0.69884663, 0.6450594, 0.62104415)
    torch.testing.assert_close(ntk, expected_ntk, rtol=0, atol=5e-8)
    torch.testing.assert_close(nngp, expected_nngp, rtol=0, atol=5e-8)


@variants
@pytest.mark.parametrize("phi", [ReLU(), Erf()], ids=repr)
def test_gradients_in_inputs_and_scales_are_right(phi, options):
    check_gradients(phi, options)


def test_gradients_through_quadrature_are_right():
    check_gradients(Custom(torch.relu, kinks=[0.0]), {})


def check_gradients(phi, options):
    x1, x2 = rows(3, 4).requires_grad_(), rows(2, 4, seed=1).requires_grad_()
    scales = [tensor(value)[0].requires_grad_() for value in (1.3, 0.2, 0.9, 0.1)]

    def kernels(x1, x2, sigma_w, sigma_b, readout_sigma_w, readout_sigma_b):
        return network(
            phi,
            sigma_w=sigma_w,
            sigma_b=sigma_b,
            readout_sigma_w=readout_sigma_w,
            readout_sigma_b=readout_sigma_b,
            **options,
        ).kernels(x1, x2)

    assert torch.autograd.gradcheck(kernels, (x1, x2, *scales))
    assert torch.autograd.gradcheck(lambda x, *s: kernels(x, None, *s), (x1, *scales))


@pytest.mark.parametrize("phi", [ReLU(), Erf(), Custom(torch.relu, kinks=[0.0])], ids=repr)
@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_no_gradient_is_nan_for_equal_opposite_parallel_and_zero_inputs(phi, bias):
    x = rows(1, 3)[0]
    inputs = torch.stack([x, x, -x, 2 * x, 0 * x]).requires_grad_()
    sigma_w, sigma_b = tensor(1.3)[0].requires_grad_(), tensor(bias)[0].requires_grad_()
    one = FullyConnected(activation=phi, depth=3, sigma_w=sigma_w, sigma_b=sigma_b)
    for others in (None, inputs.detach()):
        total = sum(kernel.sum() for kernel in one.kernels(inputs, others))
        for grad in torch.autograd.grad(total, (inputs, sigma_w, sigma_b)):
            assert bool(torch.isfinite(grad).all())


def test_scales_can_be_learned():
    # Gradient descent on σ_w finds the network whose kernel has a given diagonal.
    sigma_w = torch.nn.Parameter(tensor(0.8)[0])
    optimiser = torch.optim.Adam([sigma_w], lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        one = FullyConnected(activation="relu", depth=2, sigma_w=sigma_w)
        ((one.diagonal(one.first_covariance(tensor(1.0))).nngp - 0.5) ** 2).sum().backward()
        optimiser.step()
    assert sigma_w.item() == pytest.approx(2**0.25, rel=1e-3)  # σ_w⁴/4 = 1/2


def test_sign_has_an_nngp_and_no_tangent_kernel():
    one = FullyConnected(activation=Sign(), depth=2)
    x = rows(3, 4)
    assert one.nngp(x).diagonal().tolist() == [1.0, 1.0, 1.0]
    c = tensor(0.5)
    # (2/π) asin of (2/π) asin ½ = 1/3
    assert one.nngp_curve(c).item() == pytest.approx(2 / math.pi * math.asin(1 / 3))
    for call in (
        lambda: one.ntk(x),
        lambda: one.kernels(x),
        lambda: one.curve(c),
        lambda: one.diagonal(c),
        lambda: one.dot_product("ntk"),
    ):
        with pytest.raises(DivergentKernelError, match=r"infinite for Sign\(\)"):
            call()
    assert one.dot_product("nngp").total == 1.0


def test_replace_changes_what_it_is_told():
    one = network("relu", residual=True)
    other = one.replace(depth=7)
    assert (other.depth, other.residual, other.sigma_w) == (7, True, 1.2)
    assert one.depth == 2


@variants
def test_spec_goes_through_json(options):
    one = network({"name": "leaky_relu", "slope": 0.2}, **options)
    again = FullyConnected.from_spec(json.loads(json.dumps(one.spec())))
    assert repr(again) == repr(one)
    assert "leaky_relu" in json.dumps(one.spec())


def test_spec_writes_tensors_as_numbers():
    one = FullyConnected(activation="relu", sigma_w=tensor(1.5)[0].requires_grad_())
    assert one.spec() == {"activation": {"name": "relu"}, "sigma_w": 1.5}


def test_an_unknown_option_of_a_spec_gets_the_nearest_name():
    with pytest.raises(OptionError, match=r"'sigma'.*did you mean 'sigma_"):
        FullyConnected.from_spec({"activation": "relu", "sigma": 1.0})


def test_standard_curves_need_the_number_of_inputs():
    one = FullyConnected(activation="relu", parametrisation="standard", width=64)
    with pytest.raises(InvalidValueError, match="input_width is None"):
        one.curve(tensor(0.5))
    # Depth 1, without biases: Θ = σ_w² d c E[φ'φ'] + n E[φφ].
    nngp, ntk = one.replace(input_width=3).curve(tensor(0.0))
    assert nngp.item() == pytest.approx(1 / (2 * math.pi))
    assert ntk.item() == pytest.approx(64 / (2 * math.pi))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"depth": 0}, r"depth is 0.*from_coefficients\(\[0, 1\]\)"),
        ({"depth": 2.0}, "depth is 2.0"),
        ({"sigma_w": -1.0}, "sigma_w is -1.0"),
        ({"sigma_b": math.nan}, "sigma_b is nan"),
        ({"readout_sigma_w": torch.ones(2)}, "readout_sigma_w is"),
        ({"parametrisation": "maximal"}, "parametrisation is 'maximal'"),
        ({"parametrisation": "standard"}, "width is None.*grow with it"),
        ({"parametrisation": "standard", "width": 0}, "width is 0"),
        ({"input_width": -1}, "input_width is -1"),
    ],
)
def test_impossible_networks_are_refused(options, problem):
    with pytest.raises(InvalidValueError, match=problem):
        FullyConnected(activation="relu", **options)


def test_an_unknown_kind_is_refused():
    with pytest.raises(UnknownNameError, match="kind is 'gp'"):
        FullyConnected(activation="relu").dot_product("gp")


def test_module_is_a_finite_network_of_the_same_kind():
    one = FullyConnected(activation="tanh", depth=3, sigma_w=1.2, sigma_b=0.1)
    net = one.module(4, 2, 32, seed=1, centred=False)
    assert net(rows(5, 4).float()).shape == (5, 2)
    assert len(net.weights) == 4


@variants
def test_the_tangent_kernel_of_modules_is_on_average_that_of_the_infinite_network(options):
    one = network("tanh", depth=2, width=256, **options)
    x = rows(3, 4, seed=7)
    sampled = torch.stack(
        [empirical_ntk(one.module(4, 1, 256, seed).double(), x, axes="trace") for seed in range(40)]
    )
    found, error = one.ntk(x), sampled.std(0) / math.sqrt(len(sampled))
    scale = found.diagonal().sqrt()
    allowed = 5 * error + 0.02 * scale[:, None] * scale
    assert bool(((sampled.mean(0) - found).abs() <= allowed).all())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"depth": 10**9}, "depth is 1000000000, expected an integer from 1 to 10,000"),
        ({"sigma_w": 1e200}, "sigma_w is 1e\\+200, expected a number from 0 to 1e\\+100"),
        ({"sigma_w": "1"}, "sigma_w is '1'"),
        ({"sigma_w": True}, "sigma_w is True"),
        ({"residual": "no"}, "residual is 'no', expected True or False"),
        ({"layer_norm": 3}, "layer_norm is 3, expected True or False"),
        ({"sigma_w": 0.0}, "sigma_w is 0.0, expected above 0"),
        (
            {"sigma_w": 0, "sigma_b": 1.0, "parametrisation": "standard", "width": 9},
            "sigma_w is 0, expected above 0",
        ),
    ],
)
def test_what_no_network_can_be_is_named(changes, problem):
    with pytest.raises(InvalidValueError, match=problem):
        FullyConnected(activation="relu", **changes)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sign_of_a_zero_row_is_zero(dtype):
    x = torch.tensor([[1.0, 1.0], [0.0, 0.0], [1.0, -1.0]], dtype=dtype)
    expected = torch.diag(torch.tensor([1.0, 0.0, 1.0], dtype=dtype))
    torch.testing.assert_close(FullyConnected(activation="sign").nngp(x), expected)
