"""Names that stand for objects: activations, engines, and whatever else a room offers."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from sestina.core.errors import InvalidValueError, UnknownNameError

__all__ = ["Registry", "nearest_name"]

Entry = TypeVar("Entry")

_LISTED_NAMES = 12


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be, or None when none is near.

    Case does not count, nor does `-` against `_`.

    Example:
        >>> nearest_name("Leaky-relu", ["erf", "leaky_relu", "relu"])
        'leaky_relu'
    """
    by_key = {_key(known): known for known in names}
    close = difflib.get_close_matches(_key(name), by_key, n=1, cutoff=0.6)
    return by_key[close[0]] if close else None


class Registry(Generic[Entry]):
    """Entries under unique names.

    Args:
        kind: what an entry is, for messages: "activation", "engine".

    Example:
        >>> shapes = Registry[int]("shape")
        >>> shapes.add("triangle", 3)
        3
        >>> shapes["triangle"], list(shapes)
        (3, ['triangle'])
        >>> shapes["triangel"]
        Traceback (most recent call last):
        sestina.core.errors.UnknownNameError: shape is 'triangel', expected one of triangle; \
did you mean 'triangle'?
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, entry: Entry) -> Entry:
        """Put `entry` under `name`, and give it back.

        Raises:
            InvalidValueError: if the name is taken; entries are never replaced silently.
        """
        if name in self._entries:
            raise InvalidValueError(
                f"{self.kind} name",
                name,
                expected="a name that is not taken",
                remedy="choose another name",
            )
        self._entries[name] = entry
        return entry

    def __getitem__(self, name: str) -> Entry:
        """The entry of that name.

        Raises:
            UnknownNameError: if there is none; the remedy gives the nearest name.
        """
        try:
            return self._entries[name]
        except KeyError:
            raise self._unknown(name) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        """The names, sorted."""
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def _unknown(self, name: str) -> UnknownNameError:
        names = sorted(self._entries)
        listed = ", ".join(names[:_LISTED_NAMES])
        more = f" and {len(names) - _LISTED_NAMES} more" if len(names) > _LISTED_NAMES else ""
        nearest = nearest_name(name, names)
        remedy = f"did you mean {nearest!r}?" if nearest else f"choose a known {self.kind}"
        return UnknownNameError(
            self.kind,
            name,
            expected=f"one of {listed}{more}" if names else "a known name",
            remedy=remedy,
        )


def _key(name: str) -> str:
    return name.casefold().replace("-", "_")
