"""A kernel of your own, the network that has it, and whether training does what the kernel says.

Asked for is the Gaussian kernel. On the sphere |x|² = d it is exp((c − 1)/ℓ²), a function of the
cosine c, with ℓ the length scale over √d. Run it with:

    python examples/ntk_own_kernel.py
"""

from __future__ import annotations

import numpy as np
import torch

from sestina import ntk

LENGTH = 0.7
WIDTH = 4096
LEARNING_RATE = 0.5
EPOCHS = 200

# The kernel, and the network with one hidden layer that has it as its tangent kernel.
kernel = ntk.DotProductKernel(lambda c: np.exp((c - 1) / LENGTH**2))
design = ntk.design(kernel)
print(f"off by {design.error.rms:.0e} at infinite width, by about", end=" ")
print(f"{design.expected_error(WIDTH, relative=True):.1%} with {WIDTH} units")

# The wine data set, each row scaled to the sphere; half to train on, half to test.
table = ntk.load_table("wine")
x = torch.from_numpy(table.standardised)
x = x * x.shape[1] ** 0.5 / torch.linalg.vector_norm(x, dim=1, keepdim=True)
y = torch.from_numpy(table.outputs)
order = torch.from_numpy(np.random.default_rng(0).permutation(len(x)))
train, test = order[::2], order[1::2]

# What a wide network will predict, without training one.
flow = ntk.GradientFlow(kernel.matrix(x[train]), y[train], learning_rate=LEARNING_RATE)
foretold = flow.mean(kernel.matrix(x[test], x[train]), time=EPOCHS * LEARNING_RATE)

# And one trained, by full-batch gradient descent.
net = design.module(d_in=x.shape[1], d_out=y.shape[1], width=WIDTH, seed=0).double()
descent = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE)
for _ in range(EPOCHS):
    descent.zero_grad()
    (net(x[train]) - y[train]).square().sum(1).mean().backward()
    descent.step()
with torch.no_grad():
    outputs = net(x[test])

correct = [
    float((each.argmax(1) == y[test].argmax(1)).double().mean()) for each in (foretold, outputs)
]
apart = float((outputs - foretold).square().mean().sqrt() / foretold.square().mean().sqrt())
print(f"the kernel foretells {correct[0]:.1%} correct, the network has {correct[1]:.1%}")
print(f"their outputs differ by {apart:.1%} (RMS)")
