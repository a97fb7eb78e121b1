"""Files that parts of a decoder were read from, so that another process can read them again.

A pickled decoder holds paths and digests, never what the files hold. Pickles run code: they are for
the workers of this program alone, never for what comes from elsewhere.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sestina.core.errors import FileFormatError
from sestina.core.files import file_digest

__all__ = ["Source", "shared", "unchanged"]

Part = TypeVar("Part")

# What this process has unpickled and still uses.
_PARTS: weakref.WeakValueDictionary[Hashable, object] = weakref.WeakValueDictionary()
_PARTS_LOCK = threading.RLock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file as it was when it was read. Its digest is made when it is asked for, which is rare."""

    path: Path
    """Absolute, as other processes may work elsewhere."""
    stamp: tuple[int, ...]
    """Tells whether the file has been written since; see `_stamp`."""
    _digests: list[str] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def of(cls, path: str | Path) -> Source:
        """The file as it is now; ask before reading it.

        Raises:
            OSError: if it can't be looked at.
        """
        absolute = Path(path).absolute()
        return cls(path=absolute, stamp=_stamp(absolute))

    def digest(self) -> str:
        """The SHA-256 of what was read.

        Raises:
            FileFormatError: if the file has been written since, or is gone.
        """
        if not self._digests:
            found = _present_digest(self.path)
            if _stamp(self.path) != self.stamp:
                raise FileFormatError(
                    self.path,
                    "it was written after it was read, expected the file that was read",
                    remedy="read it again, and make the decoder anew",
                )
            self._digests.append(found)
        return self._digests[0]


def unchanged(path: Path, digest: str) -> Path:
    """The path, if the file there has that digest.

    Raises:
        FileFormatError: if it has another one, or is gone.
    """
    found = _present_digest(path)
    if found != digest:
        raise FileFormatError(
            path,
            f"its SHA-256 is {found[:16]}…, expected {digest[:16]}… as when it was read",
            remedy="put the old file back, or make the decoder anew from this one",
        )
    return path


def shared(key: Hashable, make: Callable[[], Part]) -> Part:
    """What this process has made under that key and still uses, or else what `make` makes."""
    with _PARTS_LOCK:
        found = _PARTS.get(key)
        if found is None:
            found = _PARTS[key] = make()
        return found  # type: ignore[return-value]  # the caller's keys name their own types


def _stamp(path: Path) -> tuple[int, ...]:
    status = os.stat(path)  # noqa: PTH116  one call for all of them
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _present_digest(path: Path) -> str:
    try:
        return file_digest(path)
    except FileNotFoundError as error:
        raise FileFormatError(
            path,
            "it is not there, expected the file that the decoder was made from",
            remedy="put it back; every machine that works on it needs it under this path",
        ) from error
