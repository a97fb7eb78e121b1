"""Polynomial activations; their kernels are polynomials in k12, q1 and q2."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from sestina.core.errors import InvalidValueError
from sestina.ntk.activations.base import REGISTRY, ClosedForm, check_degree, check_number
from sestina.ntk.gaussian.duals import Duals, hermite_duals, polynomial_duals

__all__ = ["Hermite", "Monomial", "Polynomial"]

_MAX_MONOMIAL_DEGREE = 20
"""Above it the sum over monomials cancels and float64 runs out of digits."""


class Hermite(ClosedForm):
    """h_n(z) = He_n(z)/√n!, the normalised probabilists' Hermite polynomial.

    Args:
        degree: n ≥ 0.

    Example:
        >>> Hermite(2)(torch.tensor([1.0, 3.0], dtype=torch.float64))  # (z² − 1)/√2
        tensor([0.0000, 5.6569], dtype=torch.float64)
    """

    name: ClassVar[str] = "hermite"
    arguments: ClassVar[tuple[str, ...]] = ("degree",)

    def __init__(self, degree: int) -> None:
        super().__init__()
        self.degree = check_degree(degree)

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return _hermite(z, self.degree)

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z) = √n h_{n−1}(z)."""
        if self.degree == 0:
            return torch.zeros_like(z)
        return math.sqrt(self.degree) * _hermite(z, self.degree - 1)

    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """k12ⁿ at q1 = q2 = 1; see `sestina.ntk.gaussian.duals.hermite_duals`."""
        return hermite_duals(self.degree, q1, q2, k12)


class Polynomial(ClosedForm):
    """Σ cⱼ zʲ.

    Args:
        coefficients: c₀, c₁, …, at most 21 of them.

    Example:
        >>> Polynomial([1.0, 0.0, 2.0])(torch.tensor([3.0]))
        tensor([19.])
    """

    name: ClassVar[str] = "polynomial"
    arguments: ClassVar[tuple[str, ...]] = ("coefficients",)

    def __init__(self, coefficients: Sequence[float]) -> None:
        super().__init__()
        if isinstance(coefficients, (str, bytes)) or not isinstance(coefficients, Iterable):
            raise InvalidValueError(
                "coefficients",
                coefficients,
                expected="a list of numbers",
                remedy="pass c_0, c_1, … as a list",
            )
        values = list(coefficients)
        if not 1 <= len(values) <= _MAX_MONOMIAL_DEGREE + 1:
            raise InvalidValueError(
                "coefficients",
                f"{len(values)} numbers",
                expected=f"1 to {_MAX_MONOMIAL_DEGREE + 1}",
                remedy="for a higher degree use a series of Hermite polynomials",
            )
        self.coefficients = [check_number(f"coefficients[{j}]", c) for j, c in enumerate(values)]

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return _horner(z, self.coefficients)

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z)."""
        return _horner(z, [j * c for j, c in enumerate(self.coefficients)][1:])

    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """See `sestina.ntk.gaussian.duals.polynomial_duals`."""
        return polynomial_duals(tuple(self.coefficients), q1, q2, k12)


class Monomial(Polynomial):
    """zⁿ.

    Args:
        degree: 0 ≤ n ≤ 20.

    Example:
        >>> Monomial(3)(torch.tensor([2.0]))
        tensor([8.])
    """

    name: ClassVar[str] = "monomial"
    arguments: ClassVar[tuple[str, ...]] = ("degree",)

    def __init__(self, degree: int) -> None:
        checked = check_degree(degree, highest=_MAX_MONOMIAL_DEGREE)
        super().__init__([0.0] * checked + [1.0])
        self.degree = checked


def _hermite(z: Tensor, degree: int) -> Tensor:
    before, now = torch.zeros_like(z), torch.ones_like(z)
    for k in range(degree):
        before, now = now, (z * now - math.sqrt(k) * before) / math.sqrt(k + 1)
    return now


def _horner(z: Tensor, coefficients: Sequence[float]) -> Tensor:
    total = torch.zeros_like(z)
    for coefficient in reversed(coefficients):
        total = total * z + coefficient
    return total


for _activation in (Hermite, Monomial, Polynomial):
    REGISTRY.add(_activation.name, _activation)
