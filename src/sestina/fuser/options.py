"""What can be chosen of the compiler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FuserOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FuserOptions:
    """Options of `torch.compile(model, backend="sestina", options={...})`."""

    strict: bool = False
    """Raise NotFusedError where an operation would be left to ATen, rather than warn."""
    dropout: Literal["regenerate", "eager"] = "regenerate"
    """Make masks again in the backward pass from a seed, or draw and keep them as ATen does."""
