import torch
from torch.nn import functional

from tests.fuser.captured import interpreted


def test_the_interpreter_gives_what_aten_gives():
    x, w = torch.randn(5, 12), torch.randn(12)

    def function(x, w):
        y = functional.gelu(functional.layer_norm(x, (12,), w)).t().contiguous()
        return y[2:5], y.sum(0), y.argsort(0), functional.embedding(torch.tensor([1, 0]), y)

    def given(x, w):
        return function(x, w)[:3]

    for mine, theirs in zip(interpreted(given, x, w), given(x, w), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_the_interpreter_can_compute_in_float64():
    x = torch.randn(5, 12)
    (mine,) = interpreted(lambda x: x.softmax(-1), x, dtype=torch.float64)
    torch.testing.assert_close(mine, x.double().softmax(-1), rtol=1e-14, atol=1e-15)


def test_views_losses_and_classes_are_interpreted():
    x, target = torch.randn(6, 9), torch.tensor([0, 3, -100, 8, 2, 2])

    def function(x, t):
        return functional.cross_entropy(x, t), x.tril().any(1), x.expand(2, 6, 9).amax((0, 2))

    for mine, theirs in zip(interpreted(function, x, target), function(x, target), strict=True):
        torch.testing.assert_close(mine, theirs)
