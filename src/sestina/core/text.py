"""Plain tables for terminals, aligned by what the characters take on the screen."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from sestina.core.errors import ShapeError

__all__ = ["display_width", "format_number", "table"]

_GAP = "  "


def table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> str:
    """The rows under their headers, as text without a line end at the end.

    Columns that hold only numbers (and empty cells) are set flush right, the others flush left.
    None is an empty cell; floats are shown with four significant digits, other values by `str`
    with line ends shown as spaces.

    Raises:
        ShapeError: if a row has not one cell for each header.

    Example:
        >>> print(table([["relu", 0.5], ["erf", 12]], headers=["activation", "error"]))
        activation  error
        ----------  -----
        relu          0.5
        erf            12
    """
    for index, row in enumerate(rows):
        if len(row) != len(headers):
            raise ShapeError(
                f"rows[{index}]",
                f"{len(row)} cells",
                expected=f"{len(headers)} cells, one for each header",
                remedy="fill missing cells with None",
            )
    cells = [[_cell(value) for value in row] for row in rows]
    columns = range(len(headers))
    widths = [
        max(display_width(line[column]) for line in [list(headers), *cells]) for column in columns
    ]
    numeric = [bool(rows) and all(_is_number(row[column]) for row in rows) for column in columns]
    lines = [list(headers), ["-" * width for width in widths], *cells]
    return "\n".join(_line(line, widths, numeric) for line in lines)


def format_number(value: float) -> str:
    """The number as tables show it: whole numbers whole, others with four significant digits.

    Example:
        >>> format_number(1234567), format_number(0.000123456), format_number(43210.7)
        ('1234567', '0.0001235', '43211')
    """
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return str(int(value))
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"


def display_width(text: str) -> int:
    r"""The columns that `text` takes in a terminal: wide characters two, combining ones none.

    Source: Unicode Standard Annex #11, East Asian Width.

    Example:
        >>> display_width("K(c)"), display_width("核"), display_width("e\u0301")
        (4, 2, 1)
    """
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    # Mn, Me: marks drawn over the character before; Cf: invisible, such as the zero-width joiner.
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return format_number(value)
    return " ".join(str(value).splitlines())


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    parts = []
    for cell, width, right in zip(cells, widths, numeric, strict=True):
        padding = " " * (width - display_width(cell))
        parts.append(padding + cell if right else cell + padding)
    return _GAP.join(parts).rstrip()
