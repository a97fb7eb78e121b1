"""Windows of planes and of channels that lie last: against ATen, and the number of kernels."""

import pytest
import torch
from torch.nn import functional

from tests.fuser.captured import assert_as_eager, program

A = torch.ops.aten
LAYOUTS = {
    "planes": lambda x: x,
    "channels last": lambda x: x.to(memory_format=torch.channels_last),
    "a crop of channels last": lambda x: functional.pad(x, (2, 1, 1, 3)).to(
        memory_format=torch.channels_last
    )[:, :, 1:-3, 2:-1],
    "every second column": lambda x: x.repeat_interleave(2, -1)[..., ::2],
    "no batch": lambda x: x.to(memory_format=torch.channels_last)[0],
}
WINDOWS = [(3, 2, 1), (2, 2, 0), ((3, 2), (1, 2), (1, 0)), (4, 3, 2)]


def images(layout, dtype=torch.float32, channels=3):
    shape = (2, channels, 19, 22)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    x[0, 0, 3, 4:6] = torch.nan
    x[1] = -torch.inf
    return LAYOUTS[layout](x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("size", "stride", "padding"), WINDOWS)
def test_the_largest_of_each_window(size, stride, padding, layout, dtype):
    def largest(x):
        return functional.max_pool2d(x.relu() + x, size, stride, padding, return_indices=True)

    assert_as_eager(largest, images(layout, dtype))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("size", "stride", "padding"), WINDOWS)
def test_the_mean_of_each_window(size, stride, padding, layout):
    def mean(x):
        return functional.avg_pool2d(x.relu(), size, stride, padding)

    assert_as_eager(mean, images(layout).nan_to_num(2.0, neginf=-3.0), steps=64)


@pytest.mark.parametrize("channels", [1, 40])
@pytest.mark.parametrize("size", [2, (3, 2)])
def test_gradients_of_means_lie_as_what_they_are_of(size, channels):
    def gradient(x):
        size_ = [size, size] if isinstance(size, int) else list(size)
        means = A.avg_pool2d.default(x, size_)
        return A.avg_pool2d_backward.default(means, x, size_, [], [0, 0], False, True, None)

    x = images("channels last", channels=channels).nan_to_num(2.0, neginf=-3.0)
    assert_as_eager(gradient, x, steps=64)


@pytest.mark.parametrize("layout", ["planes", "channels last"])
def test_large_windows(layout):
    assert_as_eager(lambda x: functional.max_pool2d(x, 5, 1, 2).softmax(-1), images(layout)[:1] * 0)
    assert_as_eager(
        lambda x: functional.avg_pool2d(x, 5, 1, 2),
        images(layout).nan_to_num(1, neginf=2),
        steps=64,
    )


def test_windows_of_channels_that_lie_last_are_one_kernel():
    x = images("channels last", channels=64)
    made = program(lambda x: functional.max_pool2d(x, 3, 2, 1).relu(), x)
    assert len(made.kernels) == 1
