"""The plain PyTorch route against the native one, which other devices have to do without."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sestina.ntk.architectures import FullyConnected
from sestina.ntk.matrices import native_tiles, torch_tiles
from sestina.ntk.matrices.plans import Plan, make_plan
from tests.ntk.oracles import exact_kernels

RELU = FullyConnected(activation="relu", depth=3, sigma_w=2**0.5, sigma_b=0.1)


def rows(n: int, *, one_norm: bool) -> Tensor:
    generator = torch.Generator().manual_seed(n)
    x = torch.randn(n, 5, generator=generator, dtype=torch.float64)
    x[1], x[2], x[3] = x[0], -x[0], x[0] + 1e-7 * x[4]
    return x / x.norm(dim=1, keepdim=True) * 5**0.5 if one_norm else x


def plan_for(network: FullyConnected, x1: Tensor, x2: Tensor | None) -> Plan:
    moments = [torch_tiles.second_moments(x).numpy() for x in (x1, x2) if x is not None]
    return make_plan(
        network, ("nngp", "ntk"), "float64", moments[0], moments[1] if x2 is not None else None, 5
    )


@pytest.mark.parametrize("tile", [1, 7, 40, 100])
@pytest.mark.parametrize("sigma_b", [0.0, 0.1])
@pytest.mark.parametrize("is_square", [True, False])
def test_tables_give_the_same_by_torch_and_natively(
    tile: int, sigma_b: float, is_square: bool
) -> None:
    network = RELU.replace(sigma_b=sigma_b)
    x1 = rows(40, one_norm=sigma_b > 0)
    x2 = None if is_square else rows(23, one_norm=sigma_b > 0) * 1.5
    plan = plan_for(network, x1, x2)
    assert plan.form == "table"
    shape = (40, 40 if x2 is None else 23)
    by_torch = [torch.full(shape, torch.nan, dtype=torch.float64) for _ in range(2)]
    by_native = [torch.full(shape, torch.nan, dtype=torch.float64) for _ in range(2)]
    torch_tiles.fill(plan, x1, x2, by_torch, (0, 40), tile)
    packed = [native_tiles.pack(x, 1) if x is not None else None for x in (x1, x2)]
    native_tiles.fill(plan, packed[0], packed[1], [k.numpy() for k in by_native], (0, 40), 1)
    for ours, theirs in zip(by_torch, by_native, strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-13 * theirs.max().item())
        if x2 is None:
            assert torch.equal(ours, ours.T)


@pytest.mark.parametrize("tile", [1, 8, 100])
def test_recursion_fills_bands_and_their_mirror_images(tile: int) -> None:
    network = FullyConnected(activation="erf", depth=2, sigma_b=0.3)
    x = rows(30, one_norm=False)
    plan = plan_for(network, x, None)
    assert plan.form == "recursion"
    outputs = [torch.full((30, 30), torch.nan, dtype=torch.float64) for _ in range(2)]
    for first in range(0, 30, tile):
        torch_tiles.fill(plan, x, None, outputs, (first, min(first + tile, 30)), tile)
    expected = torch_tiles.differentiable(network, ("nngp", "ntk"), x, None, 30)
    for ours, theirs in zip(outputs, expected, strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-13)


def test_parallel_rows_have_a_cosine_of_one_in_the_recursion() -> None:
    x = torch.randn(1, 300, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    nngp, ntk = torch_tiles.differentiable(RELU, ("nngp", "ntk"), x, x.repeat(5, 1), 2)
    q = RELU.first_covariance(torch_tiles.second_moments(x))
    expected = RELU.diagonal(q)
    assert torch.allclose(nngp, expected.nngp, rtol=1e-14)
    assert torch.allclose(ntk, expected.ntk, rtol=1e-14)


def test_sums_run_in_float64_where_there_is_one() -> None:
    assert torch_tiles.working_dtype(torch.device("cpu"), torch.float32) == torch.float64
    assert torch_tiles.working_dtype(torch.device("cuda"), torch.float32) == torch.float64
    assert torch_tiles.working_dtype(torch.device("mps"), torch.float32) == torch.float32


def test_devices_without_float64_take_the_zone_of_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch_tiles, "working_dtype", lambda device, dtype: dtype)
    x = rows(40, one_norm=True).float()
    plan = make_plan(
        RELU, ("nngp", "ntk"), "float32", torch_tiles.second_moments(x).numpy(), None, 5
    )
    outputs = [torch.empty(40, 40) for _ in range(2)]
    torch_tiles.fill(plan, x, None, outputs, (0, 40), 16)
    expected, scale = exact_kernels(RELU, x)
    for kernel, matrix in enumerate(outputs):
        error = (matrix.double() - expected[kernel]).abs() / scale[kernel]
        assert error.max() <= 2e-6
