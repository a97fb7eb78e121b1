"""The engine of worker processes: each a fresh interpreter in a process group of its own.

    caller ── submit ──▶ calls ──▶ a thread for each worker ── socket ──▶ worker process
                                   (starts, feeds and buries it)          (worker.py)

A thread stands for each worker, so that the steps of a worker's life can be read in order in
`_serve_call`. Processes share no locks, semaphores or memory: all that a killed worker can leave
behind is a closed socket.
"""

from __future__ import annotations

import logging
import pickle
import queue
import signal
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from numbers import Integral
from typing import Any, TypeVar

from sestina.core.engine.interface import (
    Engine,
    Handle,
    Outcome,
    Status,
    cancelled,
    closed,
    failed,
    in_words,
)
from sestina.core.engine.launch import WorkerProcess
from sestina.core.engine.replies import Reply, failure
from sestina.core.engine.worker import is_importing_main
from sestina.core.errors import CancelledError, InvalidValueError, NotFinishedError, WorkerError
from sestina.core.machine import usable_cores
from sestina.core.progress import Progress, silent

__all__ = ["ProcessEngine"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOG = logging.getLogger(__name__)


class ProcessEngine(Engine):
    """Runs calls in worker processes, which start when they are first needed and then stay.

    Functions, arguments and results cross by pickle: functions must be importable by name. A script
    that defines them itself must start its engine under `if __name__ == "__main__":`.

    Processes that a call leaves running are killed when its worker ends, unless they are in a
    process group of their own.

    Args:
        num_workers: how many processes, at most; None for one per core that may be used.
        threads_per_worker: what the numerical libraries in each may use; None divides the cores
            evenly. A script that loads such a library before its functions is not bound by it.

    Raises:
        InvalidValueError: if a number is no positive integer, or the main script lacks its guard.
    """

    def __init__(
        self, num_workers: int | None = None, *, threads_per_worker: int | None = None
    ) -> None:
        if is_importing_main():
            raise InvalidValueError(
                "the main script",
                sys.argv[0],
                expected="one that starts no engine when a worker imports it",
                remedy='put what it does under `if __name__ == "__main__":`',
            )
        self.num_workers = usable_cores() if num_workers is None else num_workers
        _check_positive("num_workers", self.num_workers)
        if threads_per_worker is None:
            threads_per_worker = max(1, usable_cores() // self.num_workers)
        _check_positive("threads_per_worker", threads_per_worker)
        self._threads_per_worker = threads_per_worker
        self._num_submitted = 0
        self._calls = _Calls()
        self._threads: list[threading.Thread] = []
        # An engine that is dropped without being closed, or still open when the program ends.
        self._finalizer = weakref.finalize(self, self._calls.close, cancel=True)

    def submit(self, function: Callable[..., Result], *args: Any) -> Handle[Result]:
        """Queue `function(*args)` for the next free worker."""
        self._num_submitted += 1
        return self._submit(_Call(self._num_submitted - 1, function, args, self._calls.changed))

    def outcomes(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        progress: Progress = silent,
        label: str = "items",
    ) -> list[Outcome[Result]]:
        """How the function ended on each item, in the order of the items."""
        ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        calls = [
            _Call(index, function, (item,), self._calls.changed, ended)
            for index, item in enumerate(items)
        ]
        try:
            for call in calls:
                self._submit(call)
            progress(0, len(calls), label)
            for done in range(1, len(calls) + 1):
                ended.get()
                progress(done, len(calls), label)
        except BaseException:
            for call in calls:
                call.cancel()
            raise
        return [call.outcome() for call in calls]

    def close(self, *, cancel: bool = False) -> None:
        """End the workers, after waiting for what was submitted, or at once with `cancel`."""
        self._calls.close(cancel=cancel)
        try:
            for thread in self._threads:
                thread.join()
        except BaseException:  # Ctrl-C while waiting
            self._calls.close(cancel=True)
            raise
        self._threads.clear()

    def _submit(self, call: _Call[Result]) -> _Call[Result]:
        with self._calls.changed:
            if self._calls.is_closed:
                raise closed(self)
            if self._calls.add(call) and len(self._threads) < self.num_workers:
                # The thread must not hold the engine, or a dropped one would never be finalised.
                thread = threading.Thread(
                    target=_serve_calls, args=(self._calls, self._threads_per_worker), daemon=True
                )
                self._threads.append(thread)
                thread.start()
        return call


class _Call(Handle[Result]):
    """A call on its way: waiting, with a worker, or ended."""

    def __init__(
        self,
        index: int,
        function: Callable[..., Result],
        args: tuple[Any, ...],
        changed: threading.Condition,
        ended: queue.SimpleQueue[int] | None = None,
    ) -> None:
        self.index = index
        self.is_cancelled = False
        self._work: tuple[Callable[..., Result], tuple[Any, ...]] | None = (function, args)
        self._changed = changed
        self._ended = ended
        self._worker: WorkerProcess | None = None
        self._outcome: Outcome[Result] | None = None

    @property
    def status(self) -> Status:
        with self._changed:
            if self._outcome is not None:
                return self._outcome.status
            return Status.PENDING if self._worker is None else Status.RUNNING

    @property
    def log(self) -> str:
        with self._changed:
            if self._outcome is not None:
                return self._outcome.log
            return "" if self._worker is None else self._worker.read_log()

    def cancel(self) -> bool:
        with self._changed:
            if self._outcome is not None:
                return False
            self.is_cancelled = True
            if self._worker is None:
                self.end()
            else:
                self._worker.kill()  # its thread notices, and ends the call
            return True

    def outcome(self, timeout_s: float | None = None) -> Outcome[Result]:
        with self._changed:
            if not self._changed.wait_for(lambda: self._outcome is not None, timeout_s):
                raise NotFinishedError(
                    f"item {self.index} has not ended after {timeout_s} s",
                    remedy="wait longer, or cancel it",
                )
            assert self._outcome is not None
            return self._outcome

    def begin(self, worker: WorkerProcess) -> bool:
        """Whether the worker shall run it; a cancelled one never starts."""
        with self._changed:
            if self._outcome is None and self.is_cancelled:
                self.end()
            if self._outcome is not None:
                return False
            self._worker = worker
            return True

    def payload(self) -> bytes:
        return pickle.dumps(self._work, protocol=5)

    def end(self, *, value: Result | None = None, error: WorkerError | None = None) -> None:
        """Note how it ended; a cancelled one ends as cancelled, whatever the worker says."""
        with self._changed:
            if self._outcome is not None:
                return
            reason: WorkerError | CancelledError | None = error
            if self.is_cancelled:
                value, reason = None, cancelled(self.index)
            log = "" if self._worker is None else self._worker.read_log()
            self._outcome = Outcome(index=self.index, value=value, error=reason, log=log)
            self._worker = self._work = None
            self._changed.notify_all()
        if self._ended is not None:
            self._ended.put(self.index)


class _Calls:
    """What the engine and the threads of its workers share."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.why_broken: str | None = None
        self._waiting: deque[_Call[Any]] = deque()
        self._unfinished: set[_Call[Any]] = set()
        self._num_idle = 0
        self.is_closed = False

    def add(self, call: _Call[Any]) -> bool:
        """Queue a call; whether there are more waiting than threads that are free."""
        with self.changed:
            self._waiting.append(call)
            self._unfinished.add(call)
            self.changed.notify_all()
            return len(self._waiting) > self._num_idle

    def take(self) -> _Call[Any] | None:
        """The next call, waiting for one; None when there will be none."""
        with self.changed:
            self._num_idle += 1
            self.changed.wait_for(lambda: self._waiting or self.is_closed)
            self._num_idle -= 1
            return self._waiting.popleft() if self._waiting else None

    def forget(self, call: _Call[Any]) -> None:
        with self.changed:
            self._unfinished.discard(call)

    def close(self, *, cancel: bool) -> None:
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()
            for call in list(self._unfinished) if cancel else []:
                call.cancel()


def _serve_calls(calls: _Calls, num_threads: int) -> None:
    """The thread of a worker: from the queue to the process, until the engine is closed."""
    worker: WorkerProcess | None = None
    while (call := calls.take()) is not None:
        try:
            worker = _serve_call(call, worker, calls, num_threads)
        except BaseException as error:  # noqa: BLE001 - or whoever waits for the call waits for ever
            call.end(error=failed(call.index, error))
            if worker is not None:
                worker.kill()
                worker.bury()
            worker = None
        calls.forget(call)
    if worker is not None:
        worker.bury()


def _serve_call(
    call: _Call[Any], worker: WorkerProcess | None, calls: _Calls, num_threads: int
) -> WorkerProcess | None:
    """Run one call; gives the worker for the next one, or None if a new one must be started."""
    is_fresh = worker is None
    worker = worker or _start(calls, num_threads)
    if worker is None:
        call.end(error=_not_started(call.index, calls))
        return None
    if not call.begin(worker):
        return worker
    try:
        payload = call.payload()
    except BaseException as error:  # noqa: BLE001 - pickling runs code of the item's class
        call.end(error=_not_sent(call.index, error))
        return worker
    if _run(call, worker, payload):
        return worker
    code = worker.bury()
    if worker.has_begun_call or is_fresh or call.is_cancelled:
        call.end(error=_died(call.index, code))
        return None
    # It died while it was idle, which is not this item's doing.
    _LOG.info("an idle worker process ended with code %d; starting another", code)
    return _serve_call(call, None, calls, num_threads)


def _run(call: _Call[Any], worker: WorkerProcess, payload: bytes) -> bool:
    """Whether the worker is still good after running the call."""
    try:
        reply, value = worker.call(payload)
    except (EOFError, OSError):
        return False
    except BaseException as error:  # noqa: BLE001 - too little memory for the result, for one
        call.end(error=failed(call.index, error))
        worker.kill()  # for the rest of the reply is still in the socket
        return False
    _end(call, reply, value)
    if call.is_cancelled:
        worker.kill()  # cancelled too late for the call to be stopped: it is dying already
    return not call.is_cancelled


def _start(calls: _Calls, num_threads: int) -> WorkerProcess | None:
    """A worker that takes calls; or None, for good: what keeps one from starting keeps all."""
    if calls.why_broken is not None:
        return None
    try:
        worker = WorkerProcess(num_threads=num_threads)
    except OSError as error:
        calls.why_broken = str(error)
        return None
    try:
        worker.await_ready()
    except (EOFError, OSError):
        lines = worker.read_log().strip().splitlines()
        code = worker.bury()
        calls.why_broken = f"it ended with code {code}: {lines[-1] if lines else 'no output'}"
        return None
    return worker


def _end(call: _Call[Any], reply: Reply, value: bytes) -> None:
    if reply.has_value:
        try:
            call.end(value=pickle.loads(value))  # noqa: S301 - from our own worker
        except BaseException as error:  # noqa: BLE001 - unpickling runs code of the result's class
            call.end(error=failed(call.index, error))
        return
    call.end(error=failure(call.index, reply))


def _died(index: int, code: int) -> WorkerError:
    if code >= 0:
        return WorkerError(
            index,
            f"its worker process ended with exit code {code}",
            remedy="see the log of this item, or leave it out",
        )
    known = {known.value: known.name for known in signal.Signals}
    reason = f"its worker process was killed by {known.get(-code, 'a signal')}"
    remedy = "see the log of this item, or leave it out"
    if -code == signal.SIGKILL:
        remedy = "if the machine ran out of memory, use fewer workers or smaller items"
    return WorkerError(index, reason, signal=-code, remedy=remedy)


def _not_sent(index: int, error: BaseException) -> WorkerError:
    made = WorkerError(
        index,
        f"it cannot be sent to a worker process: {in_words(error)}",
        remedy="use functions defined at the top of a module, and items that can be pickled",
    )
    made.__cause__ = error
    return made


def _not_started(index: int, calls: _Calls) -> WorkerError:
    return WorkerError(
        index,
        f"no worker process could be started: {calls.why_broken}",
        remedy="check memory and process limits, or work without processes (num_workers=1)",
    )


def _check_positive(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise InvalidValueError(
            name, value, expected="a positive number, an integer", remedy="pass 1 or more"
        )
