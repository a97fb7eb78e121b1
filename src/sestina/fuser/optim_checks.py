"""What the optimizers ask of options, parameters, gradients and state before a kernel has them.

The kernel takes addresses: whatever it is to read and write has to be there, laid as it expects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch._C._dynamo.guards import TensorGuards

from sestina.core.errors import DtypeError, InvalidValueError, ShapeError
from sestina.fuser.ir.layouts import Layout
from sestina.fuser.ir.operations import STORED, compute_dtype

__all__ = [
    "Known",
    "check_apart",
    "check_gradient",
    "check_memory",
    "check_options",
    "check_parameter",
    "check_state",
    "laid_like",
]

# Options of torch.optim that a group or a loaded state may have only so.
_FIXED = {"amsgrad": False, "dampening": 0, "decoupled_weight_decay": True, "maximize": False}


@dataclass(frozen=True, slots=True)
class Known:
    """What a step found out about a parameter's tensors, which the next need only find unchanged.

    Attributes:
        holds: whether tensors have the dtypes, shapes, strides and devices of those that were
            checked. One call, which takes 0.2 µs: all of these asked for in Python take 2.
        dtypes: of the parameter and its gradient.
        count: of elements.
    """

    holds: Callable[..., bool]
    dtypes: tuple[torch.dtype, torch.dtype]
    count: int

    @classmethod
    def of(cls, tensors: list[Tensor]) -> Known:
        """What is so of a parameter, its gradient and what is kept, in this order."""
        shapes: list[Any] = [[*tensor.shape] for tensor in tensors]
        strides: list[Any] = [[*tensor.stride()] for tensor in tensors]
        guards = TensorGuards(*tensors, dynamic_dims_sizes=shapes, dynamic_dims_strides=strides)
        return cls(guards.check, (tensors[0].dtype, tensors[1].dtype), tensors[0].numel())


def check_options(group: dict[str, Any]) -> None:
    """Asks that the options of a group are in range, and none is among those left out."""
    for name in ("lr", "momentum", "eps", "weight_decay"):
        value = group.get(name, 0)
        is_one = not isinstance(value, Tensor) or value.numel() == 1
        if not (is_one and value >= 0):
            raise InvalidValueError(
                name,
                value,
                expected="a number from 0 on",
                remedy=f"leave {name} out or give another",
            )
    betas = group.get("betas", (0, 0))
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise InvalidValueError(
            "betas", betas, expected="two numbers from 0 on, below 1", remedy="try (0.9, 0.99)"
        )
    if group.get("nesterov") and not group["momentum"] > 0:
        raise InvalidValueError(
            "momentum",
            group["momentum"],
            expected="a number above 0, as nesterov is True",
            remedy="give a momentum, or leave nesterov out",
        )
    for name, value in _FIXED.items():
        if group.get(name, value) != value:
            raise InvalidValueError(
                name,
                group[name],
                expected=f"{value}, as sestina's optimizers have no other",
                remedy="leave it out, or use the optimizer of torch.optim",
            )


def check_parameter(param: Tensor) -> None:
    """Asks for real floating-point numbers of the CPU, without gaps."""
    if not _is_real(param):
        raise DtypeError(
            f"a parameter on {param.device}",
            param.dtype,
            expected="real floating-point numbers on the CPU",
            remedy="use an optimizer of torch.optim for it",
        )
    if not Layout(tuple(param.shape), param.stride()).is_dense or param.is_neg():
        raise InvalidValueError(
            "the strides of a parameter",
            param.stride(),
            expected="elements that fill a stretch of memory",
            remedy="make the parameter of a contiguous tensor",
        )


def check_gradient(gradient: Tensor, param: Tensor) -> None:
    """Asks for real floating-point numbers of the CPU, as many as the parameter has."""
    if gradient.layout is not torch.strided:
        raise DtypeError(
            f"a gradient of layout {gradient.layout}",
            gradient.dtype,
            expected="a dense tensor",
            remedy="make the embedding with sparse=False, or call to_dense() on the gradient",
        )
    if not _is_real(gradient):
        raise DtypeError(
            f"a gradient on {gradient.device}",
            gradient.dtype,
            expected="real floating-point numbers on the CPU",
            remedy="convert the gradient, or use an optimizer of torch.optim",
        )
    _check_shape(gradient, param, "the gradient", remedy="set it to None and compute it anew")


def check_state(state: dict[str, Any], name: str, param: Tensor) -> None:
    """Asks that what is kept of a parameter under a name is of its shape, or None."""
    if name not in state:
        raise InvalidValueError(
            "the state of a parameter",
            sorted(state),
            expected=f"{name!r} among its names",
            remedy="load the state of an optimizer of the same kind",
        )
    kept, wide = state[name], compute_dtype(param.dtype)
    if kept is None:
        return
    _check_shape(
        kept,
        param,
        f"the state {name!r}",
        remedy="make a new optimizer, or load the state of a model like this one",
    )
    if kept.dtype is not wide or kept.device != param.device or kept.layout is not torch.strided:
        raise DtypeError(
            f"the state {name!r} of a parameter, on {kept.device},",
            kept.dtype,
            expected=f"{wide}, as the parameter is {param.dtype} on {param.device}",
            remedy="convert parameters before the first step, or make a new optimizer",
        )


def check_memory(tensors: list[Tensor]) -> None:
    """Asks that tensors have memory: those whose storage was freed have none, nor have wrappers."""
    for tensor in tensors:
        if tensor.numel() and not tensor.data_ptr():
            raise InvalidValueError(
                "the address of a parameter, its gradient or state",
                f"0, of a {type(tensor).__name__} of shape {tuple(tensor.shape)}",
                expected="a tensor with memory of its own",
                remedy="restore its storage, or use an optimizer of torch.optim",
            )


def check_apart(tensors: list[Tensor]) -> None:
    """Asks that tensors have no memory in common."""
    spans = sorted(
        (tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes, tuple(tensor.shape))
        for tensor in tensors
        if tensor.numel()
    )
    for (_, end, first), (start, _, second) in pairwise(spans):
        if start < end:
            raise InvalidValueError(
                "the memory of parameters or gradients",
                f"shared by two, of shapes {first} and {second}",
                expected="memory of its own for each",
                remedy="give the optimizer one of them, or use an optimizer of torch.optim",
            )


def laid_like(tensor: Tensor, param: Tensor) -> Tensor:
    """A tensor whose elements lie as the parameter's do: itself, or a copy."""
    strides = zip(tensor.shape, tensor.stride(), param.stride(), strict=True)
    # Of a dimension of extent 1 the stride says nothing; convolutions make it up.
    lies_so = all(mine == other for extent, mine, other in strides if extent != 1)
    if lies_so and not tensor.is_neg() and not tensor._is_zerotensor():
        return tensor
    return torch.empty_like(param, dtype=tensor.dtype).copy_(tensor)


def _check_shape(tensor: Tensor, param: Tensor, name: str, *, remedy: str) -> None:
    if tensor.shape != param.shape:
        raise ShapeError(
            f"the shape of {name} of a parameter",
            tuple(tensor.shape),
            expected=f"{tuple(param.shape)}, that of the parameter",
            remedy=remedy,
        )


def _is_real(tensor: Tensor) -> bool:
    is_number = tensor.dtype in STORED and tensor.is_floating_point()
    return is_number and tensor.device.type == "cpu" and tensor.layout is torch.strided
