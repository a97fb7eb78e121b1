"""Object code on disk, so that a kernel is compiled once for a user and machine.

A file is found by the digest of all that its code depends on: the source, the versions of LLVM and
of this format, the CPU's name and its features. It holds the digest of its own code, and one that
doesn't match is compiled anew. The folder is native code that will be run: it has to be the user's,
and closed to others, or it is not used. Files come by renaming, so that processes may share it; the
longest unused go when they are too many.
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

from sestina.core.files import atomic_write_bytes

__all__ = ["CAPACITY_BYTES", "Cache", "CachedKernel", "default_folder"]

_logger = logging.getLogger(__name__)
CAPACITY_BYTES = 256 << 20
"""Of all files; what is beyond goes, the longest unused first."""
_MAGIC = b"sestina-kernel-1\n"
_SUFFIX = ".kernel"
# What a process leaves that is killed while it writes; none takes as long as that.
_PARTIAL, _PARTIAL_LIFE_S = ".*.partial", 3600.0


@dataclass(frozen=True, slots=True)
class CachedKernel:
    """One file of the cache."""

    name: str
    size_bytes: int
    last_used: float
    """Seconds since 1970."""


def default_folder() -> Path:
    """`sestina/fuser` of the user's cache.

    Source: XDG Base Directory Specification, `$XDG_CACHE_HOME`, else `~/.cache`.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "sestina", "fuser")


class Cache:
    """A folder of object code.

    Args:
        folder: made when it is first written to, for the user alone.
        capacity_bytes: of all files.
    """

    def __init__(self, folder: Path, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self.folder, self.capacity_bytes = folder, capacity_bytes
        self._is_refused = False

    def get(self, key: str) -> bytes | None:
        """The code of a key; None where there is none, or it is damaged."""
        path = self._path(key)
        if not self._is_ours():
            return None
        try:
            data = path.read_bytes()
        except OSError:
            return None
        head = len(_MAGIC) + hashlib.sha256().digest_size
        code = data[head:]
        if data[:head] != _MAGIC + hashlib.sha256(code).digest():
            _logger.warning("%s is damaged and is compiled anew", path)
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        try:
            os.utime(path)
        except OSError:
            _logger.debug("%s can't be marked as used", path)
        return code

    def put(self, key: str, code: bytes) -> None:
        """Keeps the code of a key, if the folder can be written to; says once if it can't."""
        if self._is_refused:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._is_ours():
                data = _MAGIC + hashlib.sha256(code).digest() + code
                atomic_write_bytes(self._path(key), data)
                self._trim()
        except OSError as error:
            self._refuse(str(error))

    def kernels(self) -> list[CachedKernel]:
        """What is there, the last used first."""
        found = []
        for path in self.folder.glob(f"*{_SUFFIX}") if self._is_ours() else ():
            try:
                facts = path.stat()
            except OSError:
                continue  # another process has removed it
            found.append(CachedKernel(path.stem, facts.st_size, facts.st_mtime))
        return sorted(found, key=lambda kernel: -kernel.last_used)

    def clear(self) -> int:
        """Removes every kernel; how many there were."""
        kernels = self.kernels()
        for kernel in kernels:
            self._path(kernel.name).unlink(missing_ok=True)
        self._sweep()
        return len(kernels)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _sweep(self) -> None:
        """Removes what processes have left that were killed while they wrote."""
        for path in self.folder.glob(_PARTIAL) if self._is_ours() else ():
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

    def _is_ours(self) -> bool:
        """Whether the folder is the user's and nobody else can write to it."""
        try:
            facts = self.folder.lstat()
        except OSError:
            return False
        is_closed = not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and is_closed:
            return True
        self._refuse("it is not a folder that only its owner, the user, can write to")
        return False

    def _refuse(self, reason: str) -> None:
        if not self._is_refused:
            _logger.warning("kernels are not kept in %s: %s", self.folder, reason)
        self._is_refused = True
