"""Unpacking archives from strangers: bounded, nothing but plain files, nothing outside.

Zip and tar archives (plain, gzip, bzip2, xz) are read member by member. The whole table is checked
before the first byte is written, and the bytes are counted again while they are unpacked, because
what an archive says about its sizes may be a lie.

Source: CWE-22 (path traversal), CWE-59 (link following), CWE-409 (decompression bombs).
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from functools import partial
from numbers import Integral, Real
from pathlib import Path, PurePosixPath
from typing import IO, Any

from sestina.core.errors import FileFormatError, InvalidValueError
from sestina.core.files import atomic_directory

__all__ = ["ArchiveLimits", "extract_archive"]

_CHUNK_BYTES = 1 << 20
# Headers of a tar archive are read in one piece; honest ones (long names) are a few kilobytes.
_HEADER_BYTES = 16 << 20
_FREE_BYTES = 10 << 20
_NAME_BYTES = 255
# Linux allows paths of 4095 bytes, the directory's own included; and what removes a tree keeps a
# file open for each level.
_PATH_BYTES = 2048
_PATH_PARTS = 100
_REMEDY = "unpack it by hand if you trust where it comes from, or ask for a clean one"
# What Python's readers raise on damaged or unknown content. gzip and bz2 raise plain OSError.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,  # a name that is no UTF-8, among others
    struct.error,
    RuntimeError,  # NotImplementedError for unknown methods, too
    OSError,
)
_DECOMPRESSORS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """How much an archive may unpack to.

    Raises:
        InvalidValueError: if a limit is not positive, or one but the ratio is no integer.
    """

    total_bytes: int = 4 << 30
    """All members together, unpacked."""
    file_bytes: int = 2 << 30
    """The largest file, unpacked."""
    num_members: int = 100_000
    """Files and directories together."""
    ratio: float = 200.0
    """Unpacked bytes for each byte of the archive; the first 10 MiB are free."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value: Any = getattr(self, field.name)
            kind = Real if field.name == "ratio" else Integral
            is_number = isinstance(value, kind) and not isinstance(value, bool)
            if not is_number or not value > 0:
                raise InvalidValueError(
                    field.name,
                    value,
                    expected=f"a positive limit, {'a number' if kind is Real else 'an integer'}",
                    remedy="leave it out for the default",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    path: PurePosixPath
    is_directory: bool
    size_bytes: int
    open: Callable[[], IO[bytes]]


def extract_archive(
    archive: str | Path, into: str | Path, *, limits: ArchiveLimits | None = None
) -> list[Path]:
    """Unpack a zip or tar archive into the directory `into`, all of it or nothing.

    Owners, permissions and times are not taken over: files are made as this process makes files.
    A directory that is already at `into` is replaced once the last member has been written.

    Args:
        archive: the file; its kind is found from its first bytes, not its name.
        into: the directory to make; its parent must exist.
        limits: how much it may unpack to; None for the defaults.

    Returns:
        The files written, in the archive's order.

    Raises:
        FileFormatError: if it is no such archive, is damaged, holds a path that leads outside, a
            link, a device or the same path twice, or unpacks to more than `limits` allow.
        FileNotFoundError: if there is no such archive.
    """
    archive, into = Path(archive), Path(into)
    limits = limits or ArchiveLimits()
    written = []
    with ExitStack() as stack:
        members = _open_members(archive, limits, stack)
        allowed_bytes = _allowed_bytes(archive, limits)
        folder = stack.enter_context(atomic_directory(into))
        for member in members:
            target = folder / member.path
            if member.is_directory:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                for chunk in _chunks(archive, member, min(allowed_bytes, limits.file_bytes)):
                    file.write(chunk)
                allowed_bytes -= file.tell()
            written.append(into / member.path)
    return written


def _open_members(archive: Path, limits: ArchiveLimits, stack: ExitStack) -> list[_Member]:
    file = stack.enter_context(archive.open("rb"))
    start = file.read(8)
    file.seek(0)
    with _naming_damage(archive):
        if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            found = _zip_members(archive, stack.enter_context(zipfile.ZipFile(file)))
        else:
            opener = next(
                (o for magic, o in _DECOMPRESSORS.items() if start.startswith(magic)), None
            )
            content = stack.enter_context(opener(file)) if opener else file
            bounded: Any = _BoundedReader(content, archive, _allowed_bytes(archive, limits))
            opened = tarfile.open(fileobj=bounded, mode="r:")  # noqa: SIM115 - closed by the stack
            found = _tar_members(archive, stack.enter_context(opened))
        return _checked(archive, found, limits)


def _zip_members(archive: Path, opened: zipfile.ZipFile) -> Iterator[_Member]:
    for info in opened.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise _refused(archive, f"member {info.filename!r} is a link or a device")
        if info.flag_bits & 1:
            raise _refused(archive, f"member {info.filename!r} is encrypted")
        yield _Member(
            path=_safe_path(archive, info.filename),
            is_directory=info.is_dir(),
            size_bytes=info.file_size,
            open=partial(opened.open, info),
        )


def _tar_members(archive: Path, opened: tarfile.TarFile) -> Iterator[_Member]:
    for info in opened:
        if not (info.isreg() or info.isdir()):
            raise _refused(archive, f"member {info.name!r} is a link or a device")
        yield _Member(
            path=_safe_path(archive, info.name),
            is_directory=info.isdir(),
            size_bytes=info.size,
            open=partial(_tar_content, opened, info),
        )


def _tar_content(opened: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = opened.extractfile(info)
    assert content is not None  # only regular files come here
    return content


def _checked(archive: Path, found: Iterator[_Member], limits: ArchiveLimits) -> list[_Member]:
    """The members, each checked before the next is looked for."""
    allowed_bytes = _allowed_bytes(archive, limits)
    members: list[_Member] = []
    files: set[PurePosixPath] = set()
    folders: set[PurePosixPath] = set()
    for member in found:
        members.append(member)
        if len(members) > limits.num_members:
            raise _refused(archive, f"it has more than {limits.num_members} members")
        if not member.is_directory:
            if not member.path.parts:
                raise _refused(archive, "a file member is named '.'")
            if member.path in files:
                raise _refused(archive, f"member '{member.path}' is there twice")
            files.add(member.path)
            allowed_bytes -= member.size_bytes
            if member.size_bytes > limits.file_bytes or allowed_bytes < 0:
                raise _too_large(archive, member, limits.file_bytes)
        folders.update([member.path] if member.is_directory else [], member.path.parents)
    for path in files & folders:
        raise _refused(archive, f"member '{path}' is both a file and a directory")
    return members


def _safe_path(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    outside = path.is_absolute() or ".." in path.parts or "\\" in name or name[1:2] == ":"
    if outside or "\0" in name or not name:
        raise _refused(archive, f"member {name!r} leads outside the directory, or nowhere")
    if any(len(part.encode(errors="surrogateescape")) > _NAME_BYTES for part in path.parts):
        raise _refused(
            archive, f"member {name[:40]!r}… has a name of more than {_NAME_BYTES} bytes"
        )
    num_bytes = len(name.encode(errors="surrogateescape"))
    if len(path.parts) > _PATH_PARTS or num_bytes > _PATH_BYTES:
        raise _refused(
            archive,
            f"member {name[:40]!r}… is nested deeper than {_PATH_PARTS} directories, or has a path "
            f"of more than {_PATH_BYTES} bytes",
        )
    return path


def _chunks(archive: Path, member: _Member, allowed_bytes: int) -> Iterator[bytes]:
    with _naming_damage(archive), member.open() as content:
        left_bytes = allowed_bytes
        while chunk := content.read(min(_CHUNK_BYTES, left_bytes + 1)):
            left_bytes -= len(chunk)
            if left_bytes < 0:
                raise _too_large(archive, member, allowed_bytes)
            yield chunk


def _allowed_bytes(archive: Path, limits: ArchiveLimits) -> int:
    by_ratio = _FREE_BYTES + limits.ratio * archive.stat().st_size
    return int(min(limits.total_bytes, by_ratio))  # the ratio may be infinite


class _BoundedReader:
    """A decompressed stream that stops where an honest archive would have ended long ago.

    Tar archives are read from end to end only to list them, and their headers are read in one
    piece of whatever length they claim, so that counting the members' bytes would be too late.
    """

    def __init__(self, stream: IO[bytes], archive: Path, allowed_bytes: int) -> None:
        self._stream = stream
        self._archive = archive
        self._allowed_bytes = allowed_bytes

    def read(self, size: int) -> bytes:
        if size > _HEADER_BYTES:
            raise _refused(self._archive, f"it has a header of {size} bytes")
        return self._stream.read(size)

    def seek(self, position: int) -> int:
        # Headers and padding come on top of the members' bytes.
        if position > 2 * self._allowed_bytes + _HEADER_BYTES:
            raise _refused(self._archive, f"it unpacks to more than {self._allowed_bytes} bytes")
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()


@contextmanager
def _naming_damage(archive: Path) -> Iterator[None]:
    try:
        yield
    except FileFormatError:
        raise
    except _DAMAGE as error:
        raise FileFormatError(
            archive,
            f"it can't be read as a zip or tar archive ({type(error).__name__}: {error})",
            remedy="download it again, or check that it is the file you meant",
        ) from error


def _refused(archive: Path, reason: str) -> FileFormatError:
    return FileFormatError(archive, f"{reason}, which is refused", remedy=_REMEDY)


def _too_large(archive: Path, member: _Member, allowed_bytes: int) -> FileFormatError:
    return FileFormatError(
        archive,
        f"member '{member.path}' goes over the limit of {allowed_bytes} bytes unpacked",
        remedy="raise the ArchiveLimits if you trust where it comes from",
    )
