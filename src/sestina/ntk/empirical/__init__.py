"""The tangent kernel that a finite network really has: Θ(x, x') = J(x) J(x')ᵀ, of any module.

>>> import torch
>>> from sestina.ntk.empirical import empirical_ntk, kernel_matrix
>>> network = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
>>> theta = empirical_ntk(network, torch.ones(5, 3))  # (sample, sample, output, output)
>>> theta.shape
torch.Size([5, 5, 2, 2])
>>> kernel_matrix(theta).shape  # rows and columns as in network(x).flatten()
torch.Size([10, 10])
"""

from sestina.ntk.empirical.layout import Axes, kernel_matrix
from sestina.ntk.empirical.methods import Method, empirical_ntk
from sestina.ntk.empirical.operators import EmpiricalNTK

__all__ = ["Axes", "EmpiricalNTK", "Method", "empirical_ntk", "kernel_matrix"]
