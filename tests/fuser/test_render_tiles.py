"""Transposes: whatever lies across is turned in tiles, and the result is that of ATen."""

import pytest
import torch

from tests.fuser.captured import interpreted, program, results_of

DTYPES = [
    *(torch.float32, torch.bfloat16, torch.float16, torch.float64),
    *(torch.bool, torch.uint8, torch.int64),
]


def numbers(*shape, dtype=torch.float32):
    made = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 3
    return made.to(dtype) if dtype is not torch.uint8 else made.abs().to(dtype)


def assert_as_eager(function, *arguments, is_tiled=True):
    compiled = program(function, *arguments)
    tiles = [made.kernel.loops.is_tiled for several in compiled.kernels for made in several]
    assert any(tiles) is is_tiled
    for mine, theirs in zip(
        compiled.run(list(arguments)), results_of(function, *arguments), strict=True
    ):
        assert (mine.dtype, mine.stride()) == (theirs.dtype, theirs.stride())
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_is_turned(dtype):
    assert_as_eager(lambda x: x.t().contiguous(), numbers(128, 192, dtype=dtype))


@pytest.mark.parametrize(
    "shape",
    [(128, 64), (72, 144), (1000, 1500), (130, 200), (176, 57), (9, 1024), (64, 256), (90, 100)],
)
def test_sides_that_are_no_multiple_of_a_vector_have_ends(shape):
    assert_as_eager(lambda x: x.t().contiguous(), numbers(*shape))
    assert_as_eager(lambda x: (x.t() * 2 + x.t()[:1]).contiguous(), numbers(*shape))


CASES = {
    "of a sum": (lambda x: x + x.t(), numbers(192, 192)),
    "of a batch": (lambda x: (x * 2).transpose(1, 2).contiguous(), numbers(3, 96, 80)),
    "of planes": (lambda x: x.permute(2, 0, 1).contiguous(), numbers(30, 40, 128)),
    "to channels last": (
        lambda x: x.contiguous(memory_format=torch.channels_last),
        numbers(2, 64, 20, 28),
    ),
    "from channels last": (
        lambda x: x.abs().contiguous(),
        numbers(2, 64, 20, 28).to(memory_format=torch.channels_last),
    ),
    "of filters": (
        lambda x: (x * 2).contiguous(memory_format=torch.channels_last),
        numbers(48, 64, 3, 3),
    ),
    "of small planes, back": (
        lambda x: x.abs().contiguous(),
        numbers(5, 48, 7, 6).to(memory_format=torch.channels_last),
    ),
    "of filters and a row": (
        lambda x: (x * x[:1, :1, :1]).contiguous(memory_format=torch.channels_last),
        numbers(48, 64, 3, 3),
    ),
    "of two": (lambda x: (x.t() * x.abs().t()).contiguous(), numbers(128, 80)),
    "of a part": (lambda x: x[16:, 3:131].t().contiguous(), numbers(112, 200)),
    "with a row and a column": (
        lambda x: (x.t() * x[0, :].unsqueeze(1) - x[:, 1].unsqueeze(0)).contiguous(),
        numbers(128, 144),
    ),
    "of a mask": (lambda x: torch.where(x.t() > 0, 1.0, x.t()).contiguous(), numbers(128, 144)),
    "below the diagonal": (lambda x: x.t().tril().contiguous(), numbers(128, 144)),
    "expanded": (lambda x: x.t().unsqueeze(0).expand(3, -1, -1).contiguous(), numbers(128, 144)),
}


def test_dimensions_that_run_together_are_one_side():
    function, x = CASES["of filters"]
    ((made,),) = program(function, x).kernels
    (row,) = made.kernel.loops.columns
    assert [axis.extent for axis in row.axes] == [3, 3]


@pytest.mark.parametrize("name", CASES)
def test_transposes_in_kernels_give_what_aten_gives(name):
    function, x = CASES[name]
    assert_as_eager(function, x)
    (mine,), (theirs,) = program(function, x).run([x]), interpreted(function, x)
    assert torch.equal(mine, theirs)


def test_many_tiles_do_not_fill_the_stack():
    several = [numbers(128, 256) for _ in range(40)]
    assert_as_eager(
        lambda *several: sum(one.t() for one in several).contiguous(), *several, is_tiled=False
    )
    assert_as_eager(lambda *several: sum(one.t() for one in several).contiguous(), *several[:4])


def test_small_ones_and_those_of_prime_sides_are_not_turned():
    assert_as_eager(lambda x: x.t().contiguous(), numbers(16, 16), is_tiled=False)
    assert_as_eager(lambda x: x.t().contiguous(), numbers(1009, 1013), is_tiled=False)


@pytest.mark.parametrize("threads", [1, 2])
def test_any_number_of_threads_turns(threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert_as_eager(lambda x: x.t().contiguous(), numbers(1024, 640))


def test_nothing_beyond_a_tensor_is_read():
    # The last element ends a page behind which there is nothing.
    whole = torch.randn(1 << 16)
    x = whole[-(90 * 100) :].reshape(90, 100)
    assert_as_eager(lambda x: x.t().contiguous(), x)
