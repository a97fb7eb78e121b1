"""Files for the compiled readers, which know no paths, and the errors that they raise."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sestina.core.errors import FileFormatError

__all__ = ["Problem", "naming_path", "read_bytes", "read_pieces"]

_LARGEST_RATIO = 100
_ALWAYS_UNPACKED = 1 << 20
_PIECE_BYTES = 1 << 20


class Problem(Exception):  # noqa: N818  users see a FileFormatError, which names the path
    """A file that cannot be read as what it should be, from a reader that does not know its path.

    Args:
        reason: what is wrong, with the value shown, and what was expected; bytes, since what it
            quotes need not be text.
        remedy: what to do next.
        line: counted from 1; 0 where lines make no sense.
    """

    def __init__(self, reason: bytes, remedy: str, line: int) -> None:
        text = reason.decode(errors="backslashreplace")
        self.reason = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
        self.remedy = remedy
        self.line = line
        super().__init__(self.reason)


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
        FileFormatError: as `read_pieces` does.
    """
    return path.read_bytes() if path.suffix != ".gz" else b"".join(read_pieces(path))


def read_pieces(path: Path) -> Iterator[bytes]:
    """What a file packed by gzip holds, piece by piece.

    Raises:
        FileFormatError: if it is damaged, or unpacks to over 100 times its size, which no list of
            words or n-grams does.
    """
    most = path.stat().st_size * _LARGEST_RATIO + _ALWAYS_UNPACKED
    unpacked = 0
    try:
        with gzip.open(path) as file:
            while piece := file.read(_PIECE_BYTES):
                unpacked += len(piece)
                if unpacked > most:
                    break
                yield piece
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise FileFormatError(
            path, f"the gzip stream is damaged ({error})", remedy="fetch or pack the file again"
        ) from error
    if unpacked > most:
        raise FileFormatError(
            path,
            f"it unpacks to over {most:,} bytes, expected at most {_LARGEST_RATIO} times its size",
            remedy="unpack it yourself if it is to be trusted",
        )
