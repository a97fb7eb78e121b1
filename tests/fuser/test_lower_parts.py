"""Concatenations, paddings, scans, sums at places: against ATen, and the number of kernels."""

import pytest
import torch
from torch.nn import functional

from tests.fuser.captured import assert_as_eager, interpreted, program, results_of


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def places(count, *shape, least=0):
    return torch.randint(least, count, shape, generator=torch.Generator().manual_seed(1))


def turned(x):
    """What rotary embeddings do to a head."""
    a, b = x.chunk(2, -1)
    return torch.cat((-b, a), -1)


CASES = {
    "columns": (
        lambda x, y: torch.cat([x * 2, y.exp(), x], 1) + 1,
        (normal(33, 20), normal(33, 7)),
    ),
    "rows": (lambda x, y: torch.cat([x, y], 0) * 2, (normal(3, 20), normal(5, 20))),
    "between": (lambda x, y: torch.cat([x, y], 1).sum(1), (normal(3, 4, 40), normal(3, 2, 40))),
    "with numbers": (lambda x: torch.cat([x, torch.ones_like(x), x]), (normal(9, 5),)),
    "of an empty one": (lambda x: torch.cat([x[:, :0], x], 1).sin(), (normal(9, 5),)),
    "stacked": (lambda x, y: torch.stack([x, y], -1).tanh(), (normal(3, 4, 40), normal(3, 4, 40))),
    "rotary": (
        lambda x, c, s: x * c + turned(x) * s,
        (normal(2, 4, 16, 64), normal(16, 64), normal(16, 64, seed=1)),
    ),
    "of a transpose": (
        lambda x: torch.cat([x.mT.reshape(-1), x.reshape(-1).exp()]),
        (normal(36, 5),),
    ),
    "padded": (
        lambda x: functional.pad(x, (2, 3, 1, -1), value=-torch.inf) * 2,
        (normal(3, 9, 20),),
    ),
    "a formula padded": (lambda x: functional.pad(x.sin(), (2, 3), value=1.0), (normal(3, 9, 20),)),
    "flipped": (lambda x: torch.flip(x, [0, 1]) * x + x.flip(1), (normal(9, 37),)),
    "flipped itself": (lambda x: torch.flip(x, [0]), (normal(9, 37),)),
    "a slice set": (
        lambda x, y: torch.slice_scatter(x, y, 1, 2, 6) * 2,
        (normal(5, 17), normal(5, 4)),
    ),
    "a row set": (lambda x, y: torch.select_scatter(x, y, 0, -2) * 2, (normal(5, 17), normal(17))),
    "cumsum": (lambda x: torch.cumsum(x.exp(), -1).log(), (normal(9, 1037),)),
    "cumsum of a vector": (lambda x: torch.cumsum(x, -1), (normal(5037),)),
    "cumsum of a transpose": (lambda x: torch.cumsum(x.mT, -1) * 2, (normal(70, 33),)),
    "cumsum of whole numbers": (lambda x: torch.cumsum(x > 0, -1), (normal(9, 70),)),
    "cumsum of rows": (lambda x: torch.cumsum(x.exp(), 0).log(), (normal(37, 133),)),
    "cumsum between": (lambda x: torch.cumsum(x * 2, 1) + x, (normal(3, 21, 40),)),
    "cumsum of planes": (lambda x: torch.cumsum(x, 0), (normal(9, 5, 20),)),
    "cumsum of long rows": (lambda x: torch.cumsum(x, 0), (normal(2, 17_000),)),
    "cumsum of a single row": (lambda x: torch.cumsum(x, 0) + 1, (normal(1, 40),)),
    "cumsums of cumsums": (
        lambda x: torch.cumsum(torch.cumsum(x, 1) * 0.1, 1) * torch.cumsum(x, 1),
        (normal(3, 21, 40),),
    ),
    "softmax of a cumsum of rows": (
        lambda x: torch.softmax(torch.cumsum(x, 0), -1),
        (normal(9, 137),),
    ),
    "cumprod of rows": (lambda x: torch.cumprod(1 + x * 0.01, 0) * 2, (normal(90, 37),)),
    "cumprod": (lambda x: torch.cumprod(1 + x * 0.01, -1) * 2, (normal(9, 137),)),
    "softmax of cumsum": (lambda x: torch.softmax(torch.cumsum(x, -1), -1), (normal(9, 137),)),
    "chosen": (lambda x, i: x[i].exp(), (normal(30, 17), places(30, 5, 3, least=-30))),
    "chosen columns": (
        lambda x, i: x[:, i].exp(),
        (normal(6, 30, 17), places(30, 5, 3, least=-30)),
    ),
    "selected": (lambda x, i: x.index_select(1, i).exp(), (normal(6, 30, 17), places(30, 5))),
    "added": (
        lambda x, i, y: x.index_add(0, i, y.exp()) * 2,
        (normal(30, 17), places(30, 50), normal(50, 17)),
    ),
    "added between": (
        lambda x, i, y: x.index_add(1, i, y) * 2,
        (normal(3, 30, 70), places(30, 50), normal(3, 50, 70)),
    ),
    "put": (
        lambda x, i, y: x.index_put((i,), y, accumulate=True) * 2,
        (normal(30, 17), places(30, 5, 4, least=-30), normal(5, 4, 17)),
    ),
    "a single column": (
        lambda x, i, y: x.index_add(0, i, y) * 2,
        (normal(30, 1), places(30, 50), normal(50, 1)),
    ),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_parts_scans_and_places_give_what_aten_gives(name, dtype):
    function, arguments = CASES[name]
    arguments = [a.to(dtype) if a.is_floating_point() else a for a in arguments]
    assert_as_eager(function, *arguments, steps=64 if dtype is torch.float32 else 8)


@pytest.mark.parametrize("name", CASES)
def test_the_interpreter_gives_the_same(name):
    function, arguments = CASES[name]
    for ours, theirs in zip(
        interpreted(function, *arguments), results_of(function, *arguments), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


GRADIENTS = {
    "a table": (
        lambda w, i: functional.embedding(i, w).tanh(),
        (normal(50, 96), places(50, 4, 30)),
    ),
    "a table with padding": (
        lambda w, i: functional.embedding(i, w, padding_idx=3).tanh(),
        (normal(50, 96), places(50, 4, 30)),
    ),
    "a slice": (lambda x: x[:, 3:11].exp() * x[:, 2:10], (normal(9, 20),)),
    "a row": (lambda x: x[:, 3].exp() * x[:, -2], (normal(9, 20),)),
    "a concatenation": (lambda x: torch.cat([x.exp(), x], 1) * 2, (normal(9, 20),)),
    "cumsum": (lambda x: torch.cumsum(x, -1).exp(), (normal(9, 20),)),
    "cumsum of rows": (lambda x: torch.cumsum(x, 0).exp(), (normal(9, 20),)),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_atens(name):
    function, (x, *others) = GRADIENTS[name]

    def gradient(x, *others):
        return torch.func.vjp(lambda x: function(x, *others), x)[1](
            torch.ones(1).expand_as(function(x, *others))
        )

    assert_as_eager(gradient, x, *others, steps=64)


def test_a_rotary_embedding_is_one_kernel():
    function, arguments = CASES["rotary"]
    assert len(program(function, *arguments).kernels) == 1


def test_sums_at_places_are_the_same_bits_on_any_number_of_threads():
    function, arguments = CASES["added between"]
    compiled = program(function, *arguments)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(compiled.run([a.clone() for a in arguments])[0])
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)


def test_a_place_out_of_range_is_refused():
    x, index, y = normal(30, 17), torch.tensor([0, 30]), normal(2, 17)
    compiled = program(lambda x, i, y: x.index_add(0, i, y), x, index.clamp(max=29), y)
    with pytest.raises(IndexError, match="out of range"):
        compiled.run([x, index, y])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.mean() * x,
        lambda x: torch.softmax(x, -1).mean(0),
        lambda x: functional.layer_norm(x, (x.shape[-1],)) * 2,
        lambda x: x.var(-1) + x.std(),
        lambda x: x.var(-1, correction=0),
    ],
    ids=["mean", "softmax", "layer norm", "variance", "uncorrected"],
)
def test_means_over_sizes_that_change_are_kernels(function):
    torch._dynamo.reset()
    compiled = torch.compile(function, backend="sestina", dynamic=True, options={"strict": True})
    for shape in ((9, 37), (14, 20)):
        x = normal(*shape).requires_grad_()
        mine, theirs = compiled(x), function(x)
        torch.testing.assert_close(mine, theirs)
        weight = torch.ones_like(theirs)
        (a,), (b,) = (torch.autograd.grad(y, x, weight) for y in (mine, theirs))
        torch.testing.assert_close(a, b)


OF_CHANGING_SIZES = {
    "tail": lambda x: x[1:] * 2,
    "head": lambda x: x[:-1] + 1,
    "differences": lambda x: (x[:, 1:] - x[:, :-1]).exp(),
    "middle": lambda x: x[2:-3] * 2,
    "first": lambda x: x[:4] * 2,
    "last": lambda x: x[-3:] * 2,
    "all": lambda x: x[:, 0:] * 2,
    "half": lambda x: x[: x.shape[0] // 2] * 2,
    "row": lambda x: x[-1] * 2,
    "set": lambda x: torch.slice_scatter(x * 2, x[1:] * 3, 0, 1),
    "padded": lambda x: functional.pad(x, (1, 2, 0, 3)) * 2,
    "rows": lambda x: torch.cat([x, 2 * x], 0) + 1,
    "columns": lambda x: torch.cat([x.exp(), x, x * 3], 1) * 2,
    "stacked": lambda x: torch.stack([x, x * 2], 1) + 1,
    "turned": lambda x: torch.cat((-x[:, x.shape[1] // 2 :], x[:, : x.shape[1] // 2]), 1) * 2,
}


@pytest.mark.parametrize("name", OF_CHANGING_SIZES)
def test_parts_of_sizes_that_change_are_kernels(name):
    torch._dynamo.reset()
    function = OF_CHANGING_SIZES[name]
    compiled = torch.compile(function, backend="sestina", dynamic=True, options={"strict": True})
    for shape in ((9, 12), (14, 37), (7, 6), (120, 8)):
        x = normal(*shape).requires_grad_()
        mine, theirs = compiled(x), function(x)
        torch.testing.assert_close(mine, theirs)
        weight = normal(*theirs.shape, seed=1)
        (a,), (b,) = (torch.autograd.grad(y, x, weight) for y in (mine, theirs))
        torch.testing.assert_close(a, b)


@pytest.mark.filterwarnings("ignore::sestina.fuser.FallbackWarning")
def test_a_slice_beyond_a_size_that_changes_ends_there():
    torch._dynamo.reset()
    compiled = torch.compile(lambda x: x[:100] * 2, backend="sestina", dynamic=True)
    for rows in (9, 120, 100, 20):
        x = normal(rows, 6)
        assert torch.equal(compiled(x), x[:100] * 2)
