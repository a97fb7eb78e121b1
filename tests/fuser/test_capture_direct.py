"""Functions and modules captured without TorchDynamo: what it would have guarded is looked at."""

import pytest
import torch
from torch import nn

from sestina.fuser import memory_efficient_fusion

x = torch.randn(6, 8, generator=torch.Generator().manual_seed(1))

OTHERS = {
    "transposed": x.t(),
    "double": x.double(),
    "fewer rows": x[:2],
    "every other row": x[::2],
    "a vector": x[0],
    "of whole numbers": torch.arange(12).reshape(3, 4),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_function_is_captured_anew_for_what_lies_otherwise(name):
    def function(x):
        return (x * 2 + 1).sum(0), x.exp() - 1

    made = memory_efficient_fusion(function)
    for argument in (x, OTHERS[name], x):
        for mine, theirs in zip(made(argument), function(argument), strict=True):
            torch.testing.assert_close(mine, theirs)


@pytest.mark.filterwarnings("ignore::sestina.fuser.FallbackWarning")
def test_arguments_that_are_the_same_or_share_memory_are_told_apart():
    def function(x, y):
        x.add_(1)
        return x * y

    parts = [
        lambda base: (base[:4], base.clone()[:4]),
        lambda base: (base, base),
        lambda base: (base[:4], base[2:]),
        lambda base: (base[2:], base[:4]),
    ]
    made = memory_efficient_fusion(function)
    for part in parts:
        mine, theirs = part(x.clone()), part(x.clone())
        torch.testing.assert_close(made(*mine), function(*theirs))
        for one, other in zip(mine, theirs, strict=True):
            torch.testing.assert_close(one, other)


def test_gradients_are_wanted_or_not():
    made = memory_efficient_fusion(lambda x: x.sin().exp())
    made(x)
    leaf = x.clone().requires_grad_()
    made(leaf).sum().backward()
    torch.testing.assert_close(leaf.grad, x.cos() * x.sin().exp())
    with torch.no_grad():
        assert not made(leaf).requires_grad


def test_autocast_and_the_default_dtype_are_those_of_the_call():
    made = memory_efficient_fusion(lambda x: x.exp() + torch.ones(8))
    product = memory_efficient_fusion(lambda x: x @ x.t())
    for dtype in (None, torch.bfloat16, torch.float16, None):
        with torch.autocast("cpu", dtype, enabled=dtype is not None):
            assert product(x).dtype is (dtype or torch.float32)
    try:
        torch.set_default_dtype(torch.float64)
        assert made(x).dtype is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_module_may_change_its_mode_dtype_and_batch():
    model = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    made = memory_efficient_fusion(model)
    made(x).sum().backward()
    assert model[0].weight.grad is not None
    assert int(model[1].num_batches_tracked) == 1
    made.eval()
    for batch in (x, x[:3]):
        torch.testing.assert_close(made(batch), model(batch))
    made.double()
    torch.testing.assert_close(made(x.double()), model(x.double()))
    assert list(made.state_dict()) == [f"orig_module.{name}" for name in model.state_dict()]


def test_results_that_are_no_tensors_are_what_they_were():
    def function(x):
        return x * 2, 3, None, x.shape[0], 0.5, True

    result, *others = memory_efficient_fusion(function)(x)
    assert torch.equal(result, x * 2)
    assert others == [3, None, 6, 0.5, True]
