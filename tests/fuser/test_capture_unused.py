"""Results whose gradients nobody asks for: autograd makes no zeros for them."""

import pytest
import torch
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from sestina.fuser import fuse

pytestmark = [
    pytest.mark.usefixtures("fresh_compiler"),
    # TorchDynamo looks at `grad` of whatever it is given.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
]

CLASSES = torch.arange(64) % 10


def classified(x, w):
    """A loss, the scores it is of, and how sure these are."""
    scores = torch.tanh(x) @ w
    return functional.cross_entropy(scores, CLASSES), scores, scores.softmax(-1).amax(-1)


def leaves():
    generator = torch.Generator().manual_seed(0)
    sizes = ((64, 32), (32, 10))
    return [torch.randn(size, generator=generator).requires_grad_() for size in sizes]


def gradients(function, asked):
    arguments = leaves()
    results = function(*arguments)
    sum(results[index].square().sum() for index in asked).backward()
    return [argument.grad for argument in arguments]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("dynamic", [False, True])
def test_gradients_of_some_of_the_results(dynamic, strict):
    fast = fuse(classified, strict=strict, dynamic=dynamic)
    # The same compiled function each time, and memory that was zero is written over in between.
    for asked in ((0,), (1,), (0, 1, 2), (0,), (2,), (1, 2), (0, 1), (0, 2), (0,)):
        for ours, theirs in zip(gradients(fast, asked), gradients(classified, asked), strict=True):
            torch.testing.assert_close(ours, theirs)


def test_autograd_makes_no_zeros():
    fast = fuse(classified, strict=True)
    gradients(fast, (0,))
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        gradients(fast, (0,))
    assert "aten::zeros" not in {event.name for event in profiled.events()}


def test_a_result_that_is_another_compiled_functions():
    first = fuse(lambda x: (x.exp(), x.sin()), strict=True)
    second = fuse(lambda y: (y, y.tanh() * 2, y.cos()), strict=True)

    def eager(x):
        y, _ = x.exp(), x.sin()
        return y, y.tanh() * 2, y.cos()

    def compiled(x):
        y, _ = first(x)
        return second(y)

    for asked in ((0,), (1,), (2,), (0, 2), (1,)):
        found = []
        for function in (eager, compiled):
            x = torch.linspace(-1, 1, 50).requires_grad_()
            results = function(x)
            sum(results[index].sum() for index in asked).backward()
            found.append(x.grad)
        torch.testing.assert_close(*found)


def test_results_that_take_several_backward_passes():
    fast = fuse(lambda x: (x.exp().sum(), (x * 2).sin().sum()), strict=True)
    x = torch.linspace(-1, 1, 50).requires_grad_()
    with torch._functorch.config.patch(donated_buffer=False):
        one, other = fast(x)
        one.backward(retain_graph=True)
        other.backward()
    torch.testing.assert_close(x.grad, (x.exp() + 2 * (2 * x).cos()).detach())


def test_a_backward_pass_that_is_compiled_as_a_whole():
    fast = fuse(classified)
    with torch._dynamo.compiled_autograd._enable(torch.compile(backend="eager")):
        made = gradients(fast, (0,))
    for ours, theirs in zip(made, gradients(classified, (0,)), strict=True):
        torch.testing.assert_close(ours, theirs)
