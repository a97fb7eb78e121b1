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
    """Make masks, uniform numbers and coins again from a seed in the backward pass, or draw them as
    ATen does, and keep them."""
