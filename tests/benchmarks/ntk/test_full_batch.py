"""The experiments' hand-written descent is what autograd would have done."""

from __future__ import annotations

import torch

from benchmarks.ntk.full_batch import descend
from sestina.ntk.activations import activation
from sestina.ntk.nets import FullyConnectedNet


def test_descent_equals_autograd_and_sgd() -> None:
    generator = torch.Generator().manual_seed(0)
    x_nd = torch.randn(20, 5, generator=generator, dtype=torch.float64)
    y_no = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    ours, theirs = (
        FullyConnectedNet(
            5, 3, 32, activation("tanh"), depth=3, sigma_b=0.1, seed=1, dtype=torch.float64
        )
        for _ in range(2)
    )
    losses = list(descend(ours, x_nd, y_no, learning_rate=0.1, epochs=5))
    optimizer = torch.optim.SGD([p for p in theirs.parameters() if p.numel()], lr=0.1)
    for loss in losses:
        optimizer.zero_grad()
        expected = (theirs(x_nd) - y_no).square().sum(1).mean()
        assert abs(loss - expected.item()) < 1e-12
        expected.backward()
        optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
