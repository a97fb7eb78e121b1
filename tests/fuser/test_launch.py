import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from sestina.fuser.launch.division import divide
from tests.fuser.captured import assert_as_eager, program, run


@given(st.integers(1, 10**6), st.integers(1, 10**5), st.booleans(), st.booleans())
def test_parts_cover_every_row_once(count, width, has_rows, has_totals):
    chunk, parts = divide(count, width, has_rows=has_rows, has_totals=has_totals)
    assert chunk * (parts - 1) < count <= chunk * parts
    assert 1 <= parts <= 64
    assert has_rows or parts == 1 or chunk % 64 == 0


def test_small_work_is_one_part():
    assert divide(10, 100, has_rows=True, has_totals=False) == (10, 1)


FUNCTIONS = {
    "pointwise": lambda x: x.exp(),
    "normalisation": lambda x: functional.layer_norm(x, (x.shape[1],)),
    "sums of columns": lambda x: x.sum(0),
    "the sum of all": lambda x: (x.sum(), x.mean(), x.amax()),
    "softmax of columns": lambda x: x.softmax(0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_threads_change_no_bit(name):
    x = torch.randn(700, 300)
    made = program(FUNCTIONS[name], x)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(made.run([x]))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_the_list_of_arguments_is_emptied():
    arguments = [torch.ones(3)]
    program(lambda x: x + 1, arguments[0]).run(arguments)
    assert arguments == []


def test_an_index_out_of_range_is_an_index_error():
    table = torch.randn(5, 8)
    for bad in (5, -1, 2**40):
        index = torch.tensor([0, 4])
        made = program(lambda w, i: functional.embedding(i, w), table, index)
        with pytest.raises(IndexError, match="out of range"):
            made.run([table, torch.tensor([0, bad])])


def test_results_that_are_copies_have_their_own_memory():
    x = torch.ones(3, 4)
    made = run(lambda x: (x.clone(), x * 1, x + 0, x.view(12)), x)
    places = [result.data_ptr() for result in made]
    assert len(set(places)) == 4
    assert places[3] == x.data_ptr()


def test_a_result_of_aten_is_given_as_it_is():
    made = program(torch.sort, torch.ones(3), allow_aten=True)
    assert made.kernels == []


def test_equal_results_are_two_tensors():
    first, second = run(lambda x: (x * 2, x * 2), torch.ones(3))
    assert first.data_ptr() != second.data_ptr()


def test_tensors_are_dropped_after_their_last_use():
    x = torch.randn(4, 4)
    source = program(lambda x: torch.sort(x * 2).values.exp() + 1, x, allow_aten=True).source
    lines = [line.strip() for line in source.splitlines()]
    drops = [line for line in lines if line.startswith("del ")]
    # The argument, what was sorted, and what sorting gave.
    assert len(drops) == 3
    assert drops[0] == "del a0"
    assert "aten.sort.default" in source


def test_an_argument_that_is_given_back_is_kept():
    x, y = torch.ones(3), torch.zeros(3)
    made = run(lambda x, y: (x.view(3, 1), x + 1), x, y)
    assert torch.equal(made[0], x.view(3, 1))


def test_a_program_may_run_in_several_threads_at_once():
    x = torch.randn(300, 200)
    made = program(lambda x: x.softmax(-1).sum(0), x)
    (expected,) = made.run([x])
    wrong = []

    def work():
        for _ in range(30):
            (result,) = made.run([x])
            if not torch.equal(result, expected):
                wrong.append(result)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# Each formula has twice as many paths as the one before: whoever walks all of them never ends.
NEEDED = {
    "a gather": lambda x: x.gather(1, torch.zeros(6, 2, dtype=torch.int64)),
    "a concatenation": lambda x: torch.cat([x, x + 1], 1),
    "a padding": lambda x: functional.pad(x, (1, 1)),
    "a softmax": lambda x: x.softmax(-1) * x,
    "sums": lambda x: x.sum(0) + x.mean(1, keepdim=True),
    "a copy elsewhere": lambda x: x.t().reshape(-1).cumsum(0),
    "numbers alone": lambda x: x + doubled(torch.arange(8) * 0.01),
}


def doubled(x):
    for _ in range(60):
        x = x * x - x * 0.5
    return x


@pytest.mark.parametrize("name", NEEDED)
def test_formulas_are_walked_through_once_however_often_parts_are_used(name):
    x = torch.rand(6, 8, generator=torch.Generator().manual_seed(0)) / 10
    assert_as_eager(lambda x: NEEDED[name](doubled(x)), x, steps=64)
