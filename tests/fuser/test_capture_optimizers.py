"""Steps of PyTorch's own optimizers, compiled."""

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW
from torch.optim.lr_scheduler import LambdaLR

from sestina.fuser.capture.backend import listening

# TorchDynamo imports Inductor when it meets an optimizer, and says that it leaves profiling out.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Profiler record function"),
]
SHAPES = [(3, 4), (5,), (5,), (40, 50), (70, 8), (1,), ()]
OPTIMIZERS = {
    "AdamW": lambda p: AdamW(p, lr=1e-2),
    "AdamW foreach": lambda p: AdamW(p, lr=1e-2, foreach=True),
    "AdamW maximize": lambda p: AdamW(p, lr=1e-2, maximize=True),
    "Adam": lambda p: Adam(p, lr=1e-2, weight_decay=0.1),
    "Adam foreach, amsgrad": lambda p: Adam(p, lr=1e-2, foreach=True, amsgrad=True),
    "SGD": lambda p: SGD(p, lr=0.1),
    "SGD momentum": lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "SGD nesterov foreach": lambda p: SGD(
        p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1, foreach=True
    ),
}
RATES = {
    "AdamW": lambda p: AdamW(p, lr=torch.tensor(1e-2), foreach=False),
    "Adam": lambda p: Adam(p, lr=torch.tensor(1e-2), weight_decay=0.1),
    "SGD": lambda p: SGD(p, lr=torch.tensor(0.1), momentum=0.9),
    "SGD foreach": lambda p: SGD(p, lr=torch.tensor(0.1), momentum=0.9, foreach=True),
}


def parameters():
    generator = torch.Generator().manual_seed(0)
    made = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    made.append(nn.Parameter(torch.randn(6, 4, generator=generator).t()))
    for parameter in made:
        parameter.grad = torch.randn(parameter.shape, generator=generator).mul_(0.1)
    made[-1].grad = torch.ones(6, 4).t()
    return made


def steps(make, *, count=4, compiled, schedule=False):
    """Parameters and optimizer after some steps, and the graphs that were compiled for them."""
    torch._dynamo.reset()
    params = parameters()
    optimizer = make(params)
    scheduler = LambdaLR(optimizer, lambda step: 1 / (step + 1)) if schedule else None
    step = torch.compile(optimizer.step, backend="sestina") if compiled else optimizer.step
    found = []
    with listening(found.append):
        for _ in range(count):
            for parameter in params:
                parameter.grad.mul_(1.2)
            step()
            if scheduler is not None:
                scheduler.step()
    return params, optimizer, found


def assert_alike(mine, theirs, start):
    for a, b, origin in zip(mine[0], theirs[0], start, strict=True):
        # Compiled, PyTorch's Adam corrects its means in float32, and not in Python's float64:
        # 1 − 0.999 is then right to 6e-5 of itself, its root to 3e-5.
        moved = float((b - origin).detach().abs().max())
        torch.testing.assert_close(a, b, rtol=1e-6, atol=5e-5 * moved)
    for a, b in zip(mine[1].state.values(), theirs[1].state.values(), strict=True):
        assert a.keys() == b.keys()
        for name, value in a.items():
            torch.testing.assert_close(value, b[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_eager(name):
    mine = steps(OPTIMIZERS[name], compiled=True)
    theirs = steps(OPTIMIZERS[name], compiled=False)
    assert_alike(mine, theirs, parameters())
    last = mine[2][-1]
    assert last.reasons == {}
    assert "aten" not in str(last.graph)
    # Written where the parameters lie: nothing is made beside them and copied.
    assert "copy_" not in last.program.source


@pytest.mark.parametrize("name", RATES)
def test_a_tensor_as_learning_rate_may_change_and_compiles_nothing(name):
    mine = steps(RATES[name], compiled=True, schedule=True, count=6)
    theirs = steps(RATES[name], compiled=False, schedule=True, count=6)
    assert_alike(mine, theirs, parameters())
    few = steps(RATES[name], compiled=True, schedule=True, count=2)
    assert len(mine[2]) == len(few[2])


def test_a_number_as_learning_rate_that_changes_is_compiled_once_more():
    # TorchDynamo takes a number that has changed for one that changes.
    _, _, found = steps(OPTIMIZERS["AdamW"], compiled=True, schedule=True, count=6)
    assert len(found) == 2


def test_parameters_alike_share_a_launch():
    _, _, found = steps(lambda p: AdamW(p[3:5]), compiled=True)
    (one,) = found
    # The numbers of each step's count, and the parameters themselves, whatever their sizes.
    assert [len(launched) for launched in one.program.kernels] == [2, 2]


def test_a_step_is_seen_by_autograd():
    params = parameters()
    optimizer = SGD(params, lr=0.1)
    step = torch.compile(optimizer.step, backend="sestina")
    x = params[3].detach().clone().requires_grad_()
    product = (x * params[3]).sum()
    step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()
