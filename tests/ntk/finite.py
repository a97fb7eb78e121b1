"""Brute force: tangent kernels of finite networks, written out from the definitions in the docs.

Nothing of the package is used but the activation, so that formulas of `FullyConnected` have an
oracle: their average over random networks, with its standard error.
"""

from __future__ import annotations

import itertools
import math

import torch

DOUBLE = torch.float64


def sampled_ntk(phi, x, *, width, num_networks, depth, scales, standard, residual, layer_norm):
    """Mean tangent kernel over random networks and its standard error, (n, n) each."""
    kernels = []
    for seed in range(num_networks):
        parameters = _draw(x.shape[1], width, depth, scales, standard, seed)
        outputs = _forward(phi, x, parameters, depth, scales, standard, residual, layer_norm)
        rows = [
            torch.cat(
                [
                    grad.reshape(-1)
                    for grad in torch.autograd.grad(
                        output,
                        parameters,
                        retain_graph=True,
                        allow_unused=True,
                        materialize_grads=True,
                    )
                ]
            )
            for output in outputs
        ]
        gradients = torch.stack(rows)
        kernels.append(gradients @ gradients.T)
    stacked = torch.stack(kernels)
    return stacked.mean(0), stacked.std(0) / math.sqrt(num_networks)


def _draw(num_inputs, width, depth, scales, standard, seed):
    generator = torch.Generator().manual_seed(seed)
    sizes = [num_inputs] + [width] * depth + [1]
    parameters = []
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        sigma_w, sigma_b = scales[layer == depth]
        weights = torch.randn(fan_out, fan_in, dtype=DOUBLE, generator=generator)
        biases = torch.randn(fan_out, dtype=DOUBLE, generator=generator)
        if standard:
            weights, biases = weights * sigma_w / math.sqrt(fan_in), biases * sigma_b
        parameters += [weights.requires_grad_(), biases.requires_grad_()]
    return parameters


def _forward(phi, x, parameters, depth, scales, standard, residual, layer_norm):
    def dense(layer, inputs):
        weights, biases = parameters[2 * layer], parameters[2 * layer + 1]
        sigma_w, sigma_b = scales[layer == depth]
        if standard:
            return inputs @ weights.T + (biases if sigma_b else 0)
        return sigma_w * inputs @ weights.T / math.sqrt(inputs.shape[1]) + sigma_b * biases

    z = dense(0, x)
    for layer in range(1, depth + 1):
        inputs = z
        if layer_norm:
            inputs = (z - z.mean(1, keepdim=True)) / z.std(1, unbiased=False, keepdim=True)
        step = dense(layer, phi(inputs))
        z = z + step if residual and layer < depth else step
    return z[:, 0]
