import logging

import pytest
import torch
from torch import nn

from sestina.ntk.empirical import empirical_ntk
from sestina.ntk.empirical.samplewise import SamplewiseFunction
from tests.ntk.empirical.modules import METHODS, MODULES, Calls, normal

NAMES = ["MLP", "convolution", "tied weights", "residual", "frozen part", "old function"]


def made(name):
    """A module in float64, samples of it, and its function."""
    torch.manual_seed(1)
    module, shape = MODULES[name]()
    x = normal(4, *shape)
    return module.double(), x, SamplewiseFunction(module, x, None)


def brute_force_jacobian(module, x):
    """∂f_o(x)/∂p by name, (n, o, numel): one pass backward per number of the outputs."""
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    outputs_no = module(x.clone()).reshape(len(x), -1)
    return {
        name: torch.stack(
            [
                torch.stack(
                    [torch.autograd.grad(y, p, retain_graph=True)[0].flatten() for y in outputs_o]
                )
                for outputs_o in outputs_no
            ]
        )
        for name, p in parameters.items()
    }


@pytest.mark.parametrize("at_once", [1, 2, 5, 1000])
@pytest.mark.parametrize("name", NAMES)
def test_the_jacobian_is_that_of_plain_autograd(name, at_once):
    module, x, function = made(name)
    exact = brute_force_jacobian(module, x)
    for names in ([next(iter(exact))], list(exact)):
        jacobian = function.jacobian(names, x, at_once=at_once)
        torch.testing.assert_close(jacobian, {name: exact[name] for name in names})


@pytest.mark.parametrize("max_bytes", [1, 2**20])
@pytest.mark.parametrize("name", NAMES)
def test_products_are_those_of_the_jacobian(name, max_bytes):
    module, x, function = made(name)
    exact = brute_force_jacobian(module, x)
    vector_no = normal(len(x), function.num_outputs, seed=2)
    tangents = {name: normal(*p.shape, seed=3) for name, p in function.parameters.items()}
    pulled = function.pull_back(vector_no, x, max_bytes=max_bytes)
    assert pulled.keys() == exact.keys()
    for key, jacobian in exact.items():
        expected = torch.einsum("nop,no->p", jacobian, vector_no)
        torch.testing.assert_close(pulled[key].flatten(), expected)
    pushed = function.push_forward(tangents, x, max_bytes=max_bytes)
    expected = sum(jacobian @ tangents[key].flatten() for key, jacobian in exact.items())
    torch.testing.assert_close(pushed, expected)


def test_what_has_no_forward_mode_goes_backward_twice(caplog):
    _, x, function = made("old function")
    tangents = {name: torch.ones_like(p) for name, p in function.parameters.items()}
    with caplog.at_level(logging.INFO, logger="sestina"):
        function.push_forward(tangents, x, max_bytes=2**20)
    assert "no forward-mode derivative, going backward twice" in caplog.text


def test_any_output_axes_are_flattened():
    module, x = nn.ConvTranspose2d(2, 3, 2).double(), normal(4, 2, 3, 3)
    function = SamplewiseFunction(module, x, None)
    assert function.num_outputs == 3 * 4 * 4
    torch.testing.assert_close(function(function.parameters, x), module(x).detach().flatten(1))


def test_a_buffer_that_the_module_writes_to_is_left_alone():
    def count(module, x):
        module.calls.add_(1)
        return module.a(x)

    module = Calls(count, a=nn.Linear(3, 2)).double()
    module.register_buffer("calls", torch.zeros(()))
    x = normal(4, 3)
    function = SamplewiseFunction(module, x, None)
    function.pull_back(normal(4, 2), x, max_bytes=2**20)
    assert float(module.calls) == 0


def test_what_cannot_be_vectorised_is_told_and_right(caplog, oracle, assert_kernel):
    module, shape = MODULES["old function"]()
    x = normal(4, *shape)
    with caplog.at_level(logging.INFO, logger="sestina"):
        theta = empirical_ntk(module.double(), x)
    assert "cannot be vectorised over samples, going one by one" in caplog.text
    assert_kernel(theta, oracle(module, x), 1e-12)


def test_a_branch_on_the_values_of_one_sample_is_followed(oracle, assert_kernel):
    def branch(module, x):
        return torch.stack([module.a(row) if row.sum() > 0 else -2 * module.a(row) for row in x])

    module, x = Calls(branch, a=nn.Linear(3, 2)).double(), normal(6, 3)
    for method in METHODS:
        assert_kernel(empirical_ntk(module, x, method=method), oracle(module, x), 1e-12)
