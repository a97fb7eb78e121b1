"""Modules of every kind, each with the shape of one sample."""

import torch
from torch import nn

METHODS = ("auto", "contraction", "vector-products")


class Calls(nn.Module):
    """A module whose forward is a function of it and of the inputs."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


class OldSine(torch.autograd.Function):
    """A function in the old style, that torch.func takes neither vectorised nor forward."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * x.cos()


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def with_statistics():
    module = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
    module(normal(50, 4, seed=9, dtype=torch.float32))  # so that its statistics are not 0 and 1
    return module.eval()


def tied():
    return Calls(lambda m, x: m.first(m.first(x).tanh()) @ m.first.weight, first=nn.Linear(4, 4))


def residual():
    return Calls(
        lambda m, x: m.out(x + m.inner(x).relu()), inner=nn.Linear(4, 4), out=nn.Linear(4, 3)
    )


def empty_linear():
    """A layer from no inputs: its weight has no numbers."""
    layer = nn.Linear(1, 2)
    layer.weight = nn.Parameter(torch.empty(2, 0))
    return layer


class Scaled(nn.Module):
    """A layer times one trained number without axes."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, x):
        return self.scale * self.layer(x).tanh()


def partly_frozen():
    module = nn.Sequential(nn.Conv1d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(6, 2))
    module[0].weight.requires_grad_(False)
    return module


MODULES = {
    "MLP": lambda: (nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), (4,)),
    "convolution": lambda: (
        nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)
        ),
        (2, 6, 6),
    ),
    "transposed convolution": lambda: (
        nn.Sequential(nn.ConvTranspose2d(2, 3, 2), nn.SiLU(inplace=True), nn.AvgPool2d(2)),
        (2, 3, 3),
    ),
    "LayerNorm": lambda: (
        nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.GELU(), nn.Linear(6, 2)),
        (4,),
    ),
    "GroupNorm": lambda: (nn.Sequential(nn.Conv1d(2, 4, 2), nn.GroupNorm(2, 4)), (2, 4)),
    "tied weights": lambda: (tied(), (4,)),
    "residual": lambda: (residual(), (4,)),
    "evaluated BatchNorm": lambda: (with_statistics(), (4,)),
    "frozen part": lambda: (partly_frozen(), (2, 4)),
    "in place first": lambda: (nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2)), (4,)),
    "trained slope": lambda: (nn.Sequential(nn.Linear(4, 5), nn.PReLU(), nn.Linear(5, 2)), (4,)),
    "trained scale": lambda: (Scaled(), (4,)),
    "no numbers": lambda: (
        Calls(lambda m, x: m.a(x) + m.b(x[:, :0]), a=nn.Linear(4, 2), b=empty_linear()),
        (4,),
    ),
    "scalar output": lambda: (Calls(lambda m, x: m.a(x)[:, 0], a=nn.Linear(4, 1)), (4,)),
    "attention": lambda: (
        Calls(
            lambda m, x: m.a(x, x, x)[0].mean(1), a=nn.MultiheadAttention(4, 2, batch_first=True)
        ),
        (3, 4),
    ),
    "LSTM": lambda: (
        Calls(lambda m, x: m.r(x)[0][:, -1], r=nn.LSTM(3, 2, batch_first=True)),
        (4, 3),
    ),
    "old function": lambda: (
        Calls(lambda m, x: m.b(OldSine.apply(m.a(x))), a=nn.Linear(4, 3), b=nn.Linear(3, 2)),
        (4,),
    ),
    "weight norm": lambda: (
        nn.Sequential(
            nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), nn.Tanh(), nn.Linear(3, 2)
        ),
        (4,),
    ),
}
