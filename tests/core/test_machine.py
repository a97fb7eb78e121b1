from __future__ import annotations

import os

import pytest

from sestina.core.machine import usable_cores, usable_memory_bytes

AFFINITY = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", AFFINITY), ("150000 100000", min(AFFINITY, 2)), ("10000 100000", 1)],
)
def test_a_containers_quota_bounds_the_cores(tmp_path, quota, expected):
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert usable_cores(tmp_path) == expected


@pytest.mark.parametrize(("limit", "bounded"), [("max", False), ("1048576", True)])
def test_a_containers_limit_bounds_the_memory(tmp_path, limit, bounded):
    (tmp_path / "memory.max").write_text(limit + "\n")
    assert (usable_memory_bytes(tmp_path) == 1048576) is bounded


def test_without_control_groups_the_machine_is_the_bound(tmp_path):
    assert usable_cores(tmp_path / "none") == AFFINITY
    assert usable_memory_bytes(tmp_path / "none") > 2**20
