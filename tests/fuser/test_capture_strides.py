"""Where tensors lie, from the caller's to the caller's: results, gradients, what is written to."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from sestina.fuser.capture.backend import listening
from sestina.fuser.launch.names import NAMES

pytestmark = pytest.mark.usefixtures("fresh_compiler")


def images(*shape, memory_format=torch.channels_last):
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    return made.to(memory_format=memory_format)


def compiled(function):
    return torch.compile(function, backend="sestina", options={"strict": True})


class Layer(nn.Module):
    """A convolution, a normalisation and what follows them, with a residual and pooling."""

    def __init__(self):
        super().__init__()
        self.inner, self.norm = nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16)

    def forward(self, x):
        return functional.relu(self.norm(self.inner(x)) + x)


FUNCTIONS = {
    "channels last": (lambda x: functional.gelu(x) + 1, images(2, 8, 5, 6)),
    "channels last, a mean": (lambda x: x.mean((2, 3), keepdim=True) * x, images(2, 8, 5, 6)),
    "transposed": (lambda x: x.t() + 1, torch.randn(5, 7)),
    "a transposed argument": (lambda x: x.exp() * 2, torch.randn(5, 7).t()),
    "every second column": (lambda x: x.exp() * 2, torch.randn(5, 14)[:, ::2]),
    "one row, repeated": (lambda x: x.exp() * 2, torch.randn(1, 7).expand(5, 7)),
    "a view of what is made": (lambda x: (x * 2).view(7, 5).t(), torch.randn(5, 7)),
    "a part of what is made": (lambda x: (x * 2)[1:, ::2], torch.randn(5, 7)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("wants_gradient", [False, True])
def test_results_lie_as_eagers(name, wants_gradient):
    function, x = FUNCTIONS[name]
    x = x.clone() if name != "one row, repeated" else x
    given = x.detach().requires_grad_(wants_gradient)
    made, expected = compiled(function)(given), function(given)
    torch.testing.assert_close(made, expected)
    assert made.stride() == expected.stride()
    assert made.storage_offset() == expected.storage_offset()


TANGENTS = {
    "one number": lambda y: torch.ones(()).expand(y.shape),
    "one row": lambda y: torch.randn(y.shape[-1]).expand(y.shape),
    "transposed": lambda y: torch.randn(y.shape[::-1]).permute(*range(y.ndim)[::-1]),
    "every second": lambda y: torch.randn(*y.shape[:-1], 2 * y.shape[-1])[..., ::2],
    "from the middle": lambda y: torch.randn(y.numel() + 3)[3:].view(y.shape),
}


@pytest.mark.parametrize("name", TANGENTS)
@pytest.mark.parametrize("x", [torch.randn(6, 9), images(2, 8, 5, 6)], ids=["rows", "images"])
def test_gradients_that_come_may_lie_anywhere(name, x):
    def function(x):
        return torch.softmax(x * 3, -1) + functional.gelu(x)

    gradients = []
    for call in (compiled(function), function):
        leaf = x.clone().requires_grad_()
        torch.manual_seed(0)
        call(leaf).backward(TANGENTS[name](leaf.detach()))
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients)
    assert gradients[0].stride() == gradients[1].stride()


WRITTEN = {
    "every second column": lambda base: base[:, ::2],
    "transposed": lambda base: base.t(),
    "a part": lambda base: base[1:4, 2:9],
    "every second row, from the second": lambda base: base[1::2],
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_to_may_have_gaps_which_stay(name):
    def function(x, y):
        x.mul_(2).add_(y.exp())
        return x.sum(0)

    bases = [torch.arange(60.0).reshape(6, 10) / 60 for _ in range(2)]
    results = []
    for base, call in zip(bases, (compiled(function), function), strict=True):
        seen = WRITTEN[name](base)
        results.append(call(seen, torch.ones(seen.shape) / 2))
    torch.testing.assert_close(*results)
    torch.testing.assert_close(*bases)


@pytest.mark.parametrize("is_training", [False, True])
def test_channels_that_lie_last_stay_so_without_copies(is_training, monkeypatch):
    monkeypatch.setitem(NAMES, "laid_out", lambda *_: pytest.fail("a copy laid elsewhere"))
    torch.manual_seed(0)
    model = nn.Sequential(Layer(), nn.MaxPool2d(3, 2, 1), Layer()).train(is_training)
    model = model.to(memory_format=torch.channels_last)
    x, found = images(2, 16, 12, 12).requires_grad_(is_training), []
    with listening(found.append), torch.set_grad_enabled(is_training):
        made = compiled(model)(x)
        if is_training:
            made.sum().backward()
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert len(found) == (2 if is_training else 1)
    for one in found:
        assert not any(node.kind == "copy" for node in one.graph.nodes)
        for several in one.program.kernels:
            for base in several[0].bases:
                if len(base.shape) == 4 and base.shape[1] == 16 and base.layout is not None:
                    assert base.layout.strides[1] == 1
