"""Memory of large tensors, kept and used again: fresh pages cost more than the work done in them.

The C library gives memory above 32 MiB back to the system when it is freed, and takes it anew for
the next tensor; the system then zeroes each page when it is first touched. Here the storages of
large results stay known: when nothing refers to one any more, the next result of that size gets
it. What lies idle is bounded, by a part of the machine's memory and by what was in use at once of
late, and `release_memory` gives all of it back.
"""

from __future__ import annotations

import ctypes
import operator
import os
import sys
import threading
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sestina.core.machine import usable_memory_bytes

__all__ = ["MIN_BYTES", "Pool", "empty", "held_bytes", "release_memory", "taken"]

MIN_BYTES = 1 << 20
"""Smaller tensors are the C library's."""
# What may lie idle in any case, as far as the capacity goes.
_SMALL_BYTES = 64 << 20
# One look for as many bytes handed out as this part of those known; more often beyond what may be
# idle. Looking takes 0.1 µs a storage, so a call pays for 8 of them or 32 on average.
_REVIEWS, _REVIEWS_BEYOND = 8, 32
# How long the most in use at once is remembered: until that many times what is known was handed
# out, and then as long again. A step of training hands out what it knows a few times.
_PEAK_LASTS = 32
_HUGE_PAGE = 2 << 20
_MADV_HUGEPAGE = 14


class Pool:
    """Storages of large tensors; safe for threads.

    What lies idle is looked at as storages are handed out: each time where it may be too much, but
    no more than once for a thirty-second of all bytes known, so that looking costs little. What
    goes is what was handed out the longest ago.

    Args:
        capacity_bytes: of what lies idle at most. Beyond 64 MiB it is also no more than twice what
            was in use at once of late: a step of training or of inference knows up to 1.5 times as
            much, which lies idle between steps and has to stay, while sizes that don't come back
            don't pile up.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self._blocks: dict[int, list[_Block]] = {}
        self._known_bytes = 0
        # All bytes that were ever handed out: the clock by which storages are old.
        self._handed_out = 0
        self._review_at = self._small_bytes = min(_SMALL_BYTES, capacity_bytes)
        self._peak_bytes = self._earlier_peak_bytes = self._peak_ends_at = 0
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
            made.set_(self._storage(size), 0, shape, strides)
            self._handed_out += size
            if self._handed_out >= self._review_at:
                self._review()
        return made

    def has(self, storage: torch.UntypedStorage) -> bool:
        """Whether a storage is one of these."""
        with self._lock:
            known = self._blocks.get(storage.nbytes(), ())
            return any(block.address == storage._cdata for block in known)

    def release(self) -> int:
        """Gives idle storages back; how many bytes they were."""
        with self._lock:
            return self._drop(self._idle(), 0)

    @property
    def held_bytes(self) -> int:
        """Bytes of all storages that are known, those in use included."""
        with self._lock:
            return self._known_bytes

    def _storage(self, size: int) -> torch.UntypedStorage:
        known = self._blocks.get(size)
        if known is None:
            known = self._blocks[size] = []
        for index in range(len(known) - 1, -1, -1):
            block = known[index]
            if _is_idle(block):
                # Last in the list: used last, and warm.
                del known[index]
                break
        else:
            block = _Block(_fresh(size), size)
            self._known_bytes += size
        known.append(block)
        block.handed_out_at = self._handed_out
        return block.storage

    def _review(self) -> None:
        """Drops what lies idle beyond what may, and says when to look again."""
        idle = self._idle()
        used_bytes = self._known_bytes - sum(block.size for block in idle)
        if self._handed_out >= self._peak_ends_at:
            self._earlier_peak_bytes, self._peak_bytes = self._peak_bytes, 0
            self._peak_ends_at = self._handed_out + _PEAK_LASTS * self._known_bytes
        self._peak_bytes = max(self._peak_bytes, used_bytes)
        wanted = 2 * max(self._peak_bytes, self._earlier_peak_bytes)
        keep_bytes = min(self.capacity_bytes, max(self._small_bytes, wanted))
        self._drop(idle, keep_bytes)
        share = _REVIEWS if self._known_bytes <= keep_bytes else _REVIEWS_BEYOND
        # Nothing can be too much before what is known has grown to what is kept in any case.
        until = max(self._known_bytes // share, self._small_bytes - self._known_bytes)
        self._review_at = self._handed_out + until

    def _idle(self) -> list[_Block]:
        return [block for known in self._blocks.values() for block in known if _is_idle(block)]

    def _drop(self, idle: list[_Block], keep_bytes: int) -> int:
        """Forgets the longest idle until the others are no more than that; how many bytes."""
        excess = sum(block.size for block in idle) - keep_bytes
        dropped = 0
        idle.sort(key=_handed_out_at, reverse=True)
        while idle and dropped < excess:
            block = idle.pop()
            known = self._blocks[block.size]
            known.remove(block)
            if not known:
                del self._blocks[block.size]
            dropped += block.size
        self._known_bytes -= dropped
        return dropped


class _Block:
    """A storage that a pool knows."""

    __slots__ = ("address", "handed_out_at", "size", "storage")

    def __init__(self, storage: torch.UntypedStorage, size: int) -> None:
        self.storage, self.size, self.address = storage, size, storage._cdata
        self.handed_out_at = 0


def _is_idle(block: _Block) -> bool:
    """Whether only the pool refers to a storage, from C++ and from Python."""
    return _num_uses(block.address) == 1 and sys.getrefcount(block.storage) == _OF_POOL


_num_uses: Callable[[int], int] = torch._C._storage_Use_Count
_handed_out_at = operator.attrgetter("handed_out_at")


def _counted_of_pool() -> int:
    block = _Block(torch.empty(0).untyped_storage(), 0)
    return sys.getrefcount(block.storage)


# What is counted of a storage that a pool alone has.
_OF_POOL = _counted_of_pool()


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
