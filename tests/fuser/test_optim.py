import copy
import pickle

import pytest
import torch
from torch import nn

from sestina.core.errors import InvalidValueError, ShapeError
from sestina.fuser import optim
from tests.fuser.optimizers import stepped


def model(dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(37, 300), nn.Tanh(), nn.Linear(300, 5, bias=False)).to(dtype)


def trained(made, optimizer, steps=5, clip=None, schedule=None):
    generator = torch.Generator().manual_seed(1)
    for step in range(steps):
        x = torch.randn(16, 37, generator=generator).to(next(made.parameters()).dtype)
        made(x).float().pow(2).mean().mul(30).backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(made.parameters(), clip)
        if schedule is not None:
            for group in optimizer.param_groups:
                group["lr"] = schedule(step)
        optimizer.step()
        optimizer.zero_grad()
    return [p.detach() for p in made.parameters()]


def lion(params, lr, betas, weight_decay):
    """Lion as its paper's algorithm 2 has it."""

    class Plain(torch.optim.Optimizer):
        def __init__(self):
            super().__init__(params, {})

        @torch.no_grad()
        def step(self):
            for p in self.param_groups[0]["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                update = (m * betas[0] + p.grad * (1 - betas[0])).sign()
                p.sub_(lr * (update + weight_decay * p))
                m.mul_(betas[1]).add_(p.grad * (1 - betas[1]))

    return Plain()


PAIRS = {
    "AdamW": (
        lambda p: optim.AdamW(p, lr=1e-2, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.1),
    ),
    "SGD": (lambda p: optim.SGD(p, lr=1e-2), lambda p: torch.optim.SGD(p, lr=1e-2)),
    "SGD with momentum": (
        lambda p: optim.SGD(p, lr=1e-2, momentum=0.9, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, weight_decay=0.1),
    ),
    "Nesterov": (
        lambda p: optim.SGD(p, lr=1e-2, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, nesterov=True),
    ),
    "Lion": (
        lambda p: optim.Lion(p, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1),
        lambda p: lion(list(p), 1e-3, (0.9, 0.99), 0.1),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_parameters_end_where_pytorch_takes_them(name):
    ours, theirs = PAIRS[name]
    first, second = model(), model()
    made = trained(first, ours(first.parameters()))
    for mine, other in zip(made, trained(second, theirs(second.parameters())), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


def test_gradients_are_clipped_together_and_zeroed():
    first, second = model(), model()
    ours = optim.AdamW(first.parameters(), lr=1e-2, max_norm=0.5, zero=True)
    made = trained(first, ours)
    theirs = trained(second, torch.optim.AdamW(second.parameters(), lr=1e-2), clip=0.5)
    for mine, other in zip(made, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)
    first(torch.randn(4, 37)).sum().backward()
    ours.step()
    assert all(bool((p.grad == 0).all()) for p in first.parameters())


def test_a_learning_rate_that_changes_is_followed_without_a_new_kernel():
    first, second = model(), model()
    made = trained(first, optim.AdamW(first.parameters()), schedule=lambda step: 0.01 / (step + 1))
    theirs = trained(
        second, torch.optim.AdamW(second.parameters()), schedule=lambda step: 0.01 / (step + 1)
    )
    before = optim._kernel.cache_info().misses
    third = model()
    trained(third, optim.AdamW(third.parameters()), schedule=lambda step: 0.2 / (step + 1))
    assert optim._kernel.cache_info().misses == before
    for mine, other in zip(made, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


def test_state_moves_to_pytorchs_optimizer_and_back():
    first, second = model(), model()
    ours, theirs = optim.AdamW(first.parameters()), torch.optim.AdamW(second.parameters())
    trained(first, ours, steps=3)
    trained(second, theirs, steps=3)
    theirs.load_state_dict(
        copy.deepcopy(ours.state_dict()) | {"param_groups": theirs.state_dict()["param_groups"]}
    )
    again = optim.AdamW(first.parameters())
    again.load_state_dict(ours.state_dict())
    for mine, other in zip(
        trained(first, again, steps=2), trained(second, theirs, steps=2), strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


def test_half_precision_parameters_are_updated_in_float32():
    made = model(torch.bfloat16)
    before = [p.detach().clone() for p in made.parameters()]
    optimizer = optim.AdamW(made.parameters(), lr=1e-2)
    after = trained(made, optimizer, steps=2)
    assert all(not torch.equal(a, b) for a, b in zip(after, before, strict=True))
    assert all(s["exp_avg"].dtype is torch.float32 for s in optimizer.state.values())


def test_threads_change_nothing():
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            big = nn.Parameter(torch.linspace(-1, 1, 300_001))
            big.grad = torch.linspace(1, -2, 300_001)
            optim.AdamW([big], lr=0.1).step()
            results.append(big.detach())
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


def test_parameters_that_lie_by_columns_and_gradients_that_do_not():
    param = nn.Parameter(torch.randn(40, 30).t())
    other = nn.Parameter(param.detach().clone().contiguous())
    gradient = torch.randn(30, 40)
    param.grad, other.grad = gradient.clone(), gradient.clone()
    optim.AdamW([param], lr=0.1, zero=True).step()
    torch.optim.AdamW([other], lr=0.1).step()
    torch.testing.assert_close(param.detach(), other.detach(), rtol=1e-5, atol=1e-6)
    assert bool((param.grad == 0).all())


def test_a_closure_gives_the_loss():
    made = model()
    optimizer = optim.SGD(made.parameters(), lr=1e-3)

    def closure():
        optimizer.zero_grad()
        loss = made(torch.ones(2, 37)).sum()
        loss.backward()
        return loss

    expected = made(torch.ones(2, 37)).sum().detach()
    assert torch.equal(optimizer.step(closure).detach(), expected)


@pytest.mark.parametrize("zero", [False, True])
def test_parameters_laid_anew_take_their_state_along(zero):
    # Once with a gradient that lies as the parameter does now, once as it did.
    for moved in (True, False):
        param, optimizer = stepped((2, 3, 4, 5), zero=zero)
        other = nn.Parameter(torch.linspace(-1, 1, 120).reshape(2, 3, 4, 5))
        other.grad = torch.linspace(2, -1, 120).reshape(2, 3, 4, 5)
        theirs = torch.optim.AdamW([other], lr=0.1)
        theirs.step()
        param.data = param.data.to(memory_format=torch.channels_last)
        for seed in range(3):
            generator = torch.Generator().manual_seed(seed)
            other.grad = torch.randn(2, 3, 4, 5, generator=generator)
            form = torch.channels_last if moved else torch.contiguous_format
            param.grad = other.grad.clone(memory_format=form)
            optimizer.step()
            theirs.step()
            torch.testing.assert_close(param, other, rtol=1e-5, atol=1e-6)
            assert not zero or bool((param.grad == 0).all())


def test_parameters_halved_after_a_step_go_on():
    param, optimizer = stepped()
    mean = optimizer.state[param]["exp_avg"]
    param.data, param.grad = param.data.bfloat16(), None
    param.grad = torch.ones(10, dtype=torch.bfloat16)
    before = mean.clone()
    optimizer.step()
    assert optimizer.state[param]["exp_avg"] is mean
    torch.testing.assert_close(mean, before + (1 - before) * 0.1)


def test_strides_of_extent_1_copy_no_gradient():
    param = nn.Parameter(torch.ones(4, 3, 1, 1))
    param.grad = torch.ones(12).as_strided((4, 3, 1, 1), (3, 1, 3, 3))
    optim.SGD([param], lr=1.0, zero=True).step()
    assert bool((param == 0).all())
    assert bool((param.grad == 0).all())


def test_parameters_come_and_go():
    first, optimizer = stepped()
    second = nn.Parameter(torch.ones(3, requires_grad=True))
    optimizer.add_param_group({"params": second, "lr": 0.5})
    mine, other = first.detach().clone(), second.detach().clone()
    gradients = first.grad, torch.ones(3)
    for chosen in ((0, 1), (1,), (0,), (), (0, 1)):
        first.grad, second.grad = (gradients[at] if at in chosen else None for at in (0, 1))
        optimizer.step()
        assert torch.equal(first, mine) == (0 not in chosen)
        assert torch.equal(second, other) == (1 not in chosen)
        mine, other = first.detach().clone(), second.detach().clone()
    assert [optimizer.state[param]["step"] for param in (first, second)] == [4, 3]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_go_on_as_the_original_would(copied):
    param, optimizer = stepped(max_norm=0.5, zero=True)
    again = copied(optimizer)
    (twin,) = again.param_groups[0]["params"]
    twin.grad, param.grad = torch.ones(10), torch.ones(10)
    optimizer.step()
    again.step()
    assert torch.equal(param, twin)
    assert bool((twin.grad == 0).all())


def test_state_that_does_not_fit_is_refused_when_it_is_loaded():
    param, optimizer = stepped()
    _, wider = stepped((1,))
    with pytest.raises(ShapeError, match=r"\(1,\), expected \(10,\)"):
        optimizer.load_state_dict(wider.state_dict())
    _, other = stepped(make=optim.SGD)
    with pytest.raises(InvalidValueError, match="exp_avg"):
        optimizer.load_state_dict(other.state_dict())
    for make, options in (
        (torch.optim.AdamW, {"amsgrad": True}),
        (torch.optim.Adam, {}),
        (torch.optim.AdamW, {"maximize": True}),
    ):
        with pytest.raises(InvalidValueError, match="as sestina's optimizers have no other"):
            optimizer.load_state_dict(make([param], **options).state_dict())


def test_state_of_other_strides_dtype_or_none_is_loaded():
    param, optimizer = stepped((4, 5))
    saved = optimizer.state_dict()
    expected = saved["state"][0]["exp_avg"].clone()
    saved["state"][0]["exp_avg"] = expected.t().contiguous().t().double()
    again = optim.AdamW([param])
    again.load_state_dict(saved)
    mean = again.state[param]["exp_avg"]
    assert mean.dtype is torch.float32
    assert mean.stride() == param.stride()
    assert torch.equal(mean, expected)
    # As PyTorch's SGD has it that has made no step, or has no momentum.
    plain = optim.SGD([param], lr=1.0)
    saved = plain.state_dict()
    for state in ({}, {"momentum_buffer": None}):
        plain.load_state_dict(saved | {"state": {0: state}})
        before = param.detach().clone()
        plain.step()
        torch.testing.assert_close(param.detach(), before - param.grad)


def test_state_of_half_precision_parameters_is_loaded_unrounded():
    made = model(torch.float16)
    optimizer = optim.AdamW(made.parameters(), lr=1e-4)
    trained(made, optimizer, steps=3)
    again = optim.AdamW(made.parameters())
    again.load_state_dict(optimizer.state_dict())
    for param in made.parameters():
        for name in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(again.state[param][name], optimizer.state[param][name])


@pytest.mark.parametrize("backend", ["eager", "sestina"])
def test_compiled_functions_call_a_step(backend):
    first, second = model(), model()
    ours, theirs = optim.AdamW(first.parameters()), torch.optim.AdamW(second.parameters())
    x = torch.linspace(-1, 1, 4 * 37).reshape(4, 37)

    def train(made, optimizer):
        loss = made(x).pow(2).mean()
        value = loss.detach()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return value

    torch._dynamo.reset()
    compiled = torch.compile(lambda: train(first, ours), backend=backend)
    for _ in range(3):
        torch.testing.assert_close(compiled(), train(second, theirs), rtol=1e-4, atol=1e-6)
    for mine, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", ["eager", "sestina"])
def test_a_step_can_be_given_to_torch_compile(backend):
    param, optimizer = stepped()
    other, plain = stepped()
    torch._dynamo.reset()
    step = torch.compile(optimizer.step, backend=backend)
    for _ in range(2):
        step()
        plain.step()
    assert torch.equal(param, other)
    assert optimizer.state[param]["step"] == 3


def test_what_a_closure_calls_stays_compiled():
    param, optimizer = stepped()
    calls = []

    def backend(module, examples):
        def run(*args):
            calls.append(len(args))
            return module.forward(*args)

        return run

    torch._dynamo.reset()
    loss = torch.compile(lambda: param.pow(2).sum(), backend=backend)

    def closure():
        optimizer.zero_grad()
        made = loss()
        made.backward()
        return made

    optimizer.step(closure)
    optimizer.step(closure)
    assert len(calls) == 2
