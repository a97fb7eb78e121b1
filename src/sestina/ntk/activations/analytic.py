"""Smooth activations with closed-form kernels: erf, GELU, sines, exponentials."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from sestina.core.errors import InvalidValueError
from sestina.ntk.activations.base import REGISTRY, ClosedForm, check_number
from sestina.ntk.gaussian.duals import (
    Duals,
    erf_duals,
    exp_duals,
    gaussian_duals,
    gelu_duals,
    sine_duals,
)

__all__ = ["GELU", "RBF", "Cos", "Erf", "Exp", "Gaussian", "Sin"]


class Erf(ClosedForm):
    """erf(z), the error function.

    Example:
        >>> Erf()(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.8427])
    """

    name: ClassVar[str] = "erf"

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return torch.erf(z)

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z)."""
        return 2 / math.sqrt(math.pi) * torch.exp(-z * z)

    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """See `sestina.ntk.gaussian.duals.erf_duals`."""
        return erf_duals(q1, q2, k12)


class GELU(ClosedForm):
    """z·P(Z ≤ z) for a standard normal Z: the exact GELU, not the one with tanh.

    Example:
        >>> GELU()(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.8413])
    """

    name: ClassVar[str] = "gelu"

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return torch.nn.functional.gelu(z)

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z)."""
        density = torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        cumulative: Tensor = torch.special.ndtr(z)
        return cumulative + z * density

    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """See `sestina.ntk.gaussian.duals.gelu_duals`."""
        return gelu_duals(q1, q2, k12)


class Sin(ClosedForm):
    """amplitude · sin(frequency · z + phase).

    Args:
        amplitude: any number.
        frequency: ω.
        phase: in radians.

    Example:
        >>> Sin(0.5, 6.0)(torch.tensor([0.0, math.pi / 12]))
        tensor([0.0000, 0.5000])
    """

    name: ClassVar[str] = "sin"
    arguments: ClassVar[tuple[str, ...]] = ("amplitude", "frequency", "phase")

    def __init__(self, amplitude: float = 1.0, frequency: float = 1.0, phase: float = 0.0) -> None:
        super().__init__()
        self.amplitude = check_number("amplitude", amplitude)
        self.frequency = check_number("frequency", frequency)
        self.phase = check_number("phase", phase)

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return self.amplitude * torch.sin(self.frequency * z + self.phase)

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z)."""
        return self.amplitude * self.frequency * torch.cos(self.frequency * z + self.phase)

    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """See `sestina.ntk.gaussian.duals.sine_duals`."""
        return _scaled(self.amplitude, sine_duals(self.frequency, self.phase, q1, q2, k12))


class Cos(ClosedForm):
    """amplitude · cos(frequency · z + phase).

    Args:
        amplitude: any number.
        frequency: ω.
        phase: in radians.

    Example:
        >>> Cos(2.0)(torch.tensor([0.0, math.pi]))
        tensor([ 2., -2.])
    """

    name: ClassVar[str] = "cos"
    arguments: ClassVar[tuple[str, ...]] = ("amplitude", "frequency", "phase")

    def __init__(self, amplitude: float = 1.0, frequency: float = 1.0, phase: float = 0.0) -> None:
        super().__init__()
        self.amplitude = check_number("amplitude", amplitude)
        self.frequency = check_number("frequency", frequency)
        self.phase = check_number("phase", phase)

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return self.amplitude * torch.cos(self.frequency * z + self.phase)

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z)."""
        return -self.amplitude * self.frequency * torch.sin(self.frequency * z + self.phase)

    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """A sine a quarter turn ahead."""
        phase = self.phase + math.pi / 2
        return _scaled(self.amplitude, sine_duals(self.frequency, phase, q1, q2, k12))


class RBF(ClosedForm):
    """√2 sin(√(2γ) z + π/4), whose kernel is the Gaussian exp(−γ(q1 + q2 − 2 k12)).

    Args:
        gamma: γ > 0.

    Example:
        >>> q = torch.tensor(1.0)
        >>> RBF(0.5).duals(q, q, torch.tensor(0.0))[0]  # exp(−½|z − z'|²) at |z − z'|² = 2
        tensor(0.3679)
    """

    name: ClassVar[str] = "rbf"
    arguments: ClassVar[tuple[str, ...]] = ("gamma",)

    def __init__(self, gamma: float = 1.0) -> None:
        super().__init__()
        self.gamma = check_number("gamma", gamma, positive=True)
        self._frequency = math.sqrt(2 * self.gamma)

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return math.sqrt(2) * torch.sin(self._frequency * z + math.pi / 4)

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z)."""
        return math.sqrt(2) * self._frequency * torch.cos(self._frequency * z + math.pi / 4)

    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """exp(−γ(q1 + q2 − 2 k12)) and 2γ times it."""
        value = torch.exp(-self.gamma * (q1 + q2 - 2 * k12))
        return value, 2 * self.gamma * value


class Exp(ClosedForm):
    """a·exp(b·z).

    Args:
        a: factor.
        b: rate.

    Example:
        >>> Exp(2.0, 0.5)(torch.tensor([0.0]))
        tensor([2.])
    """

    name: ClassVar[str] = "exp"
    arguments: ClassVar[tuple[str, ...]] = ("a", "b")

    def __init__(self, a: float = 1.0, b: float = 1.0) -> None:
        super().__init__()
        self.a = check_number("a", a)
        self.b = check_number("b", b)

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return self.a * torch.exp(self.b * z)

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z)."""
        return self.a * self.b * torch.exp(self.b * z)

    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """See `sestina.ntk.gaussian.duals.exp_duals`."""
        return _scaled(self.a, exp_duals(self.b, q1, q2, k12))


class Gaussian(ClosedForm):
    """a·exp(b·z²), b < 0.

    Args:
        a: factor.
        b: rate, negative.

    Example:
        >>> Gaussian(2.0, -1.0)(torch.tensor([0.0, 1.0]))
        tensor([2.0000, 0.7358])
    """

    name: ClassVar[str] = "gaussian"
    arguments: ClassVar[tuple[str, ...]] = ("a", "b")

    def __init__(self, a: float = 1.0, b: float = -1.0) -> None:
        super().__init__()
        self.a = check_number("a", a)
        self.b = check_number("b", b)
        if self.b >= 0:
            raise InvalidValueError(
                "b",
                b,
                expected="a finite number below 0: a growing exp(b·z²) has no kernel at wide q",
                remedy="change its sign, or use Exp",
            )

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return self.a * torch.exp(self.b * z * z)

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z)."""
        return 2 * self.a * self.b * z * torch.exp(self.b * z * z)

    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """See `sestina.ntk.gaussian.duals.gaussian_duals`."""
        return _scaled(self.a, gaussian_duals(-self.b, q1, q2, k12))


def _scaled(factor: float, pair: Duals) -> Duals:
    # A product overflows to infinity, which the kernel's own check names; a power would raise.
    square = factor * factor
    return square * pair[0], square * pair[1]


for _activation in (Cos, Erf, Exp, GELU, Gaussian, RBF, Sin):
    REGISTRY.add(_activation.name, _activation)
