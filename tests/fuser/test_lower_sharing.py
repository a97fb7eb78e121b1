"""Results share memory where eager's do, and nowhere else, whatever stands behind them here."""

import pytest
import torch

from sestina.fuser import fuse, memory_efficient_fusion

pytestmark = pytest.mark.usefixtures("fresh_compiler")

x = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
column = x[:, :1].clone()


def both(whole, *parts):
    def function(x):
        made = whole(x)
        return made, *(part(made) for part in parts)

    return function


SHARED = {
    "zeros": both(lambda x: torch.zeros(2, 3), lambda y: y[0], lambda y: y.t()),
    "like another": both(lambda x: torch.ones_like(x.t()), lambda y: y.t(), lambda y: y[1:]),
    "a number": both(lambda x: torch.full((2, 3), 0.5), lambda y: y.view(-1)),
    "repeated": both(lambda x: x[:, :1].expand(3, 4) + 1, lambda y: y.t()),
    "repeated by a row": both(lambda x: torch.ones(2, 4) * x[0], lambda y: y[0], lambda y: y[1]),
    "a sum of one": both(lambda x: x[:, :1].sum(1), lambda y: y[:2]),
    "written to": both(lambda x: x[:, :1].expand(3, 4) * 2, lambda y: y.add_(1), lambda y: y.t()),
    "parts": lambda x: torch.zeros(4, 3).add_(1).unbind(0),
    "computed": both(lambda x: x.exp() * 2, lambda y: y[0], lambda y: y.t()),
}


def seen_by(results):
    """Which results change when one of them is written to, each in turn."""
    found = []
    for written in results:
        before = [one.clone() for one in results]
        written.add_(1)
        found.append([not torch.equal(*pair) for pair in zip(before, results, strict=True)])
    return found


@pytest.mark.parametrize("entry", [fuse, memory_efficient_fusion])
@pytest.mark.parametrize("name", SHARED)
def test_results_that_are_views_of_one_tensor_share_its_memory(name, entry):
    function = SHARED[name]
    mine, theirs = entry(function)(x.clone()), function(x.clone())
    for one, other in zip(mine, theirs, strict=True):
        assert one.stride() == other.stride()
        torch.testing.assert_close(one, other)
    assert seen_by(mine) == seen_by(theirs)


@pytest.mark.parametrize("entry", [fuse, memory_efficient_fusion])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x.sum(1), x.amax(1)),
        lambda x: (x.sum(1), x.prod(1), x.sum(1)[:2], x.amax(1)),
        lambda x: (x.cumsum(-1), x.cumsum(-1).mean(-1, keepdim=True)),
        lambda x: (torch.zeros(3), torch.zeros(3)),
    ],
)
def test_results_that_are_alike_do_not(function, entry):
    mine, theirs = entry(function)(column.clone()), function(column.clone())
    assert seen_by(mine) == seen_by(theirs)
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.filterwarnings("ignore:ATen computes")
def test_a_view_written_to_in_another_graph_is_seen():
    @fuse
    def function(x):
        whole = torch.zeros(2, 3)
        row = whole[0]
        torch._dynamo.graph_break()
        row.add_(x)
        return whole

    assert torch.equal(function(torch.ones(3)), torch.tensor([[1.0, 1, 1], [0, 0, 0]]))
