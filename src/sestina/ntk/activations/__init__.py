"""Activation functions that know their kernels.

    >>> import torch
    >>> relu = activation("relu")
    >>> q = torch.tensor(2.0, dtype=torch.float64)  # variance of the preactivations
    >>> value, slope = relu.duals(q, q, torch.tensor(0.0, dtype=torch.float64))
    >>> round(value.item(), 6), round(slope.item(), 6)  # 2/2π and 1/4 for independent inputs
    (0.31831, 0.25)

Closed forms live beside their activation; `Custom` takes any function, by quadrature.
"""

from sestina.ntk.activations.analytic import GELU, RBF, Cos, Erf, Exp, Gaussian, Sin
from sestina.ntk.activations.base import Activation
from sestina.ntk.activations.numeric import Custom, Sigmoid, SiLU, Softplus, Tanh
from sestina.ntk.activations.piecewise import (
    ABReLU,
    Abs,
    LeakyReLU,
    RectifiedMonomial,
    ReLU,
    Sign,
)
from sestina.ntk.activations.polynomials import Hermite, Monomial, Polynomial
from sestina.ntk.activations.resolve import ActivationLike, activation

__all__ = [
    "GELU",
    "RBF",
    "ABReLU",
    "Abs",
    "Activation",
    "ActivationLike",
    "Cos",
    "Custom",
    "Erf",
    "Exp",
    "Gaussian",
    "Hermite",
    "LeakyReLU",
    "Monomial",
    "Polynomial",
    "ReLU",
    "RectifiedMonomial",
    "SiLU",
    "Sigmoid",
    "Sign",
    "Sin",
    "Softplus",
    "Tanh",
    "activation",
]
