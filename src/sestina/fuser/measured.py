"""What is measured of a machine once, and kept beside the kernels on disk.

So that one process decides as another did, whatever else the machine was doing at the time: results
would differ in their last bits otherwise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from sestina.fuser.compile import native
from sestina.fuser.compile.cache import Cache

__all__ = ["once"]

_in_memory: dict[str, Any] = {}


def once(name: str, measure: Callable[[], Any]) -> Any:
    """What was measured under a name, of memory or disk, or measured now.

    Args:
        name: of the quantity, with what else it depends on besides the CPU.
        measure: gives what JSON can hold.
    """
    if name not in _in_memory:
        # A folder of its own: what is listed and cleared as kernels are kernels.
        cache = Cache(native.kernel_cache().folder / "costs")
        machine = native.machine()
        facts = (name, machine.cpu, sorted(machine.features))
        key = hashlib.sha256(repr(facts).encode()).hexdigest()
        kept = cache.get(key)
        value = json.loads(kept) if kept is not None else measure()
        if kept is None:
            cache.put(key, json.dumps(value).encode())
        _in_memory[name] = value
    return _in_memory[name]
