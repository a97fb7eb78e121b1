"""The three ways that everything here is run: as it is, by Inductor, and by sestina."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch

__all__ = ["PEERS", "made"]

PEERS = ("eager", "inductor")
Work = TypeVar("Work", bound=Callable[..., Any])


def made(function: Work, how: str) -> Work:
    """A function or module, compiled in the way of that name."""
    if how == "eager":
        return function
    compiled: Any = torch.compile(function, backend=how)
    return cast("Work", compiled)
