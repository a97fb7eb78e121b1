"""What a kernel cannot do: parity, learnt by a designed network and not by its kernel.

φ(z) = ½ sin 6z is designed from its kernel. Half of all words of nine bits are learnt, and the
parity of the other half is predicted three times: by regression with the kernel, by the network
that has it, and by a deep ReLU network. No kernel of the cosine can do it: on the hypercube each
one gives parity the least eigenvalue of all odd degrees. The network can, since its first layer
moves, of which its kernel at infinite width knows nothing.

    python examples/ntk_parity.py
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from sestina import ntk

BITS = 9
WIDTH = 128

words = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=BITS)))
parity = words.prod(1, keepdim=True)
order = torch.randperm(len(words), generator=torch.Generator().manual_seed(0))
train, test = order[: len(words) // 2], order[len(words) // 2 :]


def score(outputs: Tensor) -> str:
    """The share of test words whose parity has the right sign."""
    return f"{float((outputs * parity[test] > 0).double().mean()):.0%}"


def trained(net: nn.Module, *, epochs: int) -> Tensor:
    """The outputs for test words after full-batch gradient descent."""
    descent = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(epochs):
        descent.zero_grad()
        loss = (net(words[train]) - parity[train]).square().mean()
        loss.backward()
        descent.step()
        if loss < 1e-3:
            break
    with torch.no_grad():
        return net(words[test])


kernel = ntk.parse_target("sin:amplitude=0.5,frequency=6")
x = words.double()
flow = ntk.GradientFlow(kernel.matrix(x[train]), parity[train].double())
print("kernel of ½ sin 6z, by regression:", score(flow.mean(kernel.matrix(x[test], x[train]))))

design = ntk.design(kernel)
net = design.module(d_in=BITS, d_out=1, width=WIDTH, seed=0)
print("network with that kernel, trained:", score(trained(net, epochs=2000)))

deep = ntk.FullyConnectedNet(BITS, 1, WIDTH, nn.ReLU(), depth=4, sigma_w=2**0.5, sigma_b=0.1)
print("ReLU network of 4 layers, trained:", score(trained(deep, epochs=500)))
