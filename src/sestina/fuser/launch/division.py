"""How the rows of a kernel are divided into parts: by sizes alone, never by threads."""

from __future__ import annotations

from sestina.fuser.random import BLOCK

__all__ = ["divide"]

_MAX_PARTS = 64
_ELEMENTS = 1 << 14


def divide(
    count: int, width: int, *, has_rows: bool, has_totals: bool, is_one_row: bool = False
) -> tuple[int, int]:
    """The rows of a part and the number of parts.

    Args:
        count: rows; where there are none, columns, which are cut at multiples of 64.
        width: elements of each of them.
        has_rows: whether the count is of rows.
        has_totals: whether each part has partial results, which are to be few beside its rows.
        is_one_row: whether there is nothing to divide.
    """
    if is_one_row:
        return max(1, count), 1
    parts = min(_MAX_PARTS, max(1, count * width // _ELEMENTS))
    if has_totals and has_rows:
        parts = min(parts, max(1, count // 8))
    chunk = -(-count // parts) if count else 1
    if not has_rows:
        chunk = -(-chunk // BLOCK) * BLOCK
    return chunk, max(1, -(-count // chunk))
