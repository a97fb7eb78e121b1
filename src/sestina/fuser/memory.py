"""Memory of large tensors, kept and used again: fresh pages cost more than the work done in them.

The C library gives memory above 32 MiB back to the system when it is freed, and takes it anew for
the next tensor; the system then zeroes each page when it is first touched. Here the storages of
large results stay known: when no tensor refers to one any more, the next result of that size gets
it. What lies idle is bounded, and `release_memory` gives all of it back.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Sequence

import torch
from torch import Tensor

from sestina.core.machine import usable_memory_bytes

__all__ = ["MIN_BYTES", "Pool", "empty", "held_bytes", "release_memory", "taken"]

MIN_BYTES = 1 << 20
"""Smaller tensors are the C library's."""
_HUGE_PAGE = 2 << 20
_MADV_HUGEPAGE = 14


class Pool:
    """Storages of large tensors; safe for threads.

    Args:
        capacity_bytes: of what lies idle at most; the longest idle goes first.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self._storages: dict[int, list[torch.UntypedStorage]] = {}
        self._lock = threading.Lock()

    def empty(self, shape: Sequence[int], strides: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A tensor whose elements are arbitrary.

        Args:
            shape: of the tensor.
            strides: in elements; all of them fill a stretch of memory, in any order.
            dtype: of its elements.
        """
        size = dtype.itemsize
        for extent in shape:
            size *= extent
        if size < MIN_BYTES:
            return torch.empty_strided(shape, strides, dtype=dtype)
        made = torch.empty(0, dtype=dtype)
        with self._lock:
            return made.set_(self._storage(size), 0, shape, strides)

    def has(self, storage: torch.UntypedStorage) -> bool:
        """Whether a storage is one of these."""
        with self._lock:
            known = self._storages.get(storage.nbytes(), ())
            return any(one._cdata == storage._cdata for one in known)

    def release(self) -> int:
        """Gives idle storages back; how many bytes they were."""
        with self._lock:
            return self._drop(0)

    @property
    def held_bytes(self) -> int:
        """Bytes of all storages that are known, those in use included."""
        with self._lock:
            return sum(size * len(known) for size, known in self._storages.items())

    def _storage(self, size: int) -> torch.UntypedStorage:
        known = self._storages.setdefault(size, [])
        for index in range(len(known) - 1, -1, -1):
            if _is_idle(known[index]):
                # Last in the list: used last, and warm.
                known.append(known.pop(index))
                return known[-1]
        self._drop(self.capacity_bytes)
        storage = _fresh(size)
        known.append(storage)
        return storage

    def _drop(self, keep_bytes: int) -> int:
        """Forgets idle storages until what is left of them is no more than that."""
        idle = [
            (size, storage)
            for size, known in self._storages.items()
            for storage in known
            if _is_idle(storage)
        ]
        total = sum(size for size, _ in idle)
        dropped = 0
        while idle and total - dropped > keep_bytes:
            size, storage = idle.pop(0)
            self._storages[size] = [one for one in self._storages[size] if one is not storage]
            dropped += size
            del storage
        return dropped


def _is_idle(storage: torch.UntypedStorage) -> bool:
    """Whether only the pool refers to a storage."""
    return bool(torch._C._storage_Use_Count(storage._cdata) == 1)


def _fresh(size: int) -> torch.UntypedStorage:
    storage = torch.empty(size, dtype=torch.uint8).untyped_storage()
    advise = getattr(ctypes.CDLL(None), "madvise", None)
    if size >= 2 * _HUGE_PAGE and advise is not None:
        # One fault for 2 MiB rather than for 4 KiB; a system that has no such pages says no.
        start = -(-storage.data_ptr() // _HUGE_PAGE) * _HUGE_PAGE
        length = (storage.data_ptr() + size - start) // _HUGE_PAGE * _HUGE_PAGE
        advise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_HUGEPAGE)
    return storage


_POOL = Pool(capacity_bytes=min(4 << 30, usable_memory_bytes() // 4))
# Held while forking, so that a child never finds it taken by a thread that it doesn't have.
os.register_at_fork(
    before=_POOL._lock.acquire,
    after_in_parent=_POOL._lock.release,
    after_in_child=_POOL._lock.release,
)


def empty(shape: Sequence[int], strides: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A tensor of arbitrary elements, from the pool of this process."""
    return _POOL.empty(shape, strides, dtype)


def _second(_tensor: Tensor, count: int) -> int:
    return count


def _counted() -> int:
    probe = torch.empty(0)
    return _second(probe, sys.getrefcount(probe))


# What is counted of a tensor that a caller alone has: interpreters differ in what a call adds.
_ALONE = _counted()


def taken(
    old: Tensor, count: int, shape: Sequence[int], strides: Sequence[int], dtype: torch.dtype
) -> Tensor:
    """A tensor in the memory of one that nobody but the caller has, or else in new memory.

    Args:
        old: of as many bytes, lying alike; the caller reads it no more once the new one is written.
        count: `sys.getrefcount(old)` where it is this function's argument already: what a call adds
            differs with how frames are evaluated.
        shape: of the tensor.
        strides: in elements.
        dtype: of its elements.
    """
    storage = old.untyped_storage()
    uses: int = old._use_count()  # type: ignore[attr-defined]  # what the stubs lack
    is_alone = count <= _ALONE and uses == 1 and not old.storage_offset()
    # New memory begins where kernels may write past the caches, at a multiple of 64 bytes.
    is_alone &= not storage.data_ptr() % 64
    # The tensor and the one object that stands for the storage in Python, which is the storage's
    # own, and has this name, the count's and the pool's.
    is_alone &= torch._C._storage_Use_Count(storage._cdata) == 2
    # Memory of NumPy's or of a file cannot be resized: others may have it without a tensor.
    is_alone &= storage.resizable() and not storage.is_shared()
    if not is_alone or sys.getrefcount(storage) > 3 + _POOL.has(storage):
        return empty(shape, strides, dtype)
    return torch.empty(0, dtype=dtype).set_(storage, 0, shape, strides)


def held_bytes() -> int:
    """Bytes of the large tensors that compiled graphs have made, idle ones included."""
    return _POOL.held_bytes


def release_memory() -> int:
    """Gives the memory back that no tensor uses; how many bytes it was.

    Example:
        >>> release_memory() >= 0
        True
    """
    return _POOL.release()
