"""Design files: one JSON document with a version and a checksum.

    {"format": "sestina-ntk-design", "version": 2, "sha256": "…", "design": {…}}

Version 1 is read, too: it lacks "target", "origin" and "inputs".

The checksum is over the design as it is written with sorted keys and no spaces. Reading trusts
nothing: the size is bounded, nothing in the file is executed, and a missing, misspelt or ill-typed
field is named.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from sestina.core.errors import FileFormatError, InvalidValueError
from sestina.core.files import atomic_write_text, bytes_digest
from sestina.ntk.designs.packing import unpack

__all__ = ["Fields", "read_document", "write_document"]

_FORMAT = "sestina-ntk-design"
_VERSION = 2
_READABLE = (1, 2)
_MAX_BYTES = 64 << 20
"""A design of the highest degree has 1 MB."""
_MAX_DEPTH = 100
"""Of nested brackets; a target that is a mixture of sixteen kernels has twenty levels."""
_REMEDY = "make the design again, or take it from a backup"


def write_document(path: str | Path, body: Mapping[str, object]) -> None:
    """Write a design's fields; the file is the old one or the whole new one.

    Raises:
        OSError: if the file cannot be written.
    """
    document = {
        "format": _FORMAT,
        "version": _VERSION,
        "sha256": _digest(body),
        "design": body,
    }
    atomic_write_text(path, json.dumps(document, allow_nan=False, indent=1) + "\n")


def read_document(path: str | Path) -> Fields:
    """The fields that `write_document` wrote.

    Raises:
        FileFormatError: if the file is no design file, of another version, or damaged.
        OSError: if it cannot be read.
    """
    with Path(path).open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        _refuse(path, f"more than {_MAX_BYTES >> 20} MiB long, expected a design of about 1 MB")
    document = _parsed(path, data)
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        _refuse(path, f'no "format": "{_FORMAT}" at the top, expected a design file')
    version = document.get("version")
    if isinstance(version, bool) or version not in _READABLE:
        reason = f"version {version!r}, expected {' or '.join(map(str, _READABLE))}"
        raise FileFormatError(path, reason, remedy="read it with the release that wrote it")
    body = document.get("design")
    if not isinstance(body, dict):
        _refuse(path, '"design" is missing, expected an object')
    if document.get("sha256") != _digest(body):
        _refuse(
            path, f'the checksum is {_digest(body)[:12]}…, expected that of the file\'s "sha256"'
        )
    return Fields(path, body)


class Fields:
    """Typed access to the fields of a file; each error names the file and the field.

    Args:
        path: the file, for messages.
        body: its fields.
        prefix: what the fields are part of.
    """

    def __init__(self, path: str | Path, body: Mapping[str, object], prefix: str = "") -> None:
        self._path = path
        self._body = body
        self._prefix = prefix

    def number(self, name: str, *, at_least: float = -math.inf) -> float:
        """A finite number."""
        value = self._get(name)
        try:
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            number = float(cast("float", value)) if is_number else math.nan
        except OverflowError:  # an integer above 1e308
            number = math.inf
        if not math.isfinite(number):
            self.refuse(name, value, "a finite number")
        if number < at_least:
            self.refuse(name, value, f"a number of at least {at_least:g}")
        return number

    def count(self, name: str, *, at_least: int = 0, optional: bool = False) -> int | None:
        """A whole number, or None where that is allowed."""
        value = self._get(name)
        if value is None and optional:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
            self.refuse(name, value, f"a whole number of at least {at_least}")
        return value

    def text(self, name: str, among: tuple[str, ...]) -> str:
        """One of the texts that are allowed."""
        value = self._get(name)
        if value not in among:
            self.refuse(name, value, f"one of {', '.join(among)}")
        return str(value)

    def any_text(self, name: str) -> str:
        """A text."""
        value = self._get(name)
        if not isinstance(value, str):
            self.refuse(name, value, "a text")
        return value

    def numbers(self, name: str, *, at_least: int = 1) -> NDArray[np.float64]:
        """Packed numbers."""
        try:
            numbers = unpack(self._prefix + name, self._get(name))
        except InvalidValueError as error:
            raise FileFormatError(self._path, error.problem, remedy=_REMEDY) from error
        if numbers.size < at_least:
            self.refuse(name, f"{numbers.size} numbers", f"at least {at_least}")
        return numbers

    def part(self, name: str) -> Fields:
        """An object's fields."""
        return Fields(self._path, self.mapping(name), f"{self._prefix}{name}.")

    def optional_part(self, name: str) -> Fields | None:
        """An object's fields, or None where there is null or nothing."""
        return None if self.is_null(name) else self.part(name)

    def is_null(self, name: str) -> bool:
        """Whether there is null or nothing."""
        return self._body.get(name) is None

    def mapping(self, name: str) -> Mapping[str, object]:
        """An object as it is."""
        value = self._get(name)
        if not isinstance(value, dict):
            self.refuse(name, value, "an object")
        return value

    def refuse(self, name: str, value: object, expected: str) -> NoReturn:
        """Raise for a field.

        Raises:
            FileFormatError: always.
        """
        try:
            shown = repr(value)
        except ValueError:  # Python does not write integers of thousands of digits
            shown = "an integer of thousands of digits"
        shown = shown if len(shown) <= 80 else shown[:79] + "…"
        _refuse(self._path, f"{self._prefix}{name} is {shown}, expected {expected}")

    def _get(self, name: str) -> object:
        if name not in self._body:
            _refuse(self._path, f"{self._prefix}{name} is missing")
        return self._body[name]


def _parsed(path: str | Path, data: bytes) -> object:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse(path, f"byte {error.start} is not UTF-8, expected a JSON text")
    if _nesting(text) > _MAX_DEPTH:
        _refuse(path, f"more than {_MAX_DEPTH} nested brackets, expected some 20")
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        reason = f"{error.msg} in column {error.colno}, expected a JSON text"
        raise FileFormatError(path, reason, line=error.lineno, remedy=_REMEDY) from error
    except InvalidValueError as error:  # NaN or Infinity
        _refuse(path, error.problem)
    except ValueError as error:  # an integer of thousands of digits
        _refuse(path, f"{error}, expected finite numbers")


def _nesting(text: str) -> int:
    """Opening minus closing brackets at most; brackets in strings only make it larger."""
    deepest = depth = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _no_constant(name: str) -> NoReturn:
    raise InvalidValueError(
        "a number", name, expected="finite numbers", remedy="write the file with finite numbers"
    )


def _digest(body: object) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return bytes_digest(text.encode("ascii"))


def _refuse(path: str | Path, reason: str) -> NoReturn:
    raise FileFormatError(path, reason, remedy=_REMEDY)
