"""Convolutions turned to channels last: the same results, at the same places, by fewer copies."""

import functools
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional

from sestina.fuser import fuse
from sestina.fuser.capture import channels
from sestina.fuser.capture.backend import listening
from sestina.fuser.pipeline import stages

pytestmark = pytest.mark.usefixtures("fresh_compiler")

half = functools.partial(torch.randn, dtype=torch.bfloat16)


@pytest.fixture(autouse=True)
def _any_cpu_has_tiles(monkeypatch):
    machine = SimpleNamespace(features=frozenset({"amx-bf16"}))
    monkeypatch.setattr(channels, "machine", lambda: machine)


@pytest.fixture(autouse=True)
def _no_gradients():
    torch.manual_seed(1)
    with torch.no_grad():
        yield


def convolution(inputs, outputs, size=3, **options):
    made = nn.Conv2d(inputs, outputs, size, padding=size // 2, dtype=torch.bfloat16, **options)
    return made.requires_grad_(requires_grad=False)


def is_turned(function, *args):
    (graph,) = stages(function, *args)
    first, *_ = graph.rewritten.splitlines()
    return "lay_channels_last" in first


def assert_alike(function, *args):
    made, expected = fuse(function)(*args), function(*args)
    if isinstance(expected, torch.Tensor):
        made, expected = (made,), (expected,)
    for mine, theirs in zip(made, expected, strict=True):
        assert mine.stride() == theirs.stride()
        torch.testing.assert_close(mine, theirs, rtol=0.02, atol=0.02)


images = half(2, 16, 12, 10, generator=torch.Generator().manual_seed(2))


def residual():
    block = nn.Sequential(
        convolution(16, 24),
        nn.BatchNorm2d(24, dtype=torch.bfloat16).eval(),
        nn.ReLU(),
        nn.MaxPool2d(2),
        convolution(24, 24, groups=24),
        convolution(24, 32, size=1, bias=False),
    )
    other = convolution(24, 32)

    def run(x):
        y = block[:4](x)
        return functional.relu(block[4:](y) + other(y))

    return run


def after(*functions):
    """Several functions of what a convolution gives, and of the images."""
    filters = convolution(16, 32)
    return [lambda x, last=last: last(functional.gelu(filters(x)), x) for last in functions]


AFTER = after(
    lambda y, _: y,
    lambda y, _: (y, y),
    lambda y, _: (y, y.mean((2, 3))),
    lambda y, _: functional.max_pool2d(y, 2, return_indices=True),
    lambda y, _: y.flatten(2).transpose(1, 2).softmax(2).contiguous(),
    lambda y, _: y.view(2, 8, 4, 120).softmax(2).sum((1, 3)),
    lambda y, _: (y[:, ::2].contiguous(), y.argmax(1)),
    lambda y, _: y.to_sparse().to_dense(),
    lambda y, _: functional.adaptive_max_pool2d(y, 1),
    lambda y, _: functional.max_pool2d(y, (12, 10)) + y.mean((2, 3), keepdim=True),
    lambda y, _: (functional.pixel_shuffle(y, 2), functional.interpolate(y, scale_factor=2)),
    lambda y, x: (functional.pad(y, (1, 1)), torch.cat([y, x], 1)),
)


@pytest.mark.filterwarnings("ignore:ATen computes")
@pytest.mark.parametrize("function", [residual(), *AFTER])
def test_results_are_the_same_and_lie_where_they_did(function):
    assert is_turned(function, images)
    assert_alike(function, images)


def test_images_are_turned_once_and_filters_each():
    found = []
    with listening(found.append):
        fuse(residual())(images)
    (compiled,) = found
    copies = [node for node in compiled.graph.nodes if node.kind == "copy"]
    # The images, two filters of more than one place and channel, and the result.
    assert sorted(node.shape for node in copies) == sorted(
        [(2, 16, 12, 10), (24, 16, 3, 3), (32, 24, 3, 3), (2, 32, 6, 5)]
    )


@pytest.mark.filterwarnings("ignore:ATen computes")
def test_sizes_may_change():
    function = residual()
    compiled = fuse(function, dynamic=True)
    assert is_turned(compiled, half(3, 16, 8, 10))
    for size in (10, 12, 14):
        x = half(3, 16, size, size + 2)
        torch.testing.assert_close(compiled(x), function(x), rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    "views",
    [
        lambda y: (y, y[0]),
        lambda y: (y.view(2, -1), y.flatten(2)),
        lambda y: (y[:, :4].detach(), y.permute(1, 0, 2, 3)),
    ],
)
def test_results_that_share_memory_still_do(views):
    filters = convolution(16, 32)

    def function(x):
        return views(filters(x).relu())

    one, other = fuse(function)(images)
    assert one.data_ptr() == other.data_ptr()
    assert not is_turned(function, images)


@pytest.mark.filterwarnings("ignore:ATen computes")
@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: functional.conv2d(x.float(), y.float()),
        lambda x, y: functional.conv2d(x.to(memory_format=torch.channels_last), y),
        functional.conv_transpose2d,
        lambda x, y: functional.conv2d(x, y).as_strided((2, 3), (1, 2)),
        lambda x, y: functional.conv2d(x, y).as_strided_scatter(y[0, 0], (3, 3), (1, 2)),
        lambda x, y: torch.view_as_complex(functional.conv2d(x, y).float().view(2, 16, 10, 4, 2)),
        lambda x, y: functional.group_norm(functional.conv2d(x, y), 4),
        lambda x, y: functional.dropout(functional.conv2d(x, y), 0.5),
        lambda x, y: functional.conv2d(x, y).view(torch.int32),
        lambda x, y: functional.conv2d(x, y).flatten(2).transpose(1, 2),
        lambda x, y: functional.conv1d(x[:, :, 0], y[:, :, 0]),
    ],
)
def test_others_are_left_as_they_are(function):
    square = half(16, 16, 3, 3)
    torch.manual_seed(5)
    expected = function(images, square)
    compiled = fuse(function, dropout="eager")
    assert not is_turned(compiled, images, square)
    torch.manual_seed(5)
    made = compiled(images, square)
    assert made.stride() == expected.stride()
    torch.testing.assert_close(made, expected, rtol=0.02, atol=0.02)


def test_cpus_without_tiles_turn_nothing(monkeypatch):
    monkeypatch.setattr(channels, "machine", lambda: SimpleNamespace(features=frozenset()))
    assert not is_turned(residual(), images)
