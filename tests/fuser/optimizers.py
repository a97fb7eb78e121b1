"""What the tests of the optimizers begin with."""

import torch
from torch import nn

from sestina.fuser import optim


def stepped(shape=(10,), make=optim.AdamW, **options):
    """A parameter with a gradient and an optimizer that has made a step."""
    param = nn.Parameter(torch.linspace(-1, 1, torch.Size(shape).numel()).reshape(shape))
    param.grad = torch.linspace(2, -1, param.numel()).reshape(shape)
    optimizer = make([param], lr=0.1, **options)
    optimizer.step()
    return param, optimizer
