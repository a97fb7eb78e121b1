"""Design a network from a kernel, and know the kernel of a network.

>>> import torch
>>> from sestina.ntk import FullyConnected
>>> network = FullyConnected(activation="relu", depth=4, sigma_w=2**0.5, sigma_b=0.1)
>>> kernel = network.dot_product("ntk")  # on inputs of one norm, a function of the cosine
>>> kernel(torch.tensor([1.0, 0.5, -1.0], dtype=torch.float64)).numpy().round(6).tolist()
[5.07, 2.160512, 1.085666]
>>> kernel.coefficients(3).round(6).tolist()  # of 1, c and c²
[1.474731, 0.886129, 0.687545]
"""

from sestina.core.extras import naming_extra

with naming_extra("ntk"):
    from sestina.ntk.activations import Activation, activation
    from sestina.ntk.architectures import FullyConnected
    from sestina.ntk.kernels import DotProductKernel
    from sestina.ntk.pairs import Kernels

__all__ = ["Activation", "DotProductKernel", "FullyConnected", "Kernels", "activation"]
