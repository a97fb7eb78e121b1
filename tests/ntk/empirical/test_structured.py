import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sestina.core.errors import NonFiniteError
from sestina.ntk.activations import (
    ABReLU,
    Hermite,
    Monomial,
    Polynomial,
    RectifiedMonomial,
    activation,
)
from sestina.ntk.activations.base import REGISTRY
from sestina.ntk.designs.forms import HermiteSeries, ReLUSum, SinusoidSum, TabulatedActivation
from sestina.ntk.empirical import empirical_ntk
from sestina.ntk.empirical.layers import affine_stack
from sestina.ntk.empirical.structured import structured_kernel, structured_squares
from sestina.ntk.nets import FullyConnectedNet

KNOTS = np.linspace(-2, 2, 41)
# Registered activations that cannot be made without arguments; a new one fails until it has some.
EXAMPLES = {
    "ab_relu": lambda: ABReLU(-0.5, 1.5),
    "hermite": lambda: Hermite(3),
    "hermite_series": lambda: HermiteSeries([1.0, 0.5, -0.3, 0.2, 0.1], 1.5),
    "monomial": lambda: Monomial(2),
    "polynomial": lambda: Polynomial([0.3, 1.0, -0.2, 0.1]),
    "rectified_monomial": lambda: RectifiedMonomial(2),
    "relu_sum": lambda: ReLUSum([0.5, -0.25], [1.0, 2.0], 0.3, 0.1),
    "sinusoid_sum": lambda: SinusoidSum([0.5, 0.2], [2.0, 3.0], [0.1, 0.2], 0.3, 0.2),
    "table": lambda: TabulatedActivation(2.0, np.sin(3 * KNOTS), 3 * np.cos(3 * KNOTS)),
}


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def of_axes(exact, axes):
    diagonal = exact.diagonal(dim1=2, dim2=3)
    return {"full": exact, "diagonal": diagonal, "trace": diagonal.mean(-1)}[axes]


@settings(max_examples=25)
@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 3),
    st.sampled_from(["full", "diagonal", "trace"]),
    st.sampled_from(["ntk", "standard"]),
    st.booleans(),
)
def test_any_small_net_has_the_kernel_of_its_jacobian(
    oracle, assert_kernel, n, o, depth, m, axes, parametrisation, centred
):
    net = FullyConnectedNet(
        3,
        o,
        5,
        nn.Tanh(),
        depth=depth,
        sigma_w=1.3,
        sigma_b=0.4 if n % 2 else 0.0,
        readout_sigma_w=0.7,
        readout_sigma_b=0.2 if o % 2 else 0.0,
        parametrisation=parametrisation,
        centred=centred,
        dtype=torch.float64,
    )
    x1, x2 = normal(n, 3), None if m == 0 else normal(m, 3, seed=1)
    theta = structured_kernel(affine_stack(net), x1, x2, axes=axes)
    assert_kernel(theta, of_axes(oracle(net, x1, x2), axes), 1e-13)


@pytest.mark.parametrize("axes", ["full", "diagonal", "trace"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("num_samples", "d_out"), [(71, 10), (330, 1), (3, 170)])
def test_several_tiles_and_fast_products_change_nothing(axes, dtype, num_samples, d_out):
    net = FullyConnectedNet(20, d_out, 100, nn.ReLU(), depth=3, sigma_w=2**0.5, sigma_b=0.1)
    x = normal(num_samples, 20)
    # With the same seed both hold the same numbers, and no ReLU is near its kink by chance alone.
    exact = kernel_by_layers(net.double(), x)
    theta = empirical_ntk(net.to(dtype), x.to(dtype), method="structured", axes=axes)
    assert theta.dtype == dtype
    error = (theta - of_axes(exact, axes)).abs().max() / exact.abs().max()
    assert float(error) <= (1e-5 if dtype == torch.float32 else 1e-13)
    twin = theta.permute(1, 0, 3, 2) if axes == "full" else theta.transpose(0, 1)
    assert torch.equal(theta, twin)


def kernel_by_layers(net, x):
    """Σ_l (∂f/∂W_l)(∂f/∂W_l)ᵀ from torch.func's Jacobian of each layer's weights and biases."""
    parameters = {name: p.detach() for name, p in net.named_parameters() if p.numel()}

    def outputs(changed, sample):
        return torch.func.functional_call(net, changed, (sample[None],))[0]

    theta = 0
    for name, parameter in parameters.items():

        def of_one(changed, sample, name=name):
            return outputs(parameters | {name: changed}, sample)

        of_all = torch.func.vmap(torch.func.jacrev(of_one), in_dims=(None, 0))
        jacobian = of_all(parameter, x).flatten(2)
        theta = theta + torch.einsum("nop,mqp->nmoq", jacobian, jacobian)
    return theta


def test_different_inputs_agree_with_one_set_of_inputs():
    net = FullyConnectedNet(5, 3, 40, nn.ReLU(), depth=2, sigma_b=0.3, dtype=torch.float64)
    x = normal(150, 5)
    whole = empirical_ntk(net, x, method="structured")
    part = empirical_ntk(net, x[:110], x[30:], method="structured")
    torch.testing.assert_close(part, whole[:110, 30:])


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(6, 3),
        nn.Sequential(nn.Linear(6, 3, bias=False)),
        nn.Sequential(nn.Flatten(), nn.Tanh(), nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3)),
        nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 7), nn.SiLU(), nn.ELU(), nn.Linear(7, 3)),
        FullyConnectedNet(6, 3, 8, activation("sin"), depth=2, sigma_b=0.5),
        FullyConnectedNet(6, 3, 8, activation("relu"), depth=1),
    ],
)
def test_each_kind_of_stack_has_the_kernel_of_its_jacobian(module, oracle, assert_kernel):
    x = normal(5, 2, 3) if isinstance(module, nn.Sequential) and len(module) == 5 else normal(5, 6)
    if isinstance(module, nn.Sequential) and not isinstance(module[0], nn.Flatten):
        x = x.flatten(1)
    module.double()
    for axes in ("full", "diagonal", "trace"):
        theta = empirical_ntk(module, x, method="structured", axes=axes)
        assert_kernel(theta, of_axes(oracle(module, x), axes), 1e-13)


@pytest.mark.parametrize("frozen", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2)])
@pytest.mark.parametrize("kind", ["weight", "bias", "both"])
def test_frozen_parameters_are_constants(frozen, kind, oracle, assert_kernel):
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    module.double()
    for index in frozen:
        for name, parameter in module[2 * index].named_parameters():
            parameter.requires_grad_(kind not in {name, "both"})
    x1, x2 = normal(4, 3), normal(3, 3, seed=1)
    for axes in ("full", "diagonal", "trace"):
        theta = empirical_ntk(module, x1, x2, method="structured", axes=axes)
        assert_kernel(theta, of_axes(oracle(module, x1, x2), axes), 1e-13)
    squares = structured_squares(affine_stack(module), x1)
    expected = oracle(module, x1).diagonal(dim1=0, dim2=1).diagonal(dim1=0, dim2=1)
    torch.testing.assert_close(squares, expected)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_activation_has_the_kernel_of_its_jacobian(name, oracle, assert_kernel):
    phi = EXAMPLES[name]() if name in EXAMPLES else activation(name)
    assert phi.name == name
    net = FullyConnectedNet(3, 2, 5, phi, depth=2, sigma_b=0.3, dtype=torch.float64)
    x = normal(4, 3)
    assert_kernel(empirical_ntk(net, x, method="structured"), oracle(net, x), 1e-12)


def test_squares_are_the_diagonal():
    net = FullyConnectedNet(4, 3, 6, nn.Tanh(), depth=2, sigma_b=0.2, dtype=torch.float64)
    x = normal(400, 4)
    theta = empirical_ntk(net, x, method="structured", axes="diagonal")
    squares = structured_squares(affine_stack(net), x)
    torch.testing.assert_close(squares, theta.diagonal().T)


def test_a_wide_net_at_initialisation_is_near_its_infinite_kernel():
    # Θ(x, x) for |x|² = d: 2 for the first layer, then σ_w² Θ/2 + 2 = 4, then Θ/2 + 1 = 3.
    net = FullyConnectedNet(4, 1, 4096, nn.ReLU(), depth=2, sigma_w=2**0.5, seed=1)
    x = torch.ones(1, 4)
    # The relative standard deviation is about depth/√width = 3 %; four of them.
    assert float(empirical_ntk(net, x)) == pytest.approx(3.0, rel=0.12)


def test_an_overflowing_kernel_is_refused():
    net = FullyConnectedNet(2, 1, 4, nn.ReLU(), centred=False)
    with torch.no_grad():
        net.weights[0].fill_(1e30)
    with pytest.raises(NonFiniteError, match=r"tangent kernel is infinite or NaN.*float64"):
        empirical_ntk(net, torch.ones(2, 2))


def test_progress_ends_at_the_total():
    told = []
    net = FullyConnectedNet(2, 1, 4, nn.ReLU())
    empirical_ntk(net, torch.ones(700, 2), progress=lambda *step: told.append(step))
    assert told == [(done, 3, "tangent kernel") for done in range(4)]
