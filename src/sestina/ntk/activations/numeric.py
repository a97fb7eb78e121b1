"""Activations without a closed form: their kernels come from quadrature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from sestina.ntk.activations.base import REGISTRY, Activation, check_number
from sestina.tensors.checks import check_dtype

__all__ = ["Custom", "SiLU", "Sigmoid", "Softplus", "Tanh"]


class Tanh(Activation):
    """tanh(z).

    Example:
        >>> Tanh()(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.7616])
    """

    name: ClassVar[str] = "tanh"

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return torch.tanh(z)

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z)."""
        return 1 - torch.tanh(z) ** 2


class Sigmoid(Activation):
    """1/(1 + e^{−z}).

    Example:
        >>> Sigmoid()(torch.tensor([0.0, 1.0]))
        tensor([0.5000, 0.7311])
    """

    name: ClassVar[str] = "sigmoid"

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return torch.sigmoid(z)

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z)."""
        return torch.sigmoid(z) * torch.sigmoid(-z)


class SiLU(Activation):
    """z/(1 + e^{−z}), also called swish.

    Example:
        >>> SiLU()(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.7311])
    """

    name: ClassVar[str] = "silu"

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return torch.nn.functional.silu(z)

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z)."""
        rise = torch.sigmoid(z)
        return rise * (1 + z * torch.sigmoid(-z))


class Softplus(Activation):
    """log(1 + e^{βz})/β.

    Args:
        beta: β > 0.

    Example:
        >>> Softplus()(torch.tensor([0.0, 1.0]))
        tensor([0.6931, 1.3133])
    """

    name: ClassVar[str] = "softplus"
    arguments: ClassVar[tuple[str, ...]] = ("beta",)

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        self.beta = check_number("beta", beta, positive=True)

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        scaled = self.beta * z
        return torch.logaddexp(scaled, torch.zeros_like(scaled)) / self.beta

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z)."""
        return torch.sigmoid(self.beta * z)


class Custom(Activation):
    """Any elementwise function.

    Args:
        function: φ on tensors of any shape, e.g. a lambda or an `nn.Module`.
        derivative: φ'; by default PyTorch differentiates φ.
        kinks: where φ or φ' jumps. They must be declared: quadrature across an undeclared kink is
            off by a thousandth, so it is refused.

    Raises:
        InvalidValueError: if a kink is no finite number.
        DtypeError: if the function is a module with parameters that are not float64; quadrature
            needs its values in that precision.

    Example:
        >>> hard_tanh = Custom(lambda z: z.clamp(-1, 1), kinks=(-1.0, 1.0))
        >>> hard_tanh.derivative(torch.tensor([0.5, 2.0]))
        tensor([1., 0.])
    """

    name: ClassVar[str] = "custom"

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        derivative: Callable[[Tensor], Tensor] | None = None,
        kinks: Sequence[float] = (),
    ) -> None:
        super().__init__()
        if isinstance(function, nn.Module):
            for name, parameter in function.named_parameters():
                check_dtype(f"{type(function).__name__}.{name}", parameter, [torch.float64])
        # Assigned as an attribute, an nn.Module becomes a submodule: its parameters are found.
        self.function = function
        self.function_derivative = derivative
        self.kinks = tuple(sorted({check_number("kinks", float(kink)) for kink in kinks}))
        self.has_ntk = not any(_jumps(function, kink) for kink in self.kinks)

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return self.function(z)

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z)."""
        if self.function_derivative is not None:
            return self.function_derivative(z)
        has_parameters = any(parameter.requires_grad for parameter in self.parameters())
        again = torch.is_grad_enabled() and (z.requires_grad or has_parameters)
        with torch.enable_grad():
            point = z if z.requires_grad else z.detach().requires_grad_()
            value = self.function(point)
            if not value.requires_grad:  # φ is constant as far as autograd can tell
                return torch.zeros_like(z)
            (slope,) = torch.autograd.grad(
                value.sum(), point, create_graph=again, materialize_grads=True
            )
        return slope

    def extra_repr(self) -> str:
        """The function and its kinks."""
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return f"{name}, kinks={self.kinks}"


def _jumps(function: Callable[[Tensor], Tensor], kink: float) -> bool:
    """Whether φ itself, not only φ', differs on the two sides of `kink`."""
    step = 1e-7 * max(1.0, abs(kink))
    at = torch.tensor([-2.0, -1.0, 1.0, 2.0], dtype=torch.float64) * step + kink
    with torch.no_grad():
        values = function(at).to(torch.float64)
    inside = (values[2] - values[1]).abs()  # over 2 steps; a slope s gives 2 s·step
    outside = torch.maximum((values[1] - values[0]).abs(), (values[3] - values[2]).abs())
    return bool(inside > 100 * outside + 1e-9 * (1 + values.abs().max()))


for _activation in (SiLU, Sigmoid, Softplus, Tanh):
    REGISTRY.add(_activation.name, _activation)
