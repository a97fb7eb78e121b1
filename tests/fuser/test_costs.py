import pytest
import torch

from sestina.fuser import costs, measured


@pytest.fixture(autouse=True)
def _nothing_measured(monkeypatch):
    monkeypatch.setattr(measured, "_in_memory", {})
    monkeypatch.setattr(costs, "_CALLS", 3)


def test_what_takes_longer_costs_more():
    # By far: exponentials take 20 instructions or so, powers 100, an addition one.
    add, exp, power = (costs.operation_cost(name, torch.float32) for name in ("add", "exp", "pow"))
    assert 0 < add < exp < power


@pytest.mark.parametrize("kind", ["uniform", "take", "inset", "scan", "scatter", "sqrt", "div"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_step_has_a_cost(kind, dtype):
    assert costs.operation_cost(kind, dtype) >= 0


@pytest.mark.parametrize("kind", costs._MOVED)
def test_functions_are_timed_where_they_have_values(kind):
    function = getattr(torch, kind)
    for number in range(costs._MANY):
        ends = torch.tensor([0.9, 1.1]) + (costs._MOVED[kind] + number / 1024)
        assert not function(ends).isnan().any()


def test_halves_cost_their_conversion():
    assert costs.operation_cost("convert", torch.bfloat16) > 0


def test_a_cost_is_measured_once_and_kept_on_disk(monkeypatch):
    first = costs.transfer_cost(torch.float32)
    monkeypatch.setattr(measured, "_in_memory", {})
    monkeypatch.setattr(costs, "_measured_transfer", lambda _dtype: pytest.fail("measured again"))
    assert costs.transfer_cost(torch.float32) == first


def test_speeds_lie_between_those_measured(monkeypatch):
    speeds = dict(zip(costs._FOOTPRINTS, (5e9, 4e9, 3e9, 2e9, 1e9), strict=True))
    names = {f"memory {size}, {costs._VERSION}": speed for size, speed in speeds.items()}
    monkeypatch.setattr(measured, "_in_memory", names)
    assert costs.bandwidth(1) == 5e9
    assert costs.bandwidth(1 << 21) == 4e9
    assert 2e9 < costs.bandwidth(1 << 26) < 3e9
    assert costs.bandwidth(1 << 40) == 1e9
