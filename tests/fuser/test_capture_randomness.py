"""Random numbers in compiled graphs: forward and backward agree, and a seed reproduces them."""

import math
import statistics

import pytest
import scipy.stats
import torch
from torch.nn import functional

from sestina.fuser import fuse
from sestina.fuser.capture.backend import listening

pytestmark = pytest.mark.usefixtures("fresh_compiler")

SHAPE = (64, 32, 8, 8)
PROBABILITY = 0.3
# Below these are so many of the normal numbers, and of the exponential ones of a rate of ½.
QUANTILE, RARE = statistics.NormalDist().inv_cdf(PROBABILITY), -2 * math.log(1 - PROBABILITY)

FUNCTIONS = {
    "dropout": lambda x: functional.dropout(x, PROBABILITY) * (1 - PROBABILITY),
    "channels dropped": lambda x: functional.dropout2d(x, PROBABILITY) * (1 - PROBABILITY),
    "coins": lambda x: x * torch.bernoulli(torch.full_like(x, 1 - PROBABILITY)),
    "coins of one probability": lambda x: x * torch.empty(SHAPE).bernoulli_(1 - PROBABILITY),
    "uniform numbers": lambda x: x * (torch.rand_like(x) >= PROBABILITY),
    "uniform numbers of a shape": lambda x: x * (torch.rand(SHAPE) >= PROBABILITY),
    "normal numbers": lambda x: x * (torch.randn_like(x) >= QUANTILE),
    "normal numbers of a shape": lambda x: x * (torch.randn(SHAPE) >= QUANTILE),
    "exponential numbers": lambda x: x * (torch.empty(SHAPE).exponential_(0.5) >= RARE),
}


def drawn(function, seed=3):
    """The result for ones, which tells what was kept, and its gradient."""
    x = torch.ones(SHAPE, requires_grad=True)
    torch.manual_seed(seed)
    result = function(x)
    (gradient,) = torch.autograd.grad(result.sum(), x)
    return result.detach(), gradient


@pytest.mark.parametrize("name", FUNCTIONS)
def test_forward_and_backward_agree_on_numbers_that_are_not_kept(name):
    found = []
    with listening(found.append):
        result, gradient = drawn(fuse(FUNCTIONS[name], strict=True))
    assert torch.equal(result, gradient)
    forward = found[0].graph
    kept = [node for node in forward.results[1:] if node not in set(forward.inputs)]
    assert sum(int(node.num_elements) for node in kept) <= 1, "the seed alone"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_many_are_kept_as_should_be(name):
    result, _ = drawn(fuse(FUNCTIONS[name]))
    share = float(result.count_nonzero()) / result.numel()
    draws = SHAPE[0] * SHAPE[1] if name == "channels dropped" else result.numel()
    deviation = math.sqrt(PROBABILITY * (1 - PROBABILITY) / draws)
    assert abs(share - (1 - PROBABILITY)) < 5 * deviation


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_seed_reproduces_them_and_another_does_not(name):
    made = fuse(FUNCTIONS[name])
    first, again, other = drawn(made), drawn(made), drawn(made, seed=4)
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])


DISTRIBUTIONS = {
    "normal": (torch.randn_like, scipy.stats.norm()),
    "with mean and deviation": (lambda x: x.normal_(3.0, 0.5), scipy.stats.norm(3.0, 0.5)),
    "exponential": (lambda x: x.exponential_(2.0), scipy.stats.expon(scale=0.5)),
    "uniform": (lambda x: x.uniform_(-1.0, 3.0), scipy.stats.uniform(-1.0, 4.0)),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("dynamic", [False, True])
def test_numbers_are_of_their_distribution(name, dynamic):
    function, distribution = DISTRIBUTIONS[name]
    found = []
    with listening(found.append):
        made = fuse(lambda x: function(torch.zeros_like(x)) * 1, strict=True, dynamic=dynamic)
        torch.manual_seed(5)
        drawn = made(torch.zeros(300, 400)).double()
    assert any(node.kind == "uniform" for node in found[0].graph.nodes)
    assert torch.isfinite(drawn).all()
    assert scipy.stats.kstest(drawn.flatten(), distribution.cdf).pvalue > 1e-3
    # One after another, and in the next row, they have nothing to do with each other.
    for moved in (drawn.roll(1, 1), drawn.roll(1, 0)):
        both = torch.stack([drawn.flatten(), moved.flatten()])
        assert abs(torch.corrcoef(both)[0, 1]) < 5 / math.sqrt(drawn.numel())


def test_certain_coins_fall_as_they_must():
    x = torch.ones(1000)
    made = fuse(lambda x: (torch.bernoulli(x), torch.bernoulli(x - 1)))
    ones, zeros = made(x)
    assert torch.equal(ones, x)
    assert torch.equal(zeros, x - 1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_are_drawn_by_aten_of_the_same_seed(dtype):
    x = torch.ones(300, dtype=dtype)
    torch.manual_seed(7)
    mine = fuse(torch.rand_like)(x)
    torch.manual_seed(7)
    assert torch.equal(mine, torch.rand_like(x))


def test_what_is_left_to_aten_is_drawn_as_in_eager():
    x = torch.ones(300)
    made = fuse(lambda x: torch.rand_like(x) * torch.bernoulli(x / 2), dropout="eager")
    torch.manual_seed(7)
    mine = made(x)
    torch.manual_seed(7)
    assert torch.equal(mine, torch.rand_like(x) * torch.bernoulli(x / 2))


def test_a_size_that_becomes_known_after_it_was_captured():
    def dropped(x, index):
        return torch.zeros(9, 40).index_add(0, index, functional.dropout(x, PROBABILITY))

    x, index = torch.ones(64, 40, requires_grad=True), torch.arange(64) % 9
    result = fuse(dropped, dynamic=True, strict=True)(x, index)
    (gradient,) = torch.autograd.grad(result.sum(), x)
    torch.testing.assert_close(torch.zeros(9, 40).index_add(0, index, gradient), result)
