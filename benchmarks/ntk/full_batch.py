"""Full-batch gradient descent on a `FullyConnectedNet`, written out layer by layer.

The experiments train four-layer networks of width 4096 for a thousand epochs; autograd's matrix
products cannot take the quick route of `sestina.tensors.products`, so the two passes are spelled
out. A test holds them against autograd.

Axes: n sample, w unit, d input, o output.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sestina.ntk.activations import Activation, activation
from sestina.ntk.nets import FullyConnectedNet
from sestina.tensors.products import product

__all__ = ["descend", "outputs"]


def _forward(net: FullyConnectedNet, x_nd: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The preactivations of every layer and the inputs to every layer."""
    assert not net.residual, "written for plain networks"
    assert not net.layer_norm, "written for plain networks"
    inputs, preactivations = [x_nd], []
    for layer in range(net.depth + 1):
        scale_w, scale_b = net.layer_scales(layer)
        z_nw = product(inputs[-1] * scale_w, net.weights[layer])
        if net.sigmas_b[layer] != 0:
            z_nw += scale_b * net.biases[layer]
        preactivations.append(z_nw)
        if layer < net.depth:
            inputs.append(net.activation(z_nw))
    return preactivations, inputs


@torch.no_grad()
def outputs(net: FullyConnectedNet, x_nd: Tensor) -> Tensor:
    """The uncentred outputs (n, o)."""
    return _forward(net, x_nd)[0][-1]


@torch.no_grad()
def descend(
    net: FullyConnectedNet, x_nd: Tensor, y_no: Tensor, *, learning_rate: float, epochs: int
) -> Iterator[float]:
    """Trains in place on mean_n Σ_o (f − y)², centred; yields the loss before each step."""
    phi: Activation = activation(net.activation)  # its exact derivative stands in for autograd
    start_no = outputs(net, x_nd)
    for _ in range(epochs):
        preactivations, inputs = _forward(net, x_nd)
        residual_no = preactivations[-1] - start_no - y_no
        yield residual_no.square().sum(1).mean().item()
        signal = residual_no * (2 / len(x_nd))  # ∂loss/∂z of the layer at hand
        for layer in range(net.depth, -1, -1):
            scale_w, scale_b = net.layer_scales(layer)
            gradient = product(signal.T, inputs[layer].T)
            if layer > 0:
                below = product(signal * scale_w, net.weights[layer].T)
                below *= phi.derivative(preactivations[layer - 1])
            net.weights[layer].sub_(gradient, alpha=learning_rate * scale_w)
            if net.sigmas_b[layer] != 0:
                net.biases[layer].sub_(signal.sum(0), alpha=learning_rate * scale_b)
            if layer > 0:
                signal = below
