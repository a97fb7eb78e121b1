"""Elements read, added and put at places that tensors hold: against ATen."""

import math

import pytest
import torch

from tests.fuser.captured import assert_as_eager, program, run

SOURCE = 2 * torch.rand(37, 50, 6, generator=torch.Generator().manual_seed(0)) - 1
FLAT = SOURCE[..., 0].contiguous()


def normal(*shape, seed=3):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def places(low, high, *shape, seed=1):
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(seed))


def gradient_of(function):
    """The gradient of the first argument."""

    def gradient(x, *others):
        made, pull = torch.func.vjp(lambda x: function(x, *others), x)
        return pull(torch.ones_like(made))[0]

    return gradient


READ = {
    "two dimensions": (
        lambda x, i, j: x[i, j] * 2,
        (SOURCE, places(-37, 37, 9), places(-50, 50, 9)),
    ),
    "all of them": (
        lambda x, i, j, k: x[i, j, k].exp(),
        (SOURCE, places(-37, 37, 9), places(-50, 50, 9), places(-6, 6, 4, 1)),
    ),
    "the last two": (
        lambda x, j, k: x[:, j, k] * 2,
        (SOURCE, places(-50, 50, 4, 1), places(-6, 6, 5)),
    ),
    "one of each row": (lambda x, i: x[torch.arange(9), i].exp(), (SOURCE, places(0, 50, 9))),
    "gather": (lambda x, i: x.gather(1, i).exp(), (FLAT, places(0, 50, 37, 9))),
}


@pytest.mark.parametrize("name", READ)
def test_what_is_read_at_places_and_its_gradient(name):
    function, arguments = READ[name]
    assert_as_eager(function, *arguments)
    assert_as_eager(gradient_of(function), *arguments, steps=64)


def test_a_gather_of_a_part():
    assert_as_eager(lambda x, i: x.gather(0, i).exp(), SOURCE, places(0, 37, 9, 20, 3))


@pytest.mark.parametrize(
    ("row", "column"), [(40, -10), (0, 50), (-38, 49), (36, 50), (1, -51), (-1 << 62, 1 << 62)]
)
@pytest.mark.parametrize("is_put", [False, True])
def test_an_index_out_of_range_of_its_own_dimension_is_refused(row, column, is_put):
    def function(x, i, j):
        return x.index_put((i, j), x[:1, 0], accumulate=True) if is_put else x[i, j] * 2

    with pytest.raises(IndexError):
        run(function, SOURCE, torch.tensor([row]), torch.tensor([column]))


SAME = {
    "a constant": lambda _, i: torch.ones(5, 4).gather(1, i),
    "zeros": lambda _, i: torch.zeros(4, 3).index_select(0, i[0]),
    "one number": lambda x, i: x[0, 0].expand(5, 4).gather(1, i),
    "a column": lambda x, i: (x[:5, :1] * 2).expand(5, 4).gather(1, i),
}


@pytest.mark.parametrize("name", SAME)
def test_an_index_counts_where_all_that_it_chooses_from_is_the_same(name):
    assert_as_eager(SAME[name], FLAT, places(0, 4, 5, 2))
    for error in (IndexError, RuntimeError):  # ATen's own are of one or the other
        with pytest.raises(error, match="out of range"):
            run(SAME[name], FLAT, torch.full((5, 2), 4))


PUT = {
    "the last dimension": (1, FLAT, places(0, 50, 37, 9), normal(37, 12)),
    "the first dimension": (0, FLAT, places(0, 37, 90, 50), normal(90, 50)),
    "one a row": (1, FLAT, places(0, 50, 37, 1), normal(37, 1)),
    "a vector": (0, FLAT[0].contiguous(), places(0, 50, 88), normal(88)),
    "between": (1, SOURCE, places(0, 50, 37, 70, 6), normal(37, 70, 6)),
    "turned": (1, FLAT.t().contiguous().t(), places(0, 50, 9, 37).t(), normal(12, 37).t()),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.bfloat16])
@pytest.mark.parametrize("name", PUT)
def test_sums_at_places_given_for_each_element(name, dtype):
    dim, into, index, values = PUT[name]
    into, values = (100 * into).to(dtype), (100 * values).to(dtype)
    steps = 8 if dtype is torch.bfloat16 else 64
    assert_as_eager(lambda x, i, v: x.scatter_add(dim, i, v) * 2, into, index, values, steps=steps)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int8, torch.bool, torch.float16])
@pytest.mark.parametrize("name", PUT)
def test_of_several_at_one_place_the_last_one_stays(name, dtype):
    dim, into, index, values = PUT[name]
    into, values = (100 * into).to(dtype), (100 * values).to(dtype)
    assert_as_eager(lambda x, i, v: x.scatter(dim, i, v), into, index, values)
    assert_as_eager(lambda x, i: x.scatter(dim, i, 1), into, index)


def test_the_order_is_that_of_the_index_however_it_lies():
    index, values = places(0, 50, 8, 11), normal(8, 11)
    orders = {
        "both": lambda x, i, v: x.scatter(0, i.t().reshape(-1), v.t().reshape(-1)),
        "places": lambda x, i, v: x.scatter(0, i.t().reshape(-1), v.reshape(-1)),
        "values": lambda x, i, v: x.scatter(0, i.reshape(-1), v.t().reshape(-1)),
    }
    for function in orders.values():
        assert_as_eager(function, FLAT[0].contiguous(), index, values)


def test_elements_replaced_at_indices():
    index = torch.randperm(37, generator=torch.Generator().manual_seed(2))[:30]
    assert_as_eager(
        lambda x, i, v: x.index_put((i.reshape(5, 6) - 37,), v), FLAT, index, normal(5, 6, 50)
    )
    assert_as_eager(lambda x, i, v: x.index_copy(0, i, v), FLAT, index, normal(30, 50))
    assert_as_eager(lambda x, i: x.index_fill(0, i - 37, 3), FLAT, index)


def test_the_gradient_of_a_maximum_along_a_dimension_is_a_kernel():
    assert_as_eager(gradient_of(lambda x: x.max(-1).values.exp()), FLAT, steps=64)


def test_a_sum_along_the_last_dimension():
    index, values = places(0, 50, 90), normal(37, 90)
    assert_as_eager(lambda x, i, v: x.index_add(1, i, v), FLAT, index, values, steps=64)


def test_the_same_bits_for_any_number_of_threads():
    index, values = places(0, 50, 3700, 90), normal(3700, 90)
    made = program(lambda i, v: v.new_zeros(3700, 50).scatter_add(1, i, v), index, values)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(made.run([index, values])[0])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


WIDTHS = [(), (1,), (3,), (16,), (64,), (2, 40)]


@pytest.mark.parametrize("first", WIDTHS)
@pytest.mark.parametrize("second", WIDTHS)
def test_sums_of_several_widths_by_one_index(first, second):
    # As a mean of neighbours has them: values, and weights that both are computed with.
    def summed(x, index):
        weights = x.exp()
        found = []
        for width in (first, second):
            values = weights.reshape(-1, *(1 for _ in width)).expand(-1, *width)
            found.append(x.new_zeros(10, *width).index_add(0, index, values))
        return tuple(found)

    assert_as_eager(summed, normal(300), places(0, 10, 300), steps=300)


def test_a_formula_is_computed_before_more_is_read_of_it_than_there_is():
    function, x, index = lambda x, i: torch.lgamma(x)[i], normal(10, 4), places(-10, 10, 70)
    assert_as_eager(function, x, index)
    first, second = (kernel.kernel for (kernel,) in program(function, x, index).kernels)
    assert [step.kind for step in first.steps].count("lgamma") == 1
    assert "lgamma" not in {step.kind for step in second.steps}


NO_NUMBERS = {
    "masked_fill": lambda x, value: x.masked_fill(x == 0, value),
    "clamp": lambda x, value: x.clamp(max=value),
    "fill": lambda x, value: x.clone().fill_(value),
    "full_like": torch.full_like,
    "index_fill": lambda x, value: x.index_fill(0, torch.tensor([1]), value),
    "scatter": lambda x, value: x.scatter(0, torch.tensor([1]), value),
    "pad": lambda x, value: torch.nn.functional.pad(x, (1, 1), value=value),
}


@pytest.mark.parametrize("name", NO_NUMBERS)
@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (torch.uint8, 300),
        (torch.int32, -(1 << 40)),
        (torch.float16, 70000.0),
        (torch.float32, 1e39),
    ],
)
def test_numbers_that_are_none_of_the_dtype_are_refused(name, dtype, value):
    def function(x):
        return NO_NUMBERS[name](x, value)

    x = torch.zeros(4, dtype=dtype)
    with pytest.raises(RuntimeError, match="without overflow"):
        function(x)
    with pytest.raises(RuntimeError, match="without overflow"):
        run(function, x, allow_aten=True)


@pytest.mark.parametrize("name", NO_NUMBERS)
def test_numbers_at_the_ends_of_a_dtype_are_its_own(name):
    for dtype, value in (
        *((torch.uint8, 255), (torch.int8, -128), (torch.int64, -1)),
        *((torch.float16, 65504.0), (torch.float16, math.inf), (torch.bool, True)),
    ):
        if (name, dtype) != ("clamp", torch.bool):
            assert_as_eager(lambda x, v=value: NO_NUMBERS[name](x, v), torch.zeros(4, dtype=dtype))
