"""What this process may use of the machine: cores and memory, containers' limits included."""

from __future__ import annotations

import math
import os
from pathlib import Path

__all__ = ["usable_cores", "usable_memory_bytes"]

_CONTROL_GROUP = Path("/sys/fs/cgroup")


def usable_cores(control_group: Path = _CONTROL_GROUP) -> int:
    """The cores that this process may use: its affinity, and its container's quota rounded up.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst, `cpu.max`.

    Example:
        >>> usable_cores() >= 1
        True
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota, _, period = _read(control_group / "cpu.max").partition(" ")
    if quota.isdecimal() and period.strip().isdecimal():
        cores = min(cores, math.ceil(int(quota) / int(period)))
    return max(1, cores)


def usable_memory_bytes(control_group: Path = _CONTROL_GROUP) -> int:
    """The memory that this process may use: the machine's, or its container's limit.

    Example:
        >>> usable_memory_bytes() > 0
        True
    """
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _read(control_group / "memory.max").strip()
    return min(total, int(limit)) if limit.isdecimal() else total


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""  # no such control group: no limit
