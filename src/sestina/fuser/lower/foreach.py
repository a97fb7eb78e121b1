"""Calls on lists of tensors, `_foreach_add` and the like: what optimizers are written with.

Each is so many calls of an elementwise operation. Tensors that a kernel could serve together are
found later, when kernels that are alike are launched as one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch._ops import OpOverload

from sestina.fuser.lower.expressions import NotLowered
from sestina.fuser.lower.table import ELEMENTWISE, Elementwise

__all__ = ["elementwise_of", "single_calls"]

_ATEN = torch.ops.aten
_PREFIX = "aten::_foreach_"
# Where the operation on one tensor has another name, or several overloads of which one is meant.
_SINGLE: dict[str, OpOverload[Any, Any]] = {
    "add": _ATEN.add.Tensor,
    "sub": _ATEN.sub.Tensor,
    "mul": _ATEN.mul.Tensor,
    "div": _ATEN.div.Tensor,
    "lerp": _ATEN.lerp.Scalar,
    "clamp_min": _ATEN.clamp_min.default,
    "clamp_max": _ATEN.clamp_max.default,
}


def elementwise_of(target: OpOverload[Any, Any]) -> Elementwise | None:
    """The formula that a call on lists applies to each tensor; None where it is no such call."""
    if not target._schema.name.startswith(_PREFIX):
        return None
    name = target._schema.name.removeprefix(_PREFIX)
    single: OpOverload[Any, Any] | None
    if name == "pow":
        # Whole exponents that are numbers are products.
        is_number = target._overloadname in {"Scalar", "ScalarList"}
        single = _ATEN.pow.Tensor_Scalar if is_number else _ATEN.pow.Tensor_Tensor
    elif name in _SINGLE:
        single = _SINGLE[name]
    else:
        single = getattr(getattr(_ATEN, name, None), "default", None)
    return None if single is None else ELEMENTWISE.get(single)


def single_calls(
    target: OpOverload[Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """The arguments of the operation for each tensor, those with a name by it.

    Raises:
        NotLowered: for numbers of each tensor that come as one tensor.
    """
    names = (argument.name for argument in target._schema.arguments)
    named = dict(zip(names, args, strict=False)) | dict(kwargs)
    is_scaled = target._schema.name.startswith((f"{_PREFIX}addc",))
    if is_scaled and target._overloadname == "Tensor":
        raise NotLowered("the numbers of all tensors are one tensor")
    count = max(len(value) for value in named.values() if isinstance(value, (list, tuple)))
    for index in range(count):
        each = {
            name: value[index] if isinstance(value, (list, tuple)) else value
            for name, value in named.items()
        }
        each.pop("non_blocking", None)
        if is_scaled and "scalars" in each:
            each["value"] = each.pop("scalars")
        keywords: dict[str, Any] = {
            name: each.pop(name) for name in ("alpha", "value") if name in each
        }
        yield list(each.values()), keywords
