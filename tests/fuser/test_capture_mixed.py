"""Mixed precision: autocast with and without a gradient scaler, gradients accumulated."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from sestina.fuser import fuse
from tests.fuser.captured import program

pytestmark = pytest.mark.usefixtures("fresh_compiler")
x = torch.randn(12, 40, generator=torch.Generator().manual_seed(1))


def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(40, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 8))


def trained(compiled, dtype, *, overflows_at=None, scaler=None):
    """The scale after each of five steps of two batches each, and the model's parameters."""
    model = layers()
    call = compiled(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = scaler or torch.amp.GradScaler("cpu", enabled=False)
    scales, unchanged = [], []
    for step in range(5):
        before = copy.deepcopy(list(model.parameters()))
        for batch in range(2):
            given = (x + batch) * (1e30 if step == overflows_at else 1)
            with torch.autocast("cpu", dtype=dtype):
                loss = call(given).float().pow(2).mean() / 2
            scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        scales.append(scaler.get_scale())
        if all(map(torch.equal, before, model.parameters())):
            unchanged.append(step)
    return scales, unchanged, list(model.parameters())


def scaler():
    return torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=2)


def test_a_step_that_overflows_is_skipped_and_the_scale_goes_down_as_in_eager():
    (scales, unchanged, mine), (expected, left_out, theirs) = (
        trained(compiled, torch.float16, overflows_at=2, scaler=scaler())
        for compiled in (fuse, lambda model: model)
    )
    assert scales == expected == [256.0, 512.0, 256.0, 256.0, 512.0]
    assert unchanged == left_out == [2]
    # A half has 11 bits: 5e-4, added up over ten batches of a rate of 0.1.
    torch.testing.assert_close(mine, theirs, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_gradients_accumulate_under_autocast(dtype):
    (_, _, mine), (_, _, theirs) = (
        trained(compiled, dtype) for compiled in (fuse, lambda model: model)
    )
    tolerance = 1e-2 if dtype is torch.bfloat16 else 2e-3
    torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance)


def test_clipping_sees_unscaled_gradients():
    found = []
    for compiled in (fuse, lambda model: model):
        model, scaled = layers(), scaler()
        call, optimizer = compiled(model), torch.optim.SGD(model.parameters(), lr=0.1)
        with torch.autocast("cpu", dtype=torch.float16):
            loss = call(x).float().pow(2).mean()
        scaled.scale(loss).backward()
        scaled.unscale_(optimizer)
        found.append(float(nn.utils.clip_grad_norm_(model.parameters(), 0.01)))
        scaled.step(optimizer)
    assert found[0] == pytest.approx(found[1], rel=5e-3)


def test_autocast_inside_a_function_ends_where_it_ends():
    def function(x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            first = x @ x.t()
            with torch.autocast("cpu", enabled=False):
                second = x @ x.t() * 2
        return first, second, x @ x.t()

    for mine, theirs in zip(fuse(function)(x), function(x), strict=True):
        assert mine.dtype is theirs.dtype
        torch.testing.assert_close(mine, theirs, rtol=1e-2, atol=1e-2)


NORMALISATIONS = {
    "of groups": lambda: nn.GroupNorm(2, 6),
    "of a batch": lambda: nn.BatchNorm1d(6),
    "of a batch, not kept": lambda: nn.BatchNorm1d(6, track_running_stats=False),
    "of instances": lambda: nn.InstanceNorm1d(6, affine=True),
}


@pytest.mark.filterwarnings("ignore::sestina.fuser.FallbackWarning")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NORMALISATIONS)
def test_statistics_are_not_rounded_to_the_precision_of_their_tensor(name, dtype):
    model = NORMALISATIONS[name]()
    torch.manual_seed(0)
    given, gradient = (torch.randn(8, 6, 16) * 2 + 100).to(dtype), torch.randn(8, 6, 16).to(dtype)

    def gradient_of_weight(call, model, kind):
        model.zero_grad()
        call(given.to(kind).requires_grad_()).backward(gradient.to(kind))
        return model.weight.grad.double()

    exact = copy.deepcopy(model).double()
    true = gradient_of_weight(exact, exact, torch.float64)
    mine = gradient_of_weight(fuse(model), model, dtype)
    assert (mine - true).abs().max() <= 2e-5 * true.abs().max()


WITH_PARAMETERS = {
    "layer": lambda x, w, b: functional.layer_norm(x, (40,), w, b).relu(),
    "group": lambda x, w, b: functional.group_norm(x, 4, w, b).relu(),
    "bias": lambda x, w, b: functional.gelu(x * w + b),
    "columns": lambda x, w, b: (x.t() * w[:, None] - b[:, None]).t(),
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_parameters_in_half_precision_are_widened_in_the_kernel_that_uses_them(name, dtype):
    function = WITH_PARAMETERS[name]
    given = [one.to(dtype) for one in (x, torch.linspace(-2, 2, 40), torch.linspace(1, -1, 40))]
    compiled = program(function, *given)
    assert len(compiled.kernels) == 1
    (mine,) = compiled.run(list(given))
    exact = function(*(one.double() for one in given))
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(mine.double(), exact, rtol=eps, atol=eps / 16)


def test_a_widened_parameter_that_is_a_result_is_one_tensor():
    def function(x, w):
        wide = w.float()
        return wide, wide.view(8, 5), x.float() * wide

    given = x.bfloat16(), torch.linspace(-2, 2, 40).bfloat16()
    wide, view, product = program(function, *given).run(list(given))
    assert wide.data_ptr() == view.data_ptr()
    assert torch.equal(product, given[0].float() * given[1].float())
