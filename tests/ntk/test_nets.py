"""The networks are the formula of the module's docstring, reproducible, centred and trainable."""

from __future__ import annotations

import math

import pytest
import torch

from sestina.core.errors import InvalidValueError, ShapeError
from sestina.ntk.nets import FullyConnectedNet

torch.manual_seed(0)
X_ND = torch.randn(7, 3, dtype=torch.float64)


def make(**options: object) -> FullyConnectedNet:
    settings: dict[str, object] = {
        "depth": 2,
        "sigma_w": 1.3,
        "sigma_b": 0.4,
        "readout_sigma_w": 0.9,
        "readout_sigma_b": 0.2,
        "centred": False,
        "seed": 5,
        "dtype": torch.float64,
    }
    return FullyConnectedNet(3, 2, 16, torch.nn.Tanh(), **(settings | options))  # type: ignore[arg-type]


def test_output_is_the_ntk_parametrised_formula() -> None:
    net = make()
    w1, w2, v = net.weights
    b1, b2, c = net.biases
    z1 = 1.3 / math.sqrt(3) * X_ND @ w1.T + 0.4 * b1
    z2 = 1.3 / math.sqrt(16) * torch.tanh(z1) @ w2.T + 0.4 * b2
    expected = 0.9 / math.sqrt(16) * torch.tanh(z2) @ v.T + 0.2 * c
    torch.testing.assert_close(net(X_ND), expected, rtol=1e-12, atol=1e-12)


def test_residual_and_layer_norm_are_the_formulas_of_the_docstring() -> None:
    net = make(residual=True, layer_norm=True, sigma_b=0.0, readout_sigma_b=0.0)
    w1, w2, v = net.weights
    z1 = 1.3 / math.sqrt(3) * X_ND @ w1.T
    z2 = z1 + 1.3 / math.sqrt(16) * torch.tanh(z1 / z1.pow(2).mean(1, keepdim=True).sqrt()) @ w2.T
    expected = 0.9 / 4 * torch.tanh(z2 / z2.pow(2).mean(1, keepdim=True).sqrt()) @ v.T
    torch.testing.assert_close(net(X_ND), expected, rtol=1e-12, atol=1e-12)


def test_standard_parametrisation_starts_as_the_same_function() -> None:
    torch.testing.assert_close(
        make()(X_ND), make(parametrisation="standard")(X_ND), rtol=1e-6, atol=0
    )


def test_same_seed_gives_the_same_network_in_both_precisions() -> None:
    single = make(dtype=torch.float32)
    for narrow, wide in zip(single.parameters(), make().parameters(), strict=True):
        torch.testing.assert_close(narrow.double(), wide, rtol=0, atol=0)
    assert not torch.equal(make(seed=6).weights[0], make().weights[0])


def test_centred_network_is_zero_at_first_and_has_the_same_gradients() -> None:
    centred, plain = make(centred=True), make()
    assert centred(X_ND).abs().max() == 0
    for net in (centred, plain):
        net(X_ND).sum().backward()
    for ours, theirs in zip(centred.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_centred_network_survives_a_round_trip_of_its_state() -> None:
    net = make(centred=True)
    with torch.no_grad():
        net.weights[0].add_(1)
    copy = make(centred=True, seed=99)
    copy.load_state_dict(net.state_dict())
    torch.testing.assert_close(copy(X_ND), net(X_ND), rtol=0, atol=0)


def test_layer_without_bias_has_none() -> None:
    net = make(sigma_b=0.0)
    assert [bias.numel() for bias in net.biases] == [0, 0, 2]
    assert net.num_parameters == 16 * 3 + 16 * 16 + 2 * 16 + 2


def test_one_sample_without_batch_axis_gives_one_output() -> None:
    net = make()
    torch.testing.assert_close(net(X_ND[0]), net(X_ND)[0])


@pytest.mark.parametrize("name", ["d_in", "d_out", "width", "depth"])
def test_count_below_one_is_refused_by_name(name: str) -> None:
    counts = {"d_in": 3, "d_out": 2, "width": 16, "depth": 1, name: 0}
    with pytest.raises(InvalidValueError, match=f"{name} is 0"):
        FullyConnectedNet(activation=torch.nn.ReLU(), **counts)  # type: ignore[arg-type]


def test_wrong_number_of_columns_is_refused_with_both_numbers() -> None:
    with pytest.raises(ShapeError, match=r"\(7, 4\).*axis of 3"):
        make()(torch.zeros(7, 4, dtype=torch.float64))


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 1.5},
        {"width": True},
        {"sigma_w": -1.0},
        {"sigma_b": math.nan},
        {"readout_sigma_w": "1"},
        {"parametrisation": "mup"},
        {"seed": None},
    ],
)
def test_options_that_make_no_network_are_named(changes):
    (name,) = changes
    options = {"d_in": 3, "d_out": 1, "width": 4, "activation": torch.nn.ReLU()} | changes
    with pytest.raises(InvalidValueError, match=f"{name} is "):
        FullyConnectedNet(**options)
