"""What is left to ATen, and how that is said: once for each operation."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from sestina.core.errors import NotFusedError

__all__ = ["FallbackWarning", "hearing", "tell_graph", "tell_operations", "tell_rewrite"]

_REMEDY = "it runs as without this compiler; options={'strict': True} makes this an error"
_said: set[str] = set()
_lock = threading.Lock()
_hearers: list[Callable[[str], None]] = []


class FallbackWarning(UserWarning):
    """Something that no kernel computes, and why; said once for each operation."""


@contextmanager
def hearing(tell: Callable[[str], None]) -> Iterator[None]:
    """Tells of each graph within the block that PyTorch runs why, also if that was said before."""
    _hearers.append(tell)
    try:
        yield
    finally:
        _hearers.remove(tell)


def tell_operations(reasons: Mapping[str, str], *, strict: bool) -> None:
    """Says which operations ATen computes.

    Args:
        reasons: for each operation, why.
        strict: raise instead.

    Raises:
        NotFusedError: if strict and there are any.
    """
    for name, reason in reasons.items():
        _tell(name, f"ATen computes {name}: {reason}", strict=strict)


def tell_graph(reason: str, *, strict: bool) -> None:
    """Says that PyTorch runs a whole graph, and why; likewise."""
    for tell in _hearers:
        tell(reason)
    _tell(reason, f"PyTorch runs this graph: {reason}", strict=strict)


def tell_rewrite(reason: str, *, strict: bool) -> None:
    """Says that a graph lacks a rewrite, and why; likewise."""
    _tell(reason, f"a graph stays as it was: {reason}", strict=strict)


def _tell(name: str, problem: str, *, strict: bool) -> None:
    if strict:
        raise NotFusedError(problem, remedy="change the model, or leave strict out of the options")
    with _lock:
        is_new = name not in _said
        _said.add(name)
    if is_new:
        warnings.warn(f"{problem}; {_REMEDY}", FallbackWarning, stacklevel=2)
