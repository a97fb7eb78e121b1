"""Where commands write: refused before the work if it could not be done after it."""

from __future__ import annotations

import os
from pathlib import Path

from sestina.core.errors import OptionError

__all__ = ["check_destination"]


def check_destination(option: str, path: Path | None, *, example: str) -> None:
    """Refuses, before any work is done, a file that could not be written after it.

    Args:
        option: that named it.
        path: where to write; None for nowhere.
        example: a file's name, for the remedy.

    Raises:
        OptionError: if it is a directory, or its directory does not exist.
    """
    if path is None:
        return
    if path.is_dir():
        raise OptionError(
            option,
            str(path),
            expected="a file; this is a directory",
            remedy=f"write e.g. {option} {path / example}",
        )
    if path.parent.is_dir() and not os.access(path.parent, os.W_OK):
        raise OptionError(
            option,
            str(path),
            expected=f"a file where one may write; {path.parent} is read-only",
            remedy="choose another directory",
        )
    if not path.parent.is_dir():
        raise OptionError(
            option,
            str(path),
            expected=f"a file in a directory that exists; {path.parent} does not",
            remedy=f"make it first: mkdir -p {path.parent}",
        )
