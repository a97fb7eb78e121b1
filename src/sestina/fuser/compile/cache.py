"""Object code on disk, so that a kernel is compiled once for a user and machine.

A file is found by the digest of all that its code depends on: the source, the version of LLVM, the
CPU's name and its features. It holds the digest of that key and its code, and one that doesn't
match, is another's or of another format, is compiled anew. The folder is native code that will be
run: it has to be the user's, or it is not used, and it is closed to others. Files come by renaming,
so that processes may share it; the longest unused go when they are too many. Without a folder
kernels live as long as the process.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from sestina.core.errors import InvalidValueError
from sestina.core.files import atomic_open

__all__ = ["CAPACITY_BYTES", "Cache", "CachedKernel", "default_folder"]

_logger = logging.getLogger(__name__)
CAPACITY_BYTES = 256 << 20
"""Of all files; what is beyond goes, the longest unused first."""
_MAGIC = b"sestina-kernel-2\n"
_SUFFIX = ".kernel"
_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# The folder is looked over when this part of what it may hold was written: looking takes long.
_TRIMS = 64
# What a process leaves that is killed while it writes; none takes as long as that.
_PARTIAL, _PARTIAL_LIFE_S = ".*.partial", 3600.0


@dataclass(frozen=True, slots=True)
class CachedKernel:
    """One file of the cache."""

    name: str
    size_bytes: int
    last_used: float
    """Seconds since 1970."""


def default_folder() -> Path | None:
    """`sestina/fuser` of the user's cache; None where the user has no home.

    Source: XDG Base Directory Specification, `$XDG_CACHE_HOME`, else `~/.cache`; a relative path in
    the variable is invalid and ignored.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not folder.is_absolute():
        try:
            folder = Path.home() / ".cache"
        except RuntimeError:  # neither $HOME nor an entry in the system's list of users
            return None
    return folder / "sestina" / "fuser"


class Cache:
    """A folder of object code.

    Args:
        folder: made when it is first written to, for the user alone; None to keep nothing.
        capacity_bytes: of all files.
        within: the cache whose folder this one lies in.
    """

    def __init__(
        self,
        folder: Path | None,
        capacity_bytes: int = CAPACITY_BYTES,
        *,
        within: Cache | None = None,
    ) -> None:
        self.folder, self.capacity_bytes = folder, capacity_bytes
        self._within = within
        self._parts: dict[str, Cache] = {}
        self._until_trim_bytes = 0
        self._is_refused = False

    def part(self, name: str) -> Cache:
        """A cache in a folder within this one; what is listed or cleared here is not in there."""
        if self.folder is None:
            return self
        if name not in self._parts:
            self._parts[name] = Cache(self.folder / name, self.capacity_bytes, within=self)
        return self._parts[name]

    def check(self) -> None:
        """Says why nothing can be kept here or looked at.

        Raises:
            InvalidValueError: if the folder is not the user's, or there is none.
        """
        if self._within is not None:
            self._within.check()
        reason = self._trouble()
        if reason is not None:
            folder = None if self.folder is None else str(self.folder)
            start = "set HOME" if folder is None else "remove it"
            raise InvalidValueError(
                "the folder of kernels",
                folder,
                expected=f"a folder of the user's own ({reason})",
                remedy=f"{start}, or set XDG_CACHE_HOME to the absolute path of another folder",
            )

    def get(self, key: str) -> bytes | None:
        """The code of a key; None where there is none, or it is damaged."""
        if not self._is_ours():
            return None
        path = self._path(key)
        try:
            data = _own_bytes(path)
        except OSError:
            return None
        if data is None:
            self.drop(key, "no file that only the user can write to")
            return None
        size = len(_head(key, b""))
        code = data[size:]
        if data[:size] != _head(key, code):
            self.drop(key, "damaged, or of another version,")
            return None
        try:
            os.utime(path)
        except OSError:
            _logger.debug("%s can't be marked as used", path)
        return code

    def drop(self, key: str, fault: str) -> None:
        """Removes the code of a key, which is to be compiled anew; says what is wrong with it."""
        path = self._path(key)
        _logger.warning("%s is %s and is compiled anew", path, fault)
        with contextlib.suppress(OSError):
            path.unlink()

    def put(self, key: str, code: bytes) -> None:
        """Keeps the code of a key, if the folder can be written to; says once if it can't."""
        try:
            if self._is_made():
                with atomic_open(self._path(key), "wb") as file:
                    os.fchmod(file.fileno(), 0o600)
                    file.write(_head(key, code) + code)
                self._until_trim_bytes -= len(code)
                if self._until_trim_bytes < 0:
                    self._trim()
                    self._until_trim_bytes = self.capacity_bytes // _TRIMS
        except OSError as error:
            self._refuse(str(error))

    def kernels(self) -> list[CachedKernel]:
        """What is there, the last used first."""
        found = []
        for path in self._files(f"*{_SUFFIX}"):
            try:
                facts = path.lstat()
            except OSError:
                continue  # another process has removed it
            if stat.S_ISREG(facts.st_mode):
                found.append(CachedKernel(path.stem, facts.st_size, facts.st_mtime))
        return sorted(found, key=lambda kernel: -kernel.last_used)

    def clear(self) -> int:
        """Removes every kernel; how many. What can't be removed stays, with a warning."""
        removed = 0
        for path in self._files(f"*{_SUFFIX}"):
            try:
                path.unlink(missing_ok=True)
                removed += 1
            except OSError as error:
                _logger.warning("%s stays: %s", path, error.strerror)
        self._sweep()
        return removed

    def _path(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{key}{_SUFFIX}"

    def _files(self, pattern: str) -> list[Path]:
        if self.folder is None or not self._is_ours():
            return []
        return sorted(self.folder.glob(pattern))

    def _sweep(self) -> None:
        """Removes what processes have left that were killed while they wrote."""
        for path in self._files(_PARTIAL):
            with contextlib.suppress(OSError):  # another process has removed it
                if time.time() - path.stat().st_mtime > _PARTIAL_LIFE_S:
                    path.unlink()

    def _trim(self) -> None:
        self._sweep()
        total = 0
        for kernel in self.kernels():
            total += kernel.size_bytes
            if total > self.capacity_bytes:
                self._path(kernel.name).unlink(missing_ok=True)

    def _is_made(self) -> bool:
        """Whether the folder is there, or has been made now, and can be used."""
        is_wanted = not self._is_refused and (self._within is None or self._within._is_made())
        if not is_wanted or not self._is_ours() or self.folder is None:
            return False
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self._is_ours()

    def _is_ours(self) -> bool:
        """Whether the folder can be used: it is the user's, or is not there yet."""
        if self._within is not None and not self._within._is_ours():
            return False
        reason = self._trouble()
        if reason is not None:
            self._refuse(reason)
        return reason is None

    def _trouble(self) -> str | None:
        """Why the folder is not to be used; the user's own is closed to others first."""
        if self.folder is None:
            return "the user has no home, and XDG_CACHE_HOME is not set to an absolute path"
        try:
            facts = self.folder.lstat()
            if not stat.S_ISDIR(facts.st_mode):
                return "a link is not followed" if self.folder.is_symlink() else "it is no folder"
            if facts.st_uid != os.getuid():
                return f"it belongs to user {facts.st_uid}, and this is user {os.getuid()}"
            if facts.st_mode & _OF_OTHERS:
                self._close(facts.st_mode)
            is_open = self.folder.lstat().st_mode & _OF_OTHERS
        except FileNotFoundError:
            return None
        except OSError as error:
            return str(error)
        return "it is open to others, and can't be closed to them" if is_open else None

    def _close(self, mode: int) -> None:
        """Closes the folder to others, and empties it if they could have changed what is in it."""
        assert self.folder is not None
        self.folder.chmod(0o700)
        _logger.info("%s is closed to other users now; it was open to them", self.folder)
        if mode & (stat.S_IWGRP | stat.S_IWOTH):
            _logger.warning("%s was open to others, who could have changed it", self.folder)
            for path in self.folder.glob(f"*{_SUFFIX}"):
                with contextlib.suppress(OSError):  # no file: not read either
                    path.unlink()

    def _refuse(self, reason: str) -> None:
        if not self._is_refused:
            where = "on disk" if self.folder is None else f"in {self.folder}"
            _logger.warning("kernels are not kept %s: %s", where, reason)
        self._is_refused = True


def _head(key: str, code: bytes) -> bytes:
    """What a file begins with."""
    return _MAGIC + hashlib.sha256(key.encode() + b"\n" + code).digest()


def _own_bytes(path: Path) -> bytes | None:
    """What a file holds; None if it is no file, or others can write to it."""
    # A link is not followed, and nothing waited for.
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        facts = os.fstat(number)
        is_own = stat.S_ISREG(facts.st_mode) and facts.st_uid == os.getuid()
        if not is_own or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return None
        with open(number, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(number)
