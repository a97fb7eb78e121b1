"""Tables against the curves they were made from, between their nodes and at both ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sestina.core.errors import DivergentKernelError
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.matrices.rectifiers import RectifierNetwork
from sestina.ntk.matrices.tables import KernelTable, Precision

ENDS = torch.logspace(-12, -2, 101, dtype=torch.float64)
DEFECTS = torch.cat([torch.zeros(1), ENDS, torch.linspace(0.01, 1, 997)]).double()
IS_OPPOSITE = torch.tensor([[False], [True]]).expand(2, len(DEFECTS))


def worst_error(network: FullyConnected, table: KernelTable, dtype: torch.dtype) -> float:
    """Largest error relative to K(1), at cosines from −1 to 1 that crowd at both ends."""
    defects = DEFECTS.expand(2, -1)
    values = table.at_defects(defects.to(dtype), IS_OPPOSITE)
    rectifiers = RectifierNetwork.of(network)
    if rectifiers is not None:
        d = defects.numpy()
        both = rectifiers.kernels_at(np.stack([d[0], 2 - d[1]]), np.stack([2 - d[0], d[1]]), (1, 1))
        expected = dict(zip(("nngp", "ntk"), torch.from_numpy(both), strict=True))
    else:
        c = torch.stack([1 - defects[0], defects[1] - 1])
        expected = {"nngp": network.nngp_curve(c)}
        if "ntk" in table.kinds:
            expected["ntk"] = network.curve(c).ntk
    return max(
        float((value - expected[kind]).abs().max()) / size
        for kind, value, size in zip(table.kinds, values, table.sizes, strict=True)
    )


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 20, 60])
@pytest.mark.parametrize("sigma_b", [0.0, 1e-6, 1e-3, 0.1, 3.0])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_relu_tables_of_any_depth_hold_their_tolerance(
    depth: int, sigma_b: float, precision: Precision
) -> None:
    network = FullyConnected(activation="relu", depth=depth, sigma_w=2**0.5, sigma_b=sigma_b)
    table = KernelTable.build(network, precision=precision)
    tolerance = {"float32": 2e-7, "float64": 3e-13}[precision]
    assert table.error <= tolerance
    assert worst_error(network, table, torch.float64) <= tolerance


@pytest.mark.parametrize("depth", [1, 4, 20])
def test_float32_lookup_adds_two_roundings(depth: int) -> None:
    network = FullyConnected(activation="relu", depth=depth, sigma_w=2**0.5, sigma_b=0.1)
    table = KernelTable.build(network, precision="float32")
    assert worst_error(network, table, torch.float32) <= 5e-7


@pytest.mark.parametrize(
    "activation",
    [
        "abs",
        "erf",
        "gelu",
        {"name": "sin", "amplitude": 1.0, "frequency": 6.0},
        {"name": "exp", "a": 1.0},
        {"name": "ab_relu", "a": 0.9, "b": 1.0},
        {"name": "rectified_monomial", "degree": 2},
        {"name": "hermite", "degree": 5},
        "tanh",
    ],
)
@pytest.mark.parametrize("sigma_b", [0.0, 0.01, 0.5])
def test_other_activations_hold_the_float32_tolerance(activation: object, sigma_b: float) -> None:
    network = FullyConnected(activation=activation, depth=2, sigma_w=0.8, sigma_b=sigma_b)
    table = KernelTable.build(network, precision="float32")
    assert worst_error(network, table, torch.float64) <= 2e-7


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_sign_networks_are_tabulated_up_to_their_cusp(depth: int) -> None:
    # K(1) − K(c) grows like (1 − c)^(1/2^depth): no table follows that down to 1 − c = 0.
    network = FullyConnected(activation="sign", depth=depth, sigma_b=0.1)
    table = KernelTable.build(network, kinds=("nngp",), precision="float32")
    c = torch.cat([1 - torch.logspace(-10, -2, 200), torch.linspace(-0.99, 0.99, 400)]).double()
    assert (table(c)[0] - network.nngp_curve(c)).abs().max() <= 1e-6
    assert table(torch.ones(1, dtype=torch.float64))[0].item() == pytest.approx(table.sizes[0])


def test_bias_hidden_singularity_needs_no_graded_table() -> None:
    # At σ_b = 0.01 the first layer's correlation stops at −1 + 1e-4: a table in √(1 + c) would
    # have a square-root singularity 0.007 beyond its end.
    network = FullyConnected(activation="relu", depth=1, sigma_b=0.01)
    table = KernelTable.build(network, precision="float32")
    assert not table.is_graded
    assert table.error < 1e-9


def test_deep_networks_switch_to_graded_tables() -> None:
    networks = [FullyConnected(activation="relu", depth=d, sigma_w=2**0.5) for d in (20, 100)]
    tables = [KernelTable.build(network, precision="float32") for network in networks]
    assert [table.is_graded for table in tables] == [False, True]


@given(
    st.floats(1e-3, 1e3),
    st.floats(1e-3, 1e3),
    st.sampled_from(["relu", "erf", {"name": "ab_relu", "a": -0.5, "b": 1.0}]),
    st.sampled_from([0.0, 0.2]),
)
def test_inputs_of_two_norms_have_a_table(
    left: float, right: float, activation: object, sigma_b: float
) -> None:
    network = FullyConnected(activation=activation, depth=2, sigma_b=sigma_b)
    table = KernelTable.build(network, moments=(left, right), precision="float32")
    c = torch.linspace(-1, 1, 101, dtype=torch.float64)
    q1, q2, k12 = (
        network.first_covariance(torch.as_tensor(moment, dtype=torch.float64))
        for moment in (left, right, (left * right) ** 0.5 * c)
    )
    for value, expected, size in zip(
        table(c), network.pairwise(q1, q2, k12), table.sizes, strict=True
    ):
        assert (value - expected).abs().max() <= 3e-7 * size


def test_safe_cosines_hold_what_they_promise() -> None:
    rounding, allowance = 3e-7, 1e-6
    for depth in (1, 4, 20):
        network = FullyConnected(activation="relu", depth=depth, sigma_w=2**0.5)
        table = KernelTable.build(network, precision="float64")
        near_one, near_minus_one = table.safe_cosines(rounding, allowance)
        assert -1 <= near_minus_one <= 0 <= near_one < 1
        c = torch.linspace(near_minus_one + rounding, near_one - rounding, 9999).double()
        for sign in (-1, 1):
            moved = table(c + sign * rounding)
            for value, away, size in zip(table(c), moved, table.sizes, strict=True):
                assert (value - away).abs().max() <= allowance * size


def test_constant_kernels_need_no_care_near_the_ends() -> None:
    table = KernelTable.build(FullyConnected(activation="relu", sigma_w=0.0, sigma_b=1.0))
    near_one, near_minus_one = table.safe_cosines(1e-6, 1e-9)
    assert near_one > 1
    assert near_minus_one < -1


def test_zero_inputs_have_a_constant_kernel() -> None:
    table = KernelTable.build(FullyConnected(activation="relu", sigma_b=1.0), moments=(0.0, 0.0))
    values = table(torch.linspace(-1, 1, 9, dtype=torch.float64))
    for value, size in zip(values, table.sizes, strict=True):
        assert (value - size).abs().max() <= 1e-14


def test_infinite_tangent_kernel_is_refused() -> None:
    with pytest.raises(DivergentKernelError, match="jumps"):
        KernelTable.build(FullyConnected(activation="sign"))


def test_table_keeps_dtype_and_shape() -> None:
    table = KernelTable.build(FullyConnected(activation="relu"), kinds=("ntk",))
    (values,) = table(torch.zeros(2, 3, 1))
    assert values.shape == (2, 3, 1)
    assert values.dtype == torch.float32
