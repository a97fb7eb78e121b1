"""Which route a network and its inputs take."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch

from sestina.core.errors import InvalidValueError
from sestina.ntk.activations import Custom
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.matrices.plans import Plan, cosine_rounding, make_plan
from sestina.ntk.matrices.tables import KernelTable

BOTH = ("nngp", "ntk")
ONES = np.ones(5)
NORMS = np.asarray([0.5, 1.0, 4.0])
RELU = FullyConnected(activation="relu", depth=2, sigma_b=0.1)


def plan(network: FullyConnected, moments1: np.ndarray, moments2: np.ndarray | None = None) -> Plan:
    return make_plan(network, BOTH, "float32", moments1, moments2, 10)


@pytest.mark.parametrize(
    ("network", "moments1", "moments2", "form"),
    [
        (RELU, ONES, None, "table"),
        (RELU, ONES * 3, ONES * 0.1, "table"),
        (RELU, ONES, NORMS, "rectifier"),
        (RELU, NORMS, None, "rectifier"),
        (RELU, np.zeros(0), None, "table"),
        (RELU.replace(sigma_b=0.0), NORMS, None, "table"),
        (RELU.replace(residual=True), NORMS, None, "recursion"),
        (RELU.replace(layer_norm=True), NORMS, None, "recursion"),
        (RELU.replace(layer_norm=True, sigma_b=0.0), NORMS, None, "table"),
        (FullyConnected(activation="erf"), ONES, None, "table"),
        (FullyConnected(activation="erf"), NORMS, None, "recursion"),
        (FullyConnected(activation={"name": "monomial", "degree": 3}), NORMS, None, "table"),
    ],
)
def test_norms_and_network_decide_the_route(
    network: FullyConnected, moments1: np.ndarray, moments2: np.ndarray | None, form: str
) -> None:
    assert plan(network, moments1, moments2).form == form


def test_rounding_of_norms_does_not_leave_the_table() -> None:
    rng = np.random.default_rng(0)
    assert plan(RELU, 1 + 2e-7 * rng.uniform(-1, 1, 50)).form == "table"
    assert plan(RELU, 1 + 2e-6 * rng.uniform(-1, 1, 50)).form == "rectifier"
    # A steep activation makes the same differences matter.
    steep = FullyConnected(activation={"name": "exp", "a": 3.0})
    assert plan(steep, 1 + 2e-7 * rng.uniform(-1, 1, 50)).form == "recursion"


@pytest.mark.parametrize("network", [RELU, FullyConnected(activation="erf", sigma_b=0.2)])
def test_diagonals_follow_each_row_s_own_norm(network: FullyConnected) -> None:
    for moments in (1 + 1e-7 * np.arange(4.0), NORMS):
        q = network.first_covariance(torch.from_numpy(moments))
        for ours, exact in zip(plan(network, moments).diagonal, network.diagonal(q), strict=True):
            assert ours == pytest.approx(exact.numpy(), rel=1e-13)


def test_tables_are_shared_between_equal_networks_of_named_activations() -> None:
    first = plan(RELU, ONES).table
    equal = FullyConnected(activation="relu", depth=2, sigma_b=0.1)
    assert plan(equal, 1 + 1e-8 * ONES).table is first  # a norm of 1 up to rounding
    assert plan(RELU.replace(depth=3), ONES).table is not first
    assert plan(RELU, ONES * 1.001).table is not first
    custom = FullyConnected(activation=lambda z: z * torch.tanh(z), depth=1)
    assert plan(custom, np.ones(40)).table is not plan(custom, np.ones(40)).table


def test_steeper_kernels_and_longer_sums_widen_the_zone() -> None:
    zones = [plan(RELU.replace(sigma_w=2**0.5, depth=depth), ONES).near for depth in (1, 4, 20)]
    assert zones[0][0] > zones[1][0] > zones[2][0]
    assert all(-2 <= zone[1] <= 0 <= zone[0] < 1 for zone in zones)
    roundings = [cosine_rounding(d, "float32") for d in (1, 100, 3072, 100_000)]
    assert all(1e-7 < rounding < 1e-6 for rounding in roundings[:3])
    assert roundings[3] > 2 * roundings[2]


@pytest.mark.parametrize("d", [3, 32, 100, 784, 3072])
def test_rounding_error_stays_within_the_model(d: int) -> None:
    # The C++ kernel's sums, in NumPy: 32 terms in sequence, then 8 such, then all.
    rng = np.random.default_rng(d)
    x, y = rng.standard_normal((2, 2000, d))
    y = 0.9 * x + 0.4 * y
    x, y = (rows / np.linalg.norm(rows, axis=1)[:, None] for rows in (x, y))
    products = x.astype(np.float32) * y.astype(np.float32)  # one more rounding than fused
    total = np.zeros(len(x), np.float32)
    for block in range(0, d, 256):
        part = np.zeros(len(x), np.float32)
        for chunk in range(block, min(block + 256, d), 32):
            part += np.cumsum(products[:, chunk : chunk + 32], axis=1, dtype=np.float32)[:, -1]
        total += part
    errors = total - (x * y).sum(1)
    sigma = cosine_rounding(d, "float32") / 6
    assert math.sqrt((errors**2).mean()) < 1.2 * sigma


def test_plans_cross_to_other_processes() -> None:
    for moments in (ONES, NORMS):
        copy = pickle.loads(pickle.dumps(plan(RELU, moments)))
        assert copy.form == plan(RELU, moments).form
        assert copy.near == plan(RELU, moments).near


def test_zero_rows_need_a_kernel_that_knows_them() -> None:
    moments = np.asarray([1.0, 0.0])
    exact = RELU.diagonal(torch.tensor(0.01, dtype=torch.float64))
    assert plan(RELU, moments).diagonal[:, 1] == pytest.approx([k.item() for k in exact])
    with pytest.raises(InvalidValueError, match=r"x2\[1\] is a zero row"):
        plan(FullyConnected(activation="erf", layer_norm=True), ONES, moments)
    # sign(0) is 0: a zero row is uncorrelated with all others, whatever its direction.
    sign = make_plan(FullyConnected(activation="sign"), ("nngp",), "float64", moments, None, 3)
    assert sign.form == "recursion"


FLAT = {  # K(x, x) does not tell the rows apart, K(x, x') does
    "rbf": (FullyConnected(activation={"name": "rbf", "gamma": 0.5}), "nngp"),
    "sign": (FullyConnected(activation="sign", sigma_b=1.0), "nngp"),
    "sin": (FullyConnected(activation={"name": "sin", "frequency": 3.0}), "nngp"),
    "layer norm": (FullyConnected(activation="relu", sigma_b=1.0, layer_norm=True), "ntk"),
}


@pytest.mark.parametrize(("network", "kind"), FLAT.values(), ids=FLAT)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("spread", [0.0, 2e-7, 2e-5])
def test_a_constant_diagonal_does_not_make_rows_of_one_norm(
    network: FullyConnected, kind: str, dtype: torch.dtype, tolerance: float, spread: float
) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 5))
    x *= (1 + spread * rng.uniform(-1, 1, (40, 1))) * 5**0.5 / np.linalg.norm(x, axis=1)[:, None]
    given = torch.from_numpy(x).to(dtype)
    wide = given.double()
    q = network.first_covariance((wide * wide).mean(1))
    k12 = network.first_covariance(wide @ wide.T / 5)
    if kind == "nngp":
        exact = network.nngp_pairwise(q[:, None], q, k12)
    else:
        exact = network.pairwise(q[:, None], q, k12).ntk
    found = getattr(network, kind)(given).double()
    gaps = (found - exact).abs().fill_diagonal_(0)  # acos in the reference
    assert gaps.max() <= tolerance * found.diagonal().max()


def test_few_pairs_of_an_activation_of_ones_own_take_no_table() -> None:
    network = FullyConnected(activation=Custom(torch.tanh), depth=2)
    few, many = np.ones(10), np.ones(400)
    assert plan(network, few).form == "recursion"
    assert plan(network, many, few).form == "table"
    assert plan(network.replace(activation="tanh"), few).form == "table"  # it is remembered


def test_noise_of_quadrature_does_not_ask_for_a_finer_table() -> None:
    hard_tanh = Custom(lambda z: z.clamp(-1, 1), kinks=(-1.0, 1.0))
    table = KernelTable.build(FullyConnected(activation=hard_tanh, depth=2))
    assert not table.is_graded
    assert 2e-13 < table.error < 1e-9
