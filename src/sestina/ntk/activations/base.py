"""What an activation function has to know for its kernels."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from sestina.core.errors import InvalidValueError, OptionError
from sestina.core.registry import Registry, nearest_name
from sestina.ntk.gaussian import quadrature
from sestina.ntk.gaussian.duals import Duals

__all__ = ["REGISTRY", "Activation", "ClosedForm", "check_degree", "check_number"]


class Activation(nn.Module):
    """An elementwise function φ with its exact derivative and its Gaussian expectations.

    As a module it is what a finite network applies; through `duals` and `moments` it is what the
    infinitely wide network sees of it. A subclass gives `forward`, `derivative` and, where one is
    known, a closed form of `duals`; the rest is computed by quadrature, which needs `kinks`.
    """

    name: ClassVar[str] = ""
    """The registered name, as in `spec()`."""
    arguments: ClassVar[tuple[str, ...]] = ()
    """The constructor's arguments, kept under the same names."""
    kinks: tuple[float, ...] = ()
    """Where φ or φ' jumps."""
    has_ntk: bool = True
    """False where φ itself jumps: E[φ'²] is infinite, and so is every tangent kernel."""

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """φ(z), elementwise."""

    @abstractmethod
    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z), elementwise; at a kink the value of one side."""

    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """(E[φ(u)φ(v)], E[φ'(u)φ'(v)]) for (u, v) ~ N(0, [[q1, k12], [k12, q2]]).

        Args:
            q1: variances of u, real, broadcast with the others.
            q2: variances of v, real.
            k12: covariances; real with |k12| ≤ √(q1 q2), or complex inside that disc.

        Returns:
            Two tensors of the broadcast shape, differentiable in all arguments when k12 is real.
        """
        return quadrature.duals(self, q1, q2, k12)

    def moments(self, q: Tensor) -> Duals:
        """(E[φ(u)²], E[φ'(u)²]) for u ~ N(0, q), exact: what stands on a kernel's diagonal."""
        return quadrature.moments(self, q)

    def spec(self) -> dict[str, object]:
        """The activation as JSON-able values: `activation(spec)` makes an equal one.

        Raises:
            InvalidValueError: if its class has no registered name.

        Example:
            >>> from sestina.ntk.activations import LeakyReLU
            >>> LeakyReLU(0.1).spec()
            {'name': 'leaky_relu', 'slope': 0.1}
        """
        if self.name not in REGISTRY:
            raise InvalidValueError(
                "activation",
                self,
                expected=f"one with a registered name: {', '.join(REGISTRY)}",
                remedy="register its class, or describe the kernel by kernel.coefficients(n)",
            )
        return {"name": self.name} | {name: getattr(self, name) for name in self.arguments}

    @classmethod
    def from_arguments(cls, **arguments: object) -> Activation:
        """An instance from arguments by name, unknown ones refused.

        Raises:
            OptionError: if the constructor has no such argument (the nearest one is named), or
                needs one that is not given.
        """
        for name in arguments:
            if name not in cls.arguments:
                nearest = nearest_name(name, cls.arguments)
                raise OptionError(
                    f"argument of {cls.name}",
                    name,
                    expected=f"one of {', '.join(cls.arguments)}" if cls.arguments else "none",
                    remedy=f"did you mean {nearest!r}?" if nearest else "remove it",
                )
        left_out = [name for name in cls.arguments if name not in arguments]
        parameters = inspect.signature(cls).parameters if left_out else {}
        missing = [name for name in left_out if parameters[name].default is inspect.Parameter.empty]
        if missing:
            raise OptionError(
                f"arguments of {cls.name}",
                sorted(arguments),
                expected=f"{', '.join(missing)} as well",
                remedy=f"give it as in {cls.name}:{missing[0]}=… or {{'{missing[0]}': …}}",
            )
        return cls(**arguments)

    def extra_repr(self) -> str:
        """The constructor's arguments, for `repr`."""
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.arguments)


class ClosedForm(Activation):
    """An activation whose `duals` are exact at ρ = 1, too: the diagonal follows from them."""

    @abstractmethod
    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """(E[φ(u)φ(v)], E[φ'(u)φ'(v)]); see `Activation.duals`."""

    def moments(self, q: Tensor) -> Duals:
        """(E[φ(u)²], E[φ'(u)²]) for u ~ N(0, q)."""
        return self.duals(q, q, q)


REGISTRY: Registry[type[Activation]] = Registry("activation")
"""The activations that have a name."""


_LARGEST = 1e100


def check_number(name: str, value: object, *, positive: bool = False) -> float:
    """`value` as a float whose square is one, too.

    Raises:
        InvalidValueError: if it is no number up to 1e100 in size, or not positive where it must be.
    """
    least = "above 0" if positive else f"at least {-_LARGEST:g}"
    expected = f"a number {least} and at most {_LARGEST:g}"
    number = float("nan")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # an integer above 1e308
            number = float("inf")
    if not abs(number) <= _LARGEST or (positive and number <= 0):
        raise InvalidValueError(name, value, expected=expected, remedy=f"pass {expected}")
    return number


def check_degree(value: object, *, lowest: int = 0, highest: int = 1000) -> int:
    """`value` as a degree.

    Raises:
        InvalidValueError: if it is no integer from `lowest` to `highest`.
    """
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if not (is_integer and isinstance(value, int) and lowest <= value <= highest):
        raise InvalidValueError(
            "degree",
            value,
            expected=f"an integer from {lowest} to {highest}",
            remedy=f"pass an integer from {lowest} to {highest}",
        )
    return value
