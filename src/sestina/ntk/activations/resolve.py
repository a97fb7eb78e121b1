"""From what people write to an activation: a name, a spec, a module or a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn

from sestina.core.errors import InvalidValueError, OptionError
from sestina.ntk.activations.analytic import GELU, Cos, Erf, Exp, Sin
from sestina.ntk.activations.base import REGISTRY, Activation
from sestina.ntk.activations.numeric import Custom, Sigmoid, SiLU, Softplus, Tanh
from sestina.ntk.activations.piecewise import Abs, LeakyReLU, ReLU, Sign
from sestina.ntk.activations.polynomials import Polynomial

__all__ = ["ActivationLike", "activation"]

ActivationLike: TypeAlias = (
    Activation | str | Mapping[str, object] | nn.Module | Callable[[Tensor], Tensor]
)
"""What `activation` understands."""

_FUNCTIONS: dict[Callable[..., Tensor], type[Activation]] = {
    torch.abs: Abs,
    torch.cos: Cos,
    torch.erf: Erf,
    torch.exp: Exp,
    torch.nn.functional.gelu: GELU,
    torch.nn.functional.relu: ReLU,
    torch.nn.functional.silu: SiLU,
    torch.nn.functional.softplus: Softplus,
    torch.relu: ReLU,
    torch.sigmoid: Sigmoid,
    torch.sign: Sign,
    torch.sin: Sin,
    torch.tanh: Tanh,
}


def activation(value: ActivationLike) -> Activation:
    """The activation that `value` names, describes or is.

    Args:
        value: an `Activation`; a registered name ("relu"); a mapping from `Activation.spec()`; a
            PyTorch module or function, known ones by their closed form and others by quadrature.

    Raises:
        UnknownNameError: if no activation has that name.
        OptionError: if the mapping lacks a name or has an unknown argument.
        InvalidValueError: if the value is none of these, or an argument is out of range.

    Example:
        >>> activation("relu"), activation({"name": "leaky_relu", "slope": 0.2})
        (ReLU(), LeakyReLU(slope=0.2))
        >>> activation(torch.nn.Tanh())
        Tanh()
    """
    if isinstance(value, Activation):
        return value
    if isinstance(value, str):
        return REGISTRY[value].from_arguments()
    if isinstance(value, Mapping):
        return _from_spec(value)
    if isinstance(value, nn.Module):
        return _from_module(value)
    if hasattr(value, "coefficients"):  # a kernel can be called, too, but on cosines
        raise InvalidValueError(
            "activation",
            value,
            expected="φ; this is a kernel or a design",
            remedy="pass its activation: design(kernel).activation",
        )
    if callable(value):
        known = _FUNCTIONS.get(value)
        return known() if known is not None else Custom(value)
    raise InvalidValueError(
        "activation",
        value,
        expected="a name, a spec, a module or a function of tensors",
        remedy=f"pass one of the names {', '.join(REGISTRY)}",
    )


def _from_spec(spec: Mapping[str, object]) -> Activation:
    arguments = dict(spec)
    name = arguments.pop("name", None)
    if not isinstance(name, str):
        raise OptionError(
            "activation spec",
            spec,
            expected="a mapping with the key 'name'",
            remedy="write it as Activation.spec() does, e.g. {'name': 'leaky_relu', 'slope': 0.1}",
        )
    return REGISTRY[name].from_arguments(**arguments)


def _from_module(module: nn.Module) -> Activation:
    simple: dict[type[nn.Module], type[Activation]] = {
        nn.ReLU: ReLU,
        nn.SiLU: SiLU,
        nn.Sigmoid: Sigmoid,
        nn.Tanh: Tanh,
    }
    if type(module) in simple:
        return simple[type(module)]()
    if isinstance(module, nn.Identity):
        return Polynomial([0.0, 1.0])
    if isinstance(module, nn.LeakyReLU):
        return LeakyReLU(module.negative_slope)
    if isinstance(module, nn.Softplus):
        return Softplus(float(module.beta))
    if isinstance(module, nn.GELU) and module.approximate == "none":
        return GELU()
    return Custom(module, kinks=_kinks(module))


def _kinks(module: nn.Module) -> tuple[float, ...]:
    """Where PyTorch's piecewise activations change their formula; of other modules nothing."""
    if isinstance(module, nn.Hardtanh):  # ReLU6 is one
        return (module.min_val, module.max_val)
    if isinstance(module, (nn.Softshrink, nn.Hardshrink)):
        return (-module.lambd, module.lambd)
    if isinstance(module, nn.Threshold):
        return (module.threshold,)
    if isinstance(module, (nn.Hardsigmoid, nn.Hardswish)):
        return (-3.0, 3.0)
    if isinstance(module, (nn.CELU, nn.ELU, nn.PReLU, nn.SELU, nn.Softsign)):
        return (0.0,)
    return ()
