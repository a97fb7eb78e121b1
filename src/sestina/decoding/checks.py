"""Checks of arguments that several classes of the room share."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from sestina.core.errors import InvalidValueError

__all__ = ["MOST", "check_count", "check_kind"]

MOST = 2**31 - 1
"""Of hypotheses, as the compiled search counts."""


def check_kind(name: str, value: object, kind: Any, expected: str) -> None:
    """Refuses what is no `kind`, a type or a union of them, with an InvalidValueError."""
    if not isinstance(value, kind):
        raise InvalidValueError(name, value, expected=expected, remedy="make one, and pass it")


def check_count(name: str, value: Any) -> None:
    """Refuses what is no integer from 1 on, with an InvalidValueError."""
    if not isinstance(value, Integral) or value < 1:
        raise InvalidValueError(
            name, value, expected="an integer from 1", remedy="ask for one or more"
        )
