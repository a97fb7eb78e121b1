"""Files for the compiled readers, which know no paths, and the errors that they raise."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sestina.core.errors import FileFormatError

__all__ = ["Problem", "naming_path", "read_bytes"]


class Problem(Exception):  # noqa: N818  users see a FileFormatError, which names the path
    """A file that cannot be read as what it should be, from a reader that does not know its path.

    Args:
        reason: what is wrong, with the value shown, and what was expected.
        remedy: what to do next.
        line: counted from 1; 0 where lines make no sense.
    """

    def __init__(self, reason: str, remedy: str, line: int) -> None:
        self.reason = reason
        self.remedy = remedy
        self.line = line
        super().__init__(reason)


@contextmanager
def naming_path(path: str | Path) -> Iterator[None]:
    """Turns a `Problem` within the block into an error that names the file.

    Raises:
        FileFormatError: if a reader finds the file unreadable.
    """
    try:
        yield
    except Problem as problem:
        raise FileFormatError(
            path, problem.reason, line=problem.line or None, remedy=problem.remedy
        ) from None


def read_bytes(path: Path) -> bytes:
    """What a file holds, unpacked if its name ends in `.gz`.

    Raises:
        FileFormatError: if it is packed, and damaged.
    """
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            return file.read()
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise FileFormatError(
            path, f"the gzip stream is damaged ({error})", remedy="fetch or pack the file again"
        ) from error
