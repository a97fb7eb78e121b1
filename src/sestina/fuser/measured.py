"""What is measured of a machine once, and kept beside the kernels on disk.

So that one process decides as another did, whatever else the machine was doing at the time: results
would differ in their last bits otherwise.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sestina.fuser.compile import native
from sestina.fuser.compile.cache import Cache, CachedKernel

__all__ = ["forget", "kept", "once"]

_in_memory: dict[str, Any] = {}
_DIGEST_LENGTH = 32


def once(name: str, measure: Callable[[], Any]) -> Any:
    """What was measured under a name, of memory or disk, or measured now.

    Args:
        name: of the quantity, with what else it depends on besides the CPU.
        measure: gives what JSON can hold.
    """
    if name not in _in_memory:
        cache, key = _cache(), _key(name)
        found = cache.get(key)
        value = json.loads(found) if found is not None else measure()
        if found is None:
            cache.put(key, json.dumps(value).encode())
        _in_memory[name] = value
    return _in_memory[name]


def kept() -> list[CachedKernel]:
    """What is on disk, the last used first: the names with hyphens for all but letters and digits.

    Raises:
        InvalidValueError: if the folder can't be looked at.
    """
    _cache().check()
    return [replace(one, name=one.name[: -_DIGEST_LENGTH - 1]) for one in _cache().kernels()]


def forget() -> int:
    """Removes what was measured, which is measured again when it is needed; how many were on disk.

    Raises:
        InvalidValueError: if the folder can't be looked at.
    """
    _cache().check()
    _in_memory.clear()
    return _cache().clear()


def _cache() -> Cache:
    # A folder of its own: what is listed and cleared as kernels are kernels.
    return native.kernel_cache().part("costs")


def _key(name: str) -> str:
    machine = native.machine()
    facts = (name, machine.cpu, sorted(machine.features))
    readable = re.sub("[^A-Za-z0-9.]+", "-", name)[:100]
    return f"{readable}-{hashlib.sha256(repr(facts).encode()).hexdigest()[:_DIGEST_LENGTH]}"
