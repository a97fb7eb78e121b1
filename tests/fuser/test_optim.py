import copy

import pytest
import torch
from torch import nn

from sestina.core.errors import DtypeError, InvalidValueError
from sestina.fuser import optim


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


def test_what_cannot_be_updated_is_refused():
    with pytest.raises(DtypeError, match="complex64"):
        optim.AdamW([torch.zeros(3, dtype=torch.complex64, requires_grad=True)])
    with pytest.raises(InvalidValueError, match="strides"):
        optim.SGD([torch.zeros(6)[::2].requires_grad_()])
    with pytest.raises(InvalidValueError, match="max_norm"):
        optim.Lion([torch.zeros(6, requires_grad=True)], max_norm=0)
