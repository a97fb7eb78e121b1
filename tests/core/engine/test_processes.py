"""What can happen to worker processes: death, cancelling, things that can't cross, left-overs."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from sestina.core.engine import ProcessEngine, Status
from sestina.core.engine.launch import WorkerProcess
from sestina.core.engine.processes import _Call
from sestina.core.errors import (
    CancelledError,
    InvalidValueError,
    NotFinishedError,
    WorkerError,
)
from tests.core import engine_calls as calls

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def engine():
    with ProcessEngine(2) as opened:
        yield opened


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def is_gone(process_id):
    """Neither running nor a zombie."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return True
    # A grandchild is adopted, and stays until whoever adopted it looks.
    status = Path(f"/proc/{process_id}/stat")
    with contextlib.suppress(OSError):
        return status.read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def read_when_there(path):
    wait_until(lambda: path.exists() and path.read_text())
    return path.read_text()


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_killed_worker_fails_its_own_item_with_index_and_signal(engine, by):
    ended = engine.outcomes(functools.partial(calls.die_on, 3, by=by), range(8))
    assert [outcome.value for outcome in ended] == [0, 1, 2, None, 4, 5, 6, 7]
    assert isinstance(ended[3].error, WorkerError)
    assert (ended[3].error.index, ended[3].error.signal) == (3, by)
    assert f"killed by {by.name}" in str(ended[3].error)
    assert ended[3].log.startswith("working on 3\n"), "the log of a dead worker is kept"


def test_the_log_of_a_segmentation_fault_says_where_python_was(engine):
    call = functools.partial(calls.die_on, 0, by=signal.SIGSEGV)
    (ended,) = engine.outcomes(call, [0])
    assert "in die_on" in ended.log


def test_a_worker_that_exits_fails_its_item_with_the_code(engine):
    first, second = engine.outcomes(calls.end_at_once, [7, 0])
    assert "ended with exit code 7" in str(first.error)
    assert "ended with exit code 0" in str(second.error)
    assert (first.error.signal, second.error.signal) == (None, None)


def test_a_worker_that_died_while_idle_fails_no_item():
    with ProcessEngine(1) as engine:
        process_id = engine.submit(calls.die_later, 0.05).result(PATIENCE_S)
        wait_until(lambda: Path(f"/proc/{process_id}/stat").read_text().split()[2] == "Z")
        assert engine.map(calls.square, [4]) == [16]


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (calls.raise_two, "TwoArgumentError: 1 and 2"),
        (calls.raise_lock, "WithLockError: holds a lock"),
    ],
)
def test_an_exception_that_cannot_cross_is_told_in_words(engine, function, text):
    (ended,) = engine.outcomes(function, [0])
    assert text in str(ended.error)
    assert ended.error.__cause__ is None
    assert any(function.__name__ in note for note in ended.error.__notes__), "its traceback"


@pytest.mark.parametrize(
    ("function", "text"),
    [(calls.give_lock, "cannot pickle"), (calls.give_unreadable, "ValueError: 1 is odd")],
)
def test_a_result_that_cannot_cross_fails_its_item(engine, function, text):
    (ended,) = engine.outcomes(function, [0])
    assert text in str(ended.error)


@pytest.mark.parametrize("function", [calls.give_result_that_leaves, calls.raise_leaves_here])
def test_a_reply_that_would_end_the_program_fails_its_item(engine, function):
    handle = engine.submit(function, 0)
    assert handle.outcome(PATIENCE_S).status is Status.FAILED
    assert engine.map(calls.square, [1, 2, 3]) == [1, 4, 9], "the engine works on"


def test_an_item_that_would_end_the_program_fails_alone(engine):
    handle = engine.submit(calls.nothing, calls.ItemThatLeaves())
    assert "cannot be sent to a worker process" in str(handle.outcome(PATIENCE_S).error)


def test_a_reply_that_cannot_be_received_fails_its_item(monkeypatch):
    def receive(worker, payload):
        monkeypatch.undo()
        raise MemoryError

    with ProcessEngine(1) as engine:
        process_id = engine.submit(calls.process_id).result(PATIENCE_S)
        monkeypatch.setattr(WorkerProcess, "call", receive)
        ended = engine.submit(calls.square, 2).outcome(PATIENCE_S)
        assert "MemoryError" in str(ended.error)
        assert engine.submit(calls.process_id).result(PATIENCE_S) != process_id
    assert is_gone(process_id)


def test_a_defect_of_the_engine_fails_the_item_rather_than_leave_it_waiting(monkeypatch):
    def begin(call, worker):
        monkeypatch.undo()
        raise RuntimeError

    with ProcessEngine(1) as engine:
        process_id = engine.submit(calls.process_id).result(PATIENCE_S)
        monkeypatch.setattr(_Call, "begin", begin)
        assert "RuntimeError" in str(engine.submit(calls.square, 2).outcome(PATIENCE_S).error)
        assert engine.submit(calls.square, 3).result(PATIENCE_S) == 9
    assert is_gone(process_id)


def test_a_function_that_cannot_cross_fails_its_items(engine):
    (ended,) = engine.outcomes(lambda x: x, [0])
    assert "cannot be sent to a worker process" in str(ended.error)
    assert "defined at the top of a module" in ended.error.remedy


def test_an_item_that_cannot_cross_fails_alone(engine):
    ended = engine.outcomes(calls.length, ["ab", (x for x in "ab"), "abc"])
    assert [outcome.value for outcome in ended] == [2, None, 3]


def test_large_items_and_results_cross(engine):
    num_bytes = 60_000_000
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
    assert is_gone(process_id)
    assert engine.map(calls.square, range(3)) == [0, 1, 4], "the engine works on"


def test_a_cancelled_pending_call_never_starts(tmp_path):
    with ProcessEngine(1) as engine:
        running = engine.submit(calls.touch_and_sleep, str(tmp_path / "first"))
        read_when_there(tmp_path / "first")
        pending = engine.submit(calls.touch_and_sleep, str(tmp_path / "second"))
        assert pending.status is Status.PENDING
        assert pending.log == ""
        assert pending.cancel()
        assert pending.outcome(0).status is Status.CANCELLED
        assert not pending.cancel()
        running.cancel()
    assert not (tmp_path / "second").exists()


def test_cancelling_ends_what_the_worker_started(engine, tmp_path):
    handle = engine.submit(calls.start_child_and_sleep, str(tmp_path / "child"))
    child = int(read_when_there(tmp_path / "child"))
    handle.cancel()
    wait_until(lambda: is_gone(child))


@pytest.mark.parametrize("by", [signal.SIGKILL, None])
def test_a_worker_that_ends_by_itself_ends_what_it_started(tmp_path, by):
    with ProcessEngine(1) as engine:
        engine.outcomes(functools.partial(calls.start_child_and_end, by=by), [tmp_path / "child"])
        child = int(read_when_there(tmp_path / "child"))
        assert by or not is_gone(child)
    wait_until(lambda: is_gone(child))


def test_the_log_of_a_running_call_can_be_read(engine):
    handle = engine.submit(calls.speak_and_sleep, "half way")
    wait_until(lambda: handle.log == "half way\n")
    handle.cancel()
    assert handle.outcome(PATIENCE_S).log == "half way\n"


def test_waiting_no_longer_than_asked(engine, tmp_path):
    handle = engine.submit(calls.touch_and_sleep, str(tmp_path / "started"))
    with pytest.raises(NotFinishedError, match=r"has not ended after 0\.01 s"):
        handle.result(0.01)
    with pytest.raises(TimeoutError):
        handle.outcome(0)
    handle.cancel()


def test_workers_start_as_they_are_needed_and_stay():
    with ProcessEngine(3) as engine:
        first = {engine.submit(calls.process_id).result(PATIENCE_S) for _ in range(4)}
    assert len(first) == 1


def test_a_worker_is_no_fork_of_this_process(engine):
    calls.NOTE.append("changed by the test")
    try:
        assert engine.map(calls.note, [0]) == [["as imported"]]
    finally:
        calls.NOTE.pop()


def test_a_worker_imports_the_main_module_only_if_it_must(engine):
    assert engine.map(calls.main_module, [0]) == ["__main__"]


def test_numerical_libraries_get_their_share_of_the_cores():
    with ProcessEngine(1, threads_per_worker=3) as engine:
        assert engine.map(calls.threads_allowed, [0]) == ["3"]
    with pytest.raises(InvalidValueError, match="threads_per_worker is 0"):
        ProcessEngine(1, threads_per_worker=0)


@pytest.mark.parametrize("number", ["2", 1.5, True, -1])
def test_a_number_of_workers_or_threads_is_a_positive_integer(number):
    with pytest.raises(InvalidValueError, match=r"num_workers is .*, expected a positive number"):
        ProcessEngine(number)
    with pytest.raises(InvalidValueError, match=r"threads_per_worker is .*, an integer"):
        ProcessEngine(1, threads_per_worker=number)


def test_engines_nest(engine):
    assert engine.map(calls.map_in_new_engine, [[1, 2], [3]]) == [[1, 4], [9]]
    assert engine.map(calls.die_in_new_engine, [[0, 1, 2]]) == [["done", "failed", "done"]]


def test_leaving_the_block_normally_waits():
    with ProcessEngine(1) as engine:
        handles = [engine.submit(calls.square, x) for x in range(3)]
    assert [handle.status for handle in handles] == [Status.DONE] * 3


def test_leaving_the_block_by_an_exception_cancels(tmp_path):
    with contextlib.suppress(KeyError), ProcessEngine(1) as engine:
        handle = engine.submit(calls.touch_and_sleep, str(tmp_path / "started"))
        process_id = int(read_when_there(tmp_path / "started"))
        raise KeyError
    assert handle.status is Status.CANCELLED
    assert is_gone(process_id)


def test_nothing_is_left_behind():
    descriptors = set(Path("/proc/self/fd").iterdir())
    with ProcessEngine(2) as engine:
        process_ids = engine.map(calls.process_id, range(4))
        engine.outcomes(functools.partial(calls.die_on, 1), range(3))
    assert all(is_gone(process_id) for process_id in process_ids)
    with pytest.raises(ChildProcessError):
        os.waitpid(process_ids[0], os.WNOHANG)
    assert set(Path("/proc/self/fd").iterdir()) == descriptors


def test_an_engine_that_is_dropped_ends_its_workers(tmp_path):
    engine = ProcessEngine(1)
    handle = engine.submit(calls.touch_and_sleep, str(tmp_path / "started"))
    process_id = int(read_when_there(tmp_path / "started"))
    del engine
    gc.collect()
    assert handle.outcome(PATIENCE_S).status is Status.CANCELLED
    wait_until(lambda: is_gone(process_id))


def test_a_worker_that_cannot_start_fails_every_item(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with ProcessEngine(1) as engine:
        ended = engine.outcomes(calls.square, range(3))
    assert [outcome.status for outcome in ended] == ["failed"] * 3
    assert "no worker process could be started" in str(ended[2].error)
    assert "num_workers=1" in ended[2].error.remedy


def test_a_worker_that_ends_before_it_is_ready_says_why(monkeypatch, tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho out of cheese >&2\nexit 9\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with ProcessEngine(1) as engine:
        (ended,) = engine.outcomes(calls.square, [1])
    assert "it ended with code 9: out of cheese" in str(ended.error)
