"""Arrays of float64 as text, for JSON files: base64 of the little-endian bytes.

Text of this kind is exact, four times shorter than decimal digits, and cannot expand when read.
"""

from __future__ import annotations

import base64
import binascii

import numpy as np
from numpy.typing import NDArray

from sestina.core.errors import InvalidValueError

__all__ = ["MAX_NUMBERS", "pack", "unpack"]

MAX_NUMBERS = 1 << 20
"""More numbers than any design holds; a longer text is refused before it is decoded."""


def pack(numbers: NDArray[np.float64]) -> str:
    """The numbers as text.

    Example:
        >>> pack(np.array([1.0]))
        'AAAAAAAA8D8='
    """
    return base64.b64encode(np.ascontiguousarray(numbers, dtype="<f8").tobytes()).decode("ascii")


def unpack(name: str, text: object) -> NDArray[np.float64]:
    """The numbers in a text made by `pack`, one axis.

    Args:
        name: what errors call it.
        text: the text.

    Raises:
        InvalidValueError: if it is no such text, too long, or holds NaN or infinity.

    Example:
        >>> unpack("values", pack(np.array([1.0, -2.5]))).tolist()
        [1.0, -2.5]
    """
    remedy = "write it with sestina, or make it again from its source"
    if not isinstance(text, str):
        raise InvalidValueError(
            name, text, expected="base64 text of float64 numbers", remedy=remedy
        )
    if len(text) > MAX_NUMBERS * 8 * 4 // 3 + 4:
        expected = f"at most {MAX_NUMBERS} numbers"
        raise InvalidValueError(name, f"{len(text)} characters", expected=expected, remedy=remedy)
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise InvalidValueError(name, text, expected="base64 text", remedy=remedy) from error
    if len(data) % 8:
        expected = "a multiple of 8 bytes"
        raise InvalidValueError(name, f"{len(data)} bytes", expected=expected, remedy=remedy)
    numbers = np.frombuffer(data, dtype="<f8").astype(np.float64)
    if not np.isfinite(numbers).all():
        bad = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise InvalidValueError(
            f"{name}[{bad}]", float(numbers[bad]), expected="a finite number", remedy=remedy
        )
    return numbers
