"""Checks of tensors at a room's public edge: each raises an error that names the argument.

They are called once, where a value comes in; inside, the code trusts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sestina.core.errors import DtypeError, InvalidValueError, NonFiniteError, ShapeError

__all__ = [
    "REAL_DTYPES",
    "check_dtype",
    "check_finite",
    "check_matching",
    "check_matrix",
    "check_shape",
]

REAL_DTYPES = (torch.float32, torch.float64)
"""The element types that kernels are computed in."""


def check_matrix(
    name: str,
    tensor: object,
    *,
    dtypes: Sequence[torch.dtype] = REAL_DTYPES,
    num_columns: int | None = None,
    finite: bool = True,
) -> Tensor:
    """The argument itself, if it is a matrix of numbers: 2-D, of one of `dtypes`, finite.

    Args:
        name: what the caller's caller knows the argument as.
        tensor: (rows, columns); no rows is allowed, no columns is not.
        dtypes: the element types accepted.
        num_columns: the columns it must have, where another argument decides.
        finite: look for NaN and infinity, too (one pass over the data).

    Raises:
        InvalidValueError: if it is no tensor.
        DtypeError: if its element type is another; nothing is converted silently.
        ShapeError: if it is not 2-D or has other columns.
        NonFiniteError: if it holds NaN or infinity.

    Example:
        >>> check_matrix("x1", torch.ones(3))
        Traceback (most recent call last):
        sestina.core.errors.ShapeError: x1 is (3,), expected a shape (rows, columns); \
pass x1[None, :] for one row, or x1[:, None] for one column
    """
    checked = check_dtype(name, tensor, dtypes)
    shape = tuple(checked.shape)
    if checked.ndim != 2:
        remedy = (
            f"pass {name}[None, :] for one row, or {name}[:, None] for one column"
            if checked.ndim == 1
            else f"pass {name}.reshape(len({name}), -1), one row per example"
        )
        raise ShapeError(name, shape, expected="a shape (rows, columns)", remedy=remedy)
    if checked.shape[1] == 0:
        raise ShapeError(
            name, shape, expected="at least one column", remedy="pass at least one feature per row"
        )
    if num_columns is not None and checked.shape[1] != num_columns:
        raise ShapeError(
            name,
            shape,
            expected=f"{num_columns} columns",
            remedy="pass rows of the same length as the other argument's",
        )
    return check_finite(name, checked) if finite else checked


def check_dtype(name: str, tensor: object, dtypes: Sequence[torch.dtype] = REAL_DTYPES) -> Tensor:
    """The argument itself, if it is a tensor of one of `dtypes`.

    Raises:
        InvalidValueError: if it is no tensor.
        DtypeError: if its element type is another.
    """
    if not isinstance(tensor, Tensor):
        raise InvalidValueError(
            name,
            f"a value of type {type(tensor).__name__}",
            expected="a torch.Tensor",
            remedy=f"convert it with torch.as_tensor({name})",
        )
    if tensor.dtype not in dtypes:
        expected = " or ".join(str(dtype) for dtype in dtypes)
        raise DtypeError(
            name,
            tensor.dtype,
            expected=expected,
            remedy=f"convert it with {name}.to({dtypes[-1]})",
        )
    return tensor


def check_finite(name: str, tensor: Tensor) -> Tensor:
    """The argument itself, if every element is a finite number.

    Raises:
        NonFiniteError: with how many are not, and where the first one is.

    Example:
        >>> check_finite("y", torch.tensor([0.0, float("nan"), float("inf")]))
        Traceback (most recent call last):
        sestina.core.errors.NonFiniteError: y is nan at [1], 2 of 3 not finite, expected \
finite numbers only; remove or impute the NaN and infinite values
    """
    finite = torch.isfinite(tensor)
    if bool(finite.all()):
        return tensor
    first = tuple(int(i) for i in (~finite).nonzero()[0])
    num_bad = int((~finite).sum())
    raise NonFiniteError(
        name,
        f"{tensor[first].item()} at {list(first)}, {num_bad} of {tensor.numel()} not finite",
        expected="finite numbers only",
        remedy="remove or impute the NaN and infinite values",
    )


def check_matching(name1: str, tensor1: Tensor, name2: str, tensor2: Tensor) -> None:
    """Passes if both have the same element type and device.

    Raises:
        DtypeError: if `tensor2` has another element type than `tensor1`.
        InvalidValueError: if it is on another device.
    """
    if tensor1.dtype != tensor2.dtype:
        raise DtypeError(
            name2,
            tensor2.dtype,
            expected=f"{tensor1.dtype} like {name1}",
            remedy=f"convert one of them, e.g. {name2}.to({tensor1.dtype})",
        )
    if tensor1.device != tensor2.device:
        raise InvalidValueError(
            name2,
            f"on {tensor2.device}",
            expected=f"the device of {name1}, {tensor1.device}",
            remedy=f"move one of them, e.g. {name2}.to({name1}.device)",
        )


def check_shape(name: str, tensor: Tensor, shape: Sequence[int | None]) -> Tensor:
    """The argument itself, if it has that shape; None stands for any length.

    Raises:
        ShapeError: if it has another.

    Example:
        >>> check_shape("y", torch.zeros(3, 2), (None, 2)).shape
        torch.Size([3, 2])
    """
    fits = tensor.ndim == len(shape) and all(
        wanted is None or length == wanted
        for length, wanted in zip(tensor.shape, shape, strict=True)
    )
    if not fits:
        lengths = ", ".join("any" if length is None else str(length) for length in shape)
        comma = "," if len(shape) == 1 else ""
        raise ShapeError(
            name,
            tuple(tensor.shape),
            expected=f"the shape ({lengths}{comma})",
            remedy="reshape it or pass the tensor meant",
        )
    return tensor
