"""The three ways that everything here is run: as it is, by Inductor, and by sestina.

And two ways that memory comes by. As the C library has it, a large tensor's memory goes back to the
system when the tensor does, and the next one pays for fresh pages; `ALLOCATORS` names that and the
setting in which the library keeps what it once had, for whoever asks: no one pays for pages then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch

__all__ = ["ALLOCATORS", "PEERS", "made"]

PEERS = ("eager", "inductor")
_KEEPS = {"mmap_max": 0, "trim_threshold": 1 << 40, "top_pad": 64 << 20}
ALLOCATORS: dict[str, dict[str, str]] = {
    "as it comes": {},
    "pages kept": {
        "GLIBC_TUNABLES": ":".join(f"glibc.malloc.{name}={value}" for name, value in _KEEPS.items())
    },
}
"""Variables of a worker's environment."""
Work = TypeVar("Work", bound=Callable[..., Any])


def made(function: Work, how: str) -> Work:
    """A function or module, compiled in the way of that name."""
    if how == "eager":
        return function
    compiled: Any = torch.compile(function, backend=how)
    return cast("Work", compiled)
