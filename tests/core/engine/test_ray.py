"""What can happen to the tasks of a Ray cluster of two machines."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import signal
import time
from pathlib import Path

import pytest

from sestina.core.engine import Status, make_engine
from sestina.core.errors import (
    CancelledError,
    InvalidValueError,
    NotFinishedError,
    WorkerError,
)
from tests.core import engine_calls as calls

pytestmark = pytest.mark.xdist_group("ray")  # or each test process starts a cluster of its own

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def engine(ray_cluster):
    with make_engine(cluster=ray_cluster) as opened:
        yield opened


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def read_when_there(path):
    wait_until(lambda: path.exists() and path.read_text())
    return path.read_text()


def is_gone(process_id):
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def node_after_meeting(num_others, folder):
    """The machine at hand, once that many calls are running at the same time."""
    import ray  # noqa: PLC0415 - workers import this file

    (Path(folder) / str(os.getpid())).touch()
    wait_until(lambda: len(list(Path(folder).iterdir())) >= num_others)
    return ray.get_runtime_context().get_node_id()


def test_calls_run_on_both_machines(engine, tmp_path):
    assert engine.num_workers == 4
    meet = functools.partial(node_after_meeting, 4)
    assert len(set(engine.map(meet, [tmp_path] * 4))) == 2


def test_a_killed_worker_fails_its_own_item(engine):
    ended = engine.outcomes(functools.partial(calls.die_on, 3), range(8))
    assert [outcome.value for outcome in ended] == [0, 1, 2, None, 4, 5, 6, 7]
    assert isinstance(ended[3].error, WorkerError)
    assert ended[3].error.index == 3
    assert "item 3 failed: its worker process died: " in str(ended[3].error)
    assert ended[3].log == "working on 3\n", "the log of a dead worker is kept"


def test_what_is_defined_in_a_function_crosses(engine):
    offset = 10
    assert engine.map(lambda x: x + offset, [1, 2]) == [11, 12]


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (calls.raise_two, "TwoArgumentError: 1 and 2"),
        (calls.raise_lock, "WithLockError: holds a lock"),
        (calls.give_lock, "cannot pickle"),
        (calls.give_unreadable, "ValueError: 1 is odd"),
        (calls.give_result_that_leaves, "SystemExit"),
    ],
)
def test_what_cannot_cross_back_fails_its_item(engine, function, text):
    (ended,) = engine.outcomes(function, [0])
    assert text in str(ended.error)


def test_an_item_that_cannot_cross_fails_alone(engine):
    ended = engine.outcomes(calls.length, ["ab", (x for x in "ab"), "abc"])
    assert [outcome.value for outcome in ended] == [2, None, 3]
    assert "cannot be sent to the cluster" in str(ended[1].error)
    handle = engine.submit(calls.nothing, calls.ItemThatLeaves())
    assert "cannot be sent to the cluster" in str(handle.outcome(PATIENCE_S).error)


def test_large_items_and_results_cross(engine):
    num_bytes = 30_000_000
    assert len(engine.submit(calls.zeros, num_bytes).result(PATIENCE_S)) == num_bytes
    assert engine.submit(calls.length, bytes(num_bytes)).result(PATIENCE_S) == num_bytes


def test_cancelling_a_running_call_kills_its_process(engine, tmp_path):
    handle = engine.submit(calls.touch_and_sleep, str(tmp_path / "started"))
    process_id = int(read_when_there(tmp_path / "started"))
    assert handle.status is Status.RUNNING
    assert handle.cancel()
    with pytest.raises(CancelledError):
        handle.result(PATIENCE_S)
    assert handle.status is Status.CANCELLED
    wait_until(lambda: is_gone(process_id))
    assert engine.map(calls.square, range(3)) == [0, 1, 4], "the engine works on"


def test_a_cancelled_pending_call_never_starts(engine, tmp_path):
    running = [
        engine.submit(calls.touch_and_sleep, str(tmp_path / f"{k}"))
        for k in range(engine.num_workers)
    ]
    for k in range(engine.num_workers):
        read_when_there(tmp_path / f"{k}")
    pending = engine.submit(calls.touch_and_sleep, str(tmp_path / "last"))
    assert pending.status is Status.PENDING
    assert pending.log == ""
    assert pending.cancel()
    assert pending.outcome(PATIENCE_S).status is Status.CANCELLED
    for handle in running:
        handle.cancel()
    assert {handle.outcome(PATIENCE_S).status for handle in running} == {"cancelled"}
    assert engine.map(calls.square, [3]) == [9]
    assert not (tmp_path / "last").exists()


def test_the_log_of_a_running_call_can_be_read(engine):
    handle = engine.submit(calls.speak_and_sleep, "half way")
    wait_until(lambda: handle.log == "half way\n")
    handle.cancel()
    assert handle.outcome(PATIENCE_S).log == "half way\n"


def test_waiting_no_longer_than_asked(engine, tmp_path):
    handle = engine.submit(calls.touch_and_sleep, str(tmp_path / "started"))
    with pytest.raises(NotFinishedError, match=r"has not ended after 0\.01 s"):
        handle.result(0.01)
    handle.cancel()


def test_leaving_the_block_normally_waits(ray_cluster):
    with make_engine(cluster=ray_cluster) as other:
        handles = [other.submit(calls.square, x) for x in range(3)]
    assert [handle.result() for handle in handles] == [0, 1, 4]


def test_leaving_the_block_by_an_exception_cancels(ray_cluster, tmp_path):
    with contextlib.suppress(KeyError), make_engine(cluster=ray_cluster) as other:
        handle = other.submit(calls.touch_and_sleep, str(tmp_path / "started"))
        process_id = int(read_when_there(tmp_path / "started"))
        raise KeyError
    assert handle.status is Status.CANCELLED
    wait_until(lambda: is_gone(process_id))


def test_an_engine_that_is_dropped_ends_its_calls(engine, ray_cluster, tmp_path):
    other = make_engine(cluster=ray_cluster)
    handle = other.submit(calls.touch_and_sleep, str(tmp_path / "started"))
    process_id = int(read_when_there(tmp_path / "started"))
    del other
    gc.collect()
    assert handle.outcome(PATIENCE_S).status is Status.CANCELLED
    wait_until(lambda: is_gone(process_id))


def test_another_cluster_is_refused_while_connected(engine):
    with pytest.raises(
        InvalidValueError, match=r"address is '10\.0\.0\.1:1', expected .*connected"
    ):
        make_engine(cluster="10.0.0.1:1")


def test_a_call_takes_some_cores(engine):
    with pytest.raises(InvalidValueError, match="cores_per_call is 0, expected above 0"):
        type(engine)(cores_per_call=0)


def test_a_signal_that_ends_a_worker_is_no_end_of_the_engine(engine):
    ended = engine.outcomes(functools.partial(calls.die_on, 0, by=signal.SIGSEGV), range(2))
    assert [outcome.status for outcome in ended] == ["failed", "done"]
