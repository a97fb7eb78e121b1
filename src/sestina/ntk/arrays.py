"""Checked float64 tensors from what people pass, and the way back to the same kind.

Kernel matrices and targets arrive as NumPy arrays, tensors or nested lists, in any real type.
Predictions solve ill-conditioned systems, so they are computed in float64 whatever came in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sestina.core.errors import DtypeError, InvalidValueError, ShapeError
from sestina.tensors.checks import check_finite

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Array",
    "ArrayT",
    "check_not_negative",
    "float64",
    "float64_square",
    "float64_targets",
    "rounding_unit",
]

Array: TypeAlias = NDArray[Any] | Tensor
ArrayT = TypeVar("ArrayT", NDArray[Any], Tensor)


def float64(name: str, value: Any) -> tuple[Tensor, Callable[[Tensor], Any]]:
    """The value as a finite float64 tensor, and the function that turns results into its kind.

    Args:
        name: what errors call it.
        value: a tensor, an array or a nested sequence of real numbers.

    Raises:
        DtypeError: if it is not of real numbers.
        NonFiniteError: if it holds NaN or infinity.

    Example:
        >>> tensor, as_given = float64("targets", [1, 2])
        >>> tensor.dtype, as_given(tensor).tolist()
        (torch.float64, [1.0, 2.0])
    """
    if isinstance(value, Tensor):
        if value.is_complex():
            raise _dtype_error(name, value.dtype)
        tensor = value.detach().to(torch.float64)
        check_finite(name, tensor)
        return tensor, lambda result: result
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(
            name, str(error), expected="rows of equal length", remedy="pass a rectangular array"
        ) from error
    if array.dtype.kind not in "fiub":
        raise _dtype_error(name, array.dtype)
    # Negative strides, and read-only memory, are not for torch.from_numpy: then it is copied.
    array = np.ascontiguousarray(array, dtype=np.float64)
    tensor = torch.from_numpy(array if array.flags.writeable else array.copy())
    check_finite(name, tensor)
    return tensor, _as_numpy


def float64_square(name: str, value: Any) -> tuple[Tensor, Callable[[Tensor], Any]]:
    """As `float64`, for a symmetric kernel matrix (n, n), n ≥ 1.

    Raises:
        ShapeError: if it is not square.
        InvalidValueError: if it is not symmetric.
    """
    matrix_nn, as_given = float64(name, value)
    if matrix_nn.ndim != 2 or matrix_nn.shape[0] != matrix_nn.shape[1] or len(matrix_nn) == 0:
        raise ShapeError(
            name,
            tuple(matrix_nn.shape),
            expected="a square matrix (n, n) with n >= 1",
            remedy="pass the kernel of the rows with themselves",
        )
    asymmetry = float((matrix_nn - matrix_nn.T).abs().max())
    # float32 kernels are symmetric to rounding; a test-by-train block is off by its size.
    if asymmetry > 1e-4 * float(matrix_nn.abs().max()):
        raise InvalidValueError(
            f"{name}'s largest difference to its transpose",
            asymmetry,
            expected="0 up to rounding",
            remedy="pass the kernel of the rows with themselves, in one order",
        )
    return matrix_nn, as_given


def float64_targets(value: Any, num_samples: int, *, device: torch.device) -> tuple[Tensor, bool]:
    """Targets as (n, o), and whether they came as a vector (n,).

    Raises:
        ShapeError: if there is not one row per sample.
    """
    targets = float64("targets", value)[0].to(device)
    if targets.ndim not in (1, 2) or len(targets) != num_samples or targets.numel() == 0:
        raise ShapeError(
            "targets",
            tuple(targets.shape),
            expected=f"({num_samples},) or ({num_samples}, outputs)",
            remedy="pass one row per training sample, in the kernel's order",
        )
    is_vector = targets.ndim == 1
    return targets[:, None] if is_vector else targets, is_vector


def rounding_unit(value: Any) -> float:
    """The relative rounding of a value's own type: that of float64 for exact numbers.

    Example:
        >>> rounding_unit(torch.ones(1)) == 2**-23
        True
    """
    dtype = value.dtype if isinstance(value, Tensor) else np.asarray(value).dtype
    if isinstance(dtype, torch.dtype):
        return torch.finfo(dtype).eps if dtype.is_floating_point else 2.0**-52
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else 2.0**-52


def check_not_negative(name: str, value: float) -> None:
    """Refuses a number that is negative, infinite or NaN.

    Raises:
        InvalidValueError: unless 0 ≤ value < inf.
    """
    if not 0.0 <= value < float("inf"):
        raise InvalidValueError(
            name, value, expected="a finite number of at least 0", remedy=f"pass {name} >= 0"
        )


def _as_numpy(result: Tensor) -> NDArray[np.float64]:
    return np.asarray(result.numpy())


def _dtype_error(name: str, dtype: object) -> DtypeError:
    return DtypeError(
        name, dtype, expected="real numbers", remedy="convert it to float64 before passing it"
    )
