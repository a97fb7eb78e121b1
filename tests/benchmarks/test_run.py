"""Which benches `make bench` runs."""

from __future__ import annotations

import pytest

from benchmarks.run import benches_of, is_long


@pytest.fixture
def folder(tmp_path):
    room = tmp_path / "room"
    room.mkdir()
    (room / "bench_short.py").write_text("LONG = False\n")
    (room / "bench_long.py").write_text('"""Trains."""\n\nLONG = True\n')
    (room / "data.py").write_text("")
    return tmp_path


def test_long_benches_run_only_when_named(folder):
    assert [path.stem for path in benches_of("room", folder=folder)] == ["bench_short"]
    assert [path.stem for path in benches_of("room", "bench_long", folder=folder)] == ["bench_long"]


def test_only_a_true_constant_makes_a_bench_long(folder):
    assert is_long(folder / "room" / "bench_long.py")
    assert not is_long(folder / "room" / "bench_short.py")


def test_an_unknown_room_or_bench_is_refused_with_those_there_are(folder):
    with pytest.raises(SystemExit, match=r"no benches.*room"):
        benches_of("attic", folder=folder)
    with pytest.raises(SystemExit, match=r"bench_long, bench_short"):
        benches_of("room", "bench_fast", folder=folder)
