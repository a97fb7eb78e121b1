"""Files that are either the old one or the whole new one, and their digests.

Everything here writes beside the destination, flushes to the disk and then renames. A process that
is killed half way leaves the old file untouched (and at worst a hidden `.<name>.<random>.partial`
beside it); one that fails with an exception leaves nothing.

Errors of the operating system (`FileNotFoundError`, `PermissionError`, a full disk) pass through,
and name the path. Unpacking archives is in `sestina.core.archives`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, Literal, overload

from sestina.core.errors import InvalidValueError

__all__ = [
    "atomic_directory",
    "atomic_open",
    "atomic_path",
    "atomic_write_bytes",
    "atomic_write_text",
    "bytes_digest",
    "file_digest",
]

# Common file systems allow names of 255 bytes; the hidden name adds 26 to what is kept.
_KEPT_NAME_BYTES = 200
# Only writing raises these, and writing to an open file does not say which one.
_OUT_OF_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def atomic_write_bytes(path: str | Path, data: bytes) -> None:
    """Make `path` hold `data`, or leave it as it was.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     atomic_write_bytes(Path(folder, "a.bin"), b"123")
        ...     Path(folder, "a.bin").read_bytes()
        b'123'
    """
    with atomic_open(path, "wb") as file:
        file.write(data)


def atomic_write_text(path: str | Path, text: str) -> None:
    """Make `path` hold `text` in UTF-8 with its line ends as they are, or leave it as it was."""
    with atomic_open(path, "w") as file:
        file.write(text)


@overload
def atomic_open(path: str | Path, mode: Literal["wb"]) -> AbstractContextManager[IO[bytes]]: ...


@overload
def atomic_open(path: str | Path, mode: Literal["w"]) -> AbstractContextManager[IO[str]]: ...


def atomic_open(path: str | Path, mode: Literal["w", "wb"]) -> AbstractContextManager[IO[Any]]:
    """A file open for writing that becomes `path` when the block ends well.

    Args:
        path: the destination; its directory must exist.
        mode: "wb" for bytes, "w" for text in UTF-8 with line ends as they are.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_open(Path(folder, "a.txt"), "w") as file:
        ...         print("one", file=file)
        ...     Path(folder, "a.txt").read_text().strip()
        'one'
    """
    return _atomic_binary(path) if mode == "wb" else _atomic_text(path)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A path to write to, that becomes `path` when the block ends well.

    For writers that want a path rather than an open file: a memory-mapped array, a library's own
    `save`. An empty file stands there at first. On any exception it is removed and `path` stays as
    it was. An existing file's permissions are kept; a symbolic link is written through.

    Args:
        path: the destination; its directory must exist.

    Raises:
        IsADirectoryError: if `path` is a directory.
        InvalidValueError: if it is there but no regular file: a device, a pipe or a socket, which
            a file would replace.
    """
    _check_replaceable(Path(path))
    destination = Path(os.path.realpath(path))
    partial = _partial_beside(destination)
    # Made here, so that a missing or read-only directory is reported before any work is done, and
    # with open's mode rather than tempfile's, so that the umask decides who may read the result.
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield partial
        _flush_to_disk(partial)
        if destination.exists():
            shutil.copymode(destination, partial)
        partial.replace(destination)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _OUT_OF_SPACE and error.filename is None:
            error.filename = str(path)
        raise
    _flush_to_disk(destination.parent)


@contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """An empty directory to fill, that replaces the directory `path` when the block ends well.

    On any exception it is removed with all that is in it, and `path` stays as it was. Directories
    can't be exchanged in one step: a process killed between the two renames leaves the old one
    under its hidden name `.<name>.<random>.old`.

    Args:
        path: the destination, absent or a directory; its parent must exist.

    Raises:
        NotADirectoryError: if `path` is something else than a directory.
    """
    destination = Path(os.path.realpath(path))
    if destination.exists() and not destination.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    partial = _partial_beside(destination)
    partial.mkdir()
    try:
        yield partial
        for folder, _, names in os.walk(partial):
            for name in names:
                _flush_to_disk(Path(folder, name))
            _flush_to_disk(Path(folder))
        _exchange(partial, destination)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _flush_to_disk(destination.parent)


def file_digest(path: str | Path) -> str:
    """The SHA-256 of a file's content, in 64 hexadecimal digits; reads it in small pieces."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bytes_digest(data: bytes) -> str:
    """The SHA-256 of `data`, in 64 hexadecimal digits.

    Example:
        >>> bytes_digest(b"")[:16]
        'e3b0c44298fc1c14'
    """
    return hashlib.sha256(data).hexdigest()


@contextmanager
def _atomic_text(path: str | Path) -> Iterator[IO[str]]:
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        yield file


@contextmanager
def _atomic_binary(path: str | Path) -> Iterator[IO[bytes]]:
    with atomic_path(path) as partial, partial.open("wb") as file:
        yield file


def _check_replaceable(path: Path) -> None:
    # Asked of the path as given: behind a link such as /dev/stdout there may be a pipe, whose own
    # name leads nowhere.
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise InvalidValueError(
            "path",
            str(path),
            expected="a regular file or a new one, not a device, a pipe or a socket",
            remedy="choose another name",
        )


def _partial_beside(destination: Path) -> Path:
    kept = os.fsdecode(os.fsencode(destination.name)[:_KEPT_NAME_BYTES])
    return destination.with_name(f".{kept}.{secrets.token_hex(8)}.partial")


def _exchange(new: Path, destination: Path) -> None:
    if not destination.exists():
        new.rename(destination)
        return
    old = new.with_suffix(".old")
    destination.rename(old)
    try:
        new.rename(destination)
    except BaseException:
        old.rename(destination)
        raise
    shutil.rmtree(old)


def _flush_to_disk(path: Path) -> None:
    # Reading is enough to flush, and the only way to open a directory.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
