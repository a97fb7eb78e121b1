"""What is refused of arguments and files that pyctcdecode would take, or fail on by chance."""

from __future__ import annotations

import json
import math
from numbers import Real
from pathlib import Path
from typing import Any

from sestina.core.errors import FileFormatError, OptionError

__all__ = ["check_number", "json_of", "text_of"]

_REMEDY = "save the decoder anew"


def check_number(name: str, value: Any, *, finite: bool = True) -> None:
    """Refuses what is no number, as NaN is none.

    Raises:
        OptionError: names the argument.
    """
    is_number = isinstance(value, Real) and not math.isnan(value)
    if not is_number or (finite and math.isinf(value)):
        expected = "a finite number" if finite else "a number"
        raise OptionError(name, value, expected=expected, remedy="leave it out for the default")


def text_of(path: str | Path, encoding: str | None = None) -> str:
    """The text of a file.

    Raises:
        FileFormatError: if it is none.
    """
    try:
        return Path(path).read_text(encoding=encoding or "utf-8")
    except UnicodeDecodeError as error:
        raise FileFormatError(
            path, f"byte {error.start} is not {encoding or 'UTF-8'}", remedy=_REMEDY
        ) from error


def json_of(path: str | Path) -> Any:
    """What a file of JSON says.

    Raises:
        FileFormatError: if it is none.
    """
    text = text_of(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # the latter of thousands of brackets
        raise FileFormatError(
            path, f"it begins with {text[:40]!r}, expected JSON", remedy=_REMEDY
        ) from error
