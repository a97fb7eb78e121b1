import logging

import pytest
import torch
from torch import nn

from sestina.core.errors import InvalidValueError
from sestina.ntk.empirical import empirical_ntk
from sestina.ntk.nets import FullyConnectedNet
from tests.ntk.empirical.modules import METHODS, MODULES, normal


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", MODULES)
def test_any_module_has_the_kernel_of_its_jacobian(name, method, oracle, assert_kernel):
    torch.manual_seed(1)
    module, shape = MODULES[name]()
    x1, x2 = normal(5, *shape), normal(3, *shape, seed=1)
    exact, exact_symmetric = oracle(module, x1, x2), oracle(module, x1)
    module.double()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    x_before = x1.clone()
    assert_kernel(empirical_ntk(module, x1, x2, method=method), exact, 1e-12)
    assert_kernel(empirical_ntk(module, x1, method=method), exact_symmetric, 1e-12)
    diagonal = empirical_ntk(module, x1, method=method, axes="diagonal")
    assert_kernel(diagonal, exact_symmetric.diagonal(dim1=2, dim2=3), 1e-12)
    trace = empirical_ntk(module, x1, x2, method=method, axes="trace")
    assert_kernel(trace, exact.diagonal(dim1=2, dim2=3).mean(-1), 1e-12)
    assert torch.equal(x1, x_before)
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize("name", ["MLP", "convolution", "LayerNorm", "tied weights", "residual"])
def test_in_float32_it_equals_the_full_jacobians_to_1e_5(name, oracle, assert_kernel):
    torch.manual_seed(2)
    module, shape = MODULES[name]()
    x = normal(6, *shape, dtype=torch.float32)
    theta = empirical_ntk(module, x)
    assert theta.dtype == torch.float32
    assert not theta.requires_grad
    assert_kernel(theta, oracle(module, x), 1e-5)


def test_integer_inputs_need_no_gradient(oracle, assert_kernel):
    module = nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(12, 2)).double()
    x = torch.randint(0, 7, (6, 3), generator=torch.Generator().manual_seed(0))
    for method in METHODS:
        assert_kernel(empirical_ntk(module, x, method=method), oracle(module, x), 1e-12)


def test_one_sample_and_one_output_are_enough(oracle, assert_kernel):
    module, x = nn.Linear(3, 1).double(), normal(1, 3)
    for method in (*METHODS, "structured"):
        assert_kernel(empirical_ntk(module, x, method=method), oracle(module, x), 1e-12)


def test_it_works_where_gradients_are_off(oracle, assert_kernel):
    module, x = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)).double(), normal(4, 3)
    with torch.no_grad():
        for method in METHODS:
            theta = empirical_ntk(module, x, method=method)
            with torch.enable_grad():
                assert_kernel(theta, oracle(module, x), 1e-12)


def test_a_centred_net_has_one_kernel_by_every_method():
    net = FullyConnectedNet(3, 2, 20, nn.Tanh(), depth=2, sigma_b=0.3, dtype=torch.float64)
    x = normal(5, 3)
    structured = empirical_ntk(net, x, method="structured")
    for method in ("contraction", "vector-products"):
        torch.testing.assert_close(empirical_ntk(net, x, method=method), structured)


def test_auto_says_why_it_is_not_structured(caplog):
    with caplog.at_level(logging.INFO, logger="sestina"):
        empirical_ntk(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), torch.ones(3, 2))
    assert "LayerNorm is neither affine nor known to be elementwise" in caplog.text


def test_auto_turns_to_vector_products_where_a_jacobian_is_too_large(caplog):
    module = nn.Sequential(nn.Linear(50, 40), nn.LayerNorm(40))
    with caplog.at_level(logging.INFO, logger="sestina"):
        empirical_ntk(module, torch.ones(1, 50), max_bytes=40 * 50 * 40 * 4, axes="trace")
    assert "using vector products" in caplog.text


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "fast"}, "method is 'fast', expected one of auto, structured"),
        ({"axes": "all"}, "axes is 'all', expected one of full, diagonal, trace"),
        ({"max_bytes": 0}, "max_bytes is 0"),
    ],
)
def test_unknown_options_are_named_errors(options, match):
    with pytest.raises(InvalidValueError, match=match):
        empirical_ntk(nn.Linear(2, 2), torch.ones(3, 2), **options)


def test_structured_refuses_what_has_another_structure():
    module = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    with pytest.raises(InvalidValueError, match=r"LayerNorm is neither.*method=\"auto\""):
        empirical_ntk(module, torch.ones(3, 2), method="structured")


@pytest.mark.parametrize("method", ["contraction", "vector-products", "structured"])
def test_a_callback_that_raises_cancels(method):
    def stop(done, total, label):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        empirical_ntk(nn.Linear(2, 2), torch.ones(3, 2), method=method, progress=stop)


@pytest.mark.parametrize("method", ["contraction", "vector-products"])
def test_progress_ends_at_the_total(method):
    told = []
    empirical_ntk(
        nn.Linear(20, 2),
        normal(9, 20, dtype=torch.float32),
        method=method,
        max_bytes=2000,
        progress=lambda *step: told.append(step),
    )
    total = told[0][1]
    assert [step[0] for step in told] == list(range(total + 1))
    assert total > 1
