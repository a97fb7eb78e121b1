"""Activations made of polynomial pieces that meet at zero: the ReLU family and sign."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from sestina.ntk.activations.base import REGISTRY, ClosedForm, check_degree, check_number
from sestina.ntk.gaussian.duals import Duals, rectified_monomial_duals, sign_duals

__all__ = ["ABReLU", "Abs", "LeakyReLU", "ReLU", "RectifiedMonomial", "Sign"]


class ABReLU(ClosedForm):
    """a·min(z, 0) + b·max(z, 0).

    Args:
        a: slope below zero.
        b: slope above zero.

    Example:
        >>> ABReLU(-1.0, 2.0)(torch.tensor([-3.0, 3.0]))
        tensor([3., 6.])
    """

    name: ClassVar[str] = "ab_relu"
    arguments: ClassVar[tuple[str, ...]] = ("a", "b")
    kinks = (0.0,)

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.a = check_number("a", a)
        self.b = check_number("b", b)

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return self.a * z.clamp(max=0) + self.b * z.clamp(min=0)

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z); at zero the lower slope."""
        return self.a + (self.b - self.a) * (z > 0).to(z.dtype)

    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """φ = a·z + (b−a)·max(z, 0): ab·k12 + (b−a)²·ReLU's dual; the mixed terms add up so."""
        value, slope = rectified_monomial_duals(1, q1, q2, k12)
        product, square = self.a * self.b, (self.b - self.a) ** 2
        return product * k12 + square * value, product + square * slope


class ReLU(ABReLU):
    """max(z, 0).

    Example:
        >>> ReLU()(torch.tensor([-3.0, 3.0]))
        tensor([0., 3.])
    """

    name: ClassVar[str] = "relu"
    arguments: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__(0.0, 1.0)

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return torch.relu(z)

    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """The arc-cosine kernel of degree 1, halved."""
        return rectified_monomial_duals(1, q1, q2, k12)


class LeakyReLU(ABReLU):
    """max(z, 0) + slope·min(z, 0).

    Args:
        slope: slope below zero.

    Example:
        >>> LeakyReLU(0.5)(torch.tensor([-3.0, 3.0]))
        tensor([-1.5000,  3.0000])
    """

    name: ClassVar[str] = "leaky_relu"
    arguments: ClassVar[tuple[str, ...]] = ("slope",)

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__(check_number("slope", slope), 1.0)
        self.slope = self.a


class Abs(ABReLU):
    """|z|.

    Example:
        >>> Abs()(torch.tensor([-3.0, 3.0]))
        tensor([3., 3.])
    """

    name: ClassVar[str] = "abs"
    arguments: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__(-1.0, 1.0)


class RectifiedMonomial(ClosedForm):
    """max(z, 0)ⁿ.

    Args:
        degree: n ≥ 1.

    Example:
        >>> RectifiedMonomial(2)(torch.tensor([-3.0, 3.0]))
        tensor([0., 9.])
    """

    name: ClassVar[str] = "rectified_monomial"
    arguments: ClassVar[tuple[str, ...]] = ("degree",)
    kinks = (0.0,)

    def __init__(self, degree: int) -> None:
        super().__init__()
        self.degree = check_degree(degree, lowest=1)

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return torch.relu(z) ** self.degree

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z); at zero 0."""
        if self.degree == 1:
            return (z > 0).to(z.dtype)
        return self.degree * torch.relu(z) ** (self.degree - 1)

    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """The arc-cosine kernel of that degree, halved."""
        return rectified_monomial_duals(self.degree, q1, q2, k12)


class Sign(ClosedForm):
    """sign(z): −1, 0 or 1. Its NNGP is finite, its tangent kernel is not.

    Example:
        >>> Sign()(torch.tensor([-3.0, 3.0]))
        tensor([-1.,  1.])
    """

    name: ClassVar[str] = "sign"
    kinks = (0.0,)
    has_ntk = False

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return torch.sign(z)

    def derivative(self, z: Tensor) -> Tensor:
        """Zero, the derivative almost everywhere; the jump at zero is not a function."""
        return torch.zeros_like(z)

    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """(2/π) asin ρ, and the expectation with the jump's delta, infinite at ρ = ±1."""
        return sign_duals(q1, q2, k12)


for _activation in (ABReLU, Abs, LeakyReLU, ReLU, RectifiedMonomial, Sign):
    REGISTRY.add(_activation.name, _activation)
