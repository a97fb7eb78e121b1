"""Logging, set up by programs only: the command line and the worker processes of the engines.

Modules write to `logging.getLogger(__name__)`; a library that is merely imported sets up nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["logging_to"]

_FORMAT = "%(levelname)s %(name)s: %(message)s"


@contextmanager
def logging_to(stream: TextIO, level: int) -> Iterator[None]:
    """Within the block, sestina's records go to `stream`, and those of others from WARNING on.

    Handlers that were there before stay.

    Args:
        stream: where the lines go; not closed.
        level: of sestina's own records, e.g. `logging.INFO`.

    Example:
        >>> import io
        >>> lines = io.StringIO()
        >>> with logging_to(lines, logging.INFO):
        ...     logging.getLogger("sestina.ntk").info("took the slow path")
        >>> print(lines.getvalue(), end="")
        INFO sestina.ntk: took the slow path
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(_FORMAT))
    root, own = logging.getLogger(), logging.getLogger("sestina")
    level_before = own.level
    root.addHandler(handler)
    own.setLevel(level)
    try:
        yield
    finally:
        own.setLevel(level_before)
        root.removeHandler(handler)
