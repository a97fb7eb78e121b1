"""What the functions of programs call besides kernels and ATen."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Sequence
from typing import Any

import torch

from sestina.fuser.compile.native import num_threads
from sestina.fuser.launch.division import divide
from sestina.fuser.memory import empty, taken

__all__ = ["NAMES", "IndexOutOfRange"]


class IndexOutOfRange(IndexError, RuntimeError):  # noqa: N818 - both names are PyTorch's
    """What ATen raises where an index is out of range: one or the other, by the operation."""


def _refuse_index() -> None:
    message = "index out of range in self"
    raise IndexOutOfRange(message)


def _bits_of(value: float) -> int:
    """A float64 as an int64."""
    (bits,) = struct.unpack("q", struct.pack("d", value))
    return int(bits)


def _laid_out(
    tensor: torch.Tensor, strides: Sequence[int], dtype: torch.dtype | None = None
) -> torch.Tensor:
    """A copy with these strides, and of this dtype if one is given."""
    return torch.empty_strided(tensor.shape, strides, dtype=dtype or tensor.dtype).copy_(tensor)


NAMES: dict[str, Any] = {
    "torch": torch,
    "as_strided": torch.as_strided,
    "empty": empty,
    "taken": taken,
    "getrefcount": sys.getrefcount,
    "num_threads": num_threads,
    "divide": divide,
    "refuse_index": _refuse_index,
    "laid_out": _laid_out,
    "bits_of": _bits_of,
    "math": math,
}
"""By the names that the sources of programs use."""
