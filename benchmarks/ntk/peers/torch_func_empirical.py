"""Empirical NTK by torch.func: Jacobians of all samples at once, contracted over parameters."""

import torch
from torch import nn
from torch.func import functional_call, jacrev, vmap

from benchmarks.ntk.bench_empirical import convolutional_network


def network(workload):
    """A ReLU network with the layers of the workload, in plain PyTorch."""
    torch.manual_seed(0)
    layers, fan_in = [], workload["d"]
    for _ in range(workload["depth"]):
        layers += [nn.Linear(fan_in, workload["width"]), nn.ReLU()]
        fan_in = workload["width"]
    return nn.Sequential(*layers, nn.Linear(fan_in, workload["d_out"], bias=False))


def contract(module, x):
    """The full kernel (n, n, o, o)."""
    parameters = {name: p.detach() for name, p in module.named_parameters()}

    def outputs(changed, sample):
        return functional_call(module, changed, (sample[None],))[0]

    jacobians = vmap(jacrev(outputs), in_dims=(None, 0))(parameters, x)
    theta = 0
    for jacobian in jacobians.values():
        j_nop = jacobian.flatten(2)
        theta = theta + torch.einsum("nop,mqp->nmoq", j_nop, j_nop)
    return theta


def contraction(workload):
    """The kernel of a ReLU network."""
    module = network(workload)
    x = torch.randn(workload["n"], workload["d"])

    def run():
        contract(module, x)

    return run


def convolution(workload):
    """The kernel of a small convolutional network, the one that ours is measured on."""
    module, x = convolutional_network(workload)

    def run():
        contract(module, x)

    return run
