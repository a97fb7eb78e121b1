"""The engine of a Ray cluster: each call is a task, and Ray decides where it runs.

    caller ── a task for each call ──▶ Ray ──▶ worker process ── its answer ──▶ caller
                                                     └─ lines of its log ──▶ an actor ──▶ caller

Ray keeps the workers, so that what a call has loaded is there for the next one. What a call prints
and logs goes to an actor line by line, for it to outlive the worker.
"""

from __future__ import annotations

import io
import itertools
import logging
import pickle
import threading
import weakref
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO, TypeVar, cast

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
from sestina.core.engine.replies import Reply, answer, failure
from sestina.core.errors import CancelledError, InvalidValueError, NotFinishedError, WorkerError
from sestina.core.extras import import_extra
from sestina.core.log import logging_to
from sestina.core.progress import Progress, silent

__all__ = ["RayEngine"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_KEPT_CHARACTERS = 1 << 20
_WATCHED = 256  # Ray looks at each one that it is to wait for
_SECONDS_TO_DIE = 10.0  # a worker whose machine is lost is not waited for


class RayEngine(Engine):
    """Runs calls as tasks of a Ray cluster, each on as many cores as asked for.

    Functions, arguments and results cross by pickle; what is defined in the main script may be
    among them. Each machine of the cluster needs the same versions of Python, sestina and Ray. A
    task is never run twice: if its machine is lost its item fails.

    Args:
        address: of the cluster; None for the one that the program is connected to already, else
            that of `$RAY_ADDRESS`, else one that is started on this machine and ended at the end.
        cores_per_call: what a call takes of its machine's cores.

    Raises:
        MissingExtraError: if Ray is not installed.
        InvalidValueError: if `cores_per_call` is not above 0, or the program is connected to
            another cluster.
        ConnectionError: if there is no cluster at the address.

    Example:
        >>> with RayEngine("auto") as engine:  # doctest: +SKIP
        ...     engine.map(abs, [-1, 2, -3])
        [1, 2, 3]
    """

    def __init__(self, address: str | None = None, *, cores_per_call: float = 1) -> None:
        if cores_per_call <= 0:
            raise InvalidValueError(
                "cores_per_call", cores_per_call, expected="above 0", remedy="pass 1 or more"
            )
        self._is_own = not _ray().is_initialized()
        if self._is_own:
            _ray().init(address, log_to_driver=False, logging_level=logging.WARNING)
        elif address not in {None, "auto", _ray().get_runtime_context().gcs_address}:
            raise InvalidValueError(
                "address",
                address,
                expected=f"{_ray().get_runtime_context().gcs_address}, as the program is connected",
                remedy="close the engine of the other cluster first, or call ray.shutdown()",
            )
        self.num_workers = max(1, int(_ray().cluster_resources().get("CPU", 1) / cores_per_call))
        self._logs = _ray().remote(num_cpus=0)(_Logs).remote()
        self._task = _ray().remote(num_cpus=cores_per_call, max_retries=0)(_run)
        self._keys = itertools.count()
        self._num_submitted = 0
        self._is_closed = False
        self._unfinished: set[_RayHandle[Any]] = set()
        # An engine that is dropped without being closed.
        self._finalizer = weakref.finalize(self, _cancel_all, self._unfinished)

    def submit(self, function: Callable[..., Result], *args: Any) -> Handle[Result]:
        """Give `function(*args)` to the cluster."""
        self._num_submitted += 1
        return self._submit(self._num_submitted - 1, function, args)

    def outcomes(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        progress: Progress = silent,
        label: str = "items",
    ) -> list[Outcome[Result]]:
        """How the function ended on each item, in the order of the items."""
        handles: list[_RayHandle[Result]] = []
        try:
            for index, item in enumerate(items):
                handles.append(self._submit(index, function, (item,)))
            progress(0, len(handles), label)
            waiting = {handle.task: handle for handle in handles if handle.task is not None}
            done = len(handles) - len(waiting)
            for task in _as_they_end(waiting):
                waiting[task].outcome()
                done += 1
                progress(done, len(handles), label)
        except BaseException:
            _cancel_all(handles)  # those that there are
            raise
        return [handle.outcome() for handle in handles]

    def close(self, *, cancel: bool = False) -> None:
        """Wait for what was submitted, or cancel it, and leave a cluster that this one entered."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if cancel:
                _cancel_all(self._unfinished)
            for handle in list(self._unfinished):
                handle.outcome()
        except BaseException:  # Ctrl-C while waiting
            _cancel_all(self._unfinished)
            raise
        finally:
            _ray().kill(self._logs)
            if self._is_own:
                _ray().shutdown()

    def _submit(
        self, index: int, function: Callable[..., Result], args: tuple[Any, ...]
    ) -> _RayHandle[Result]:
        if self._is_closed:
            raise closed(self)
        handle: _RayHandle[Result] = _RayHandle(
            index, next(self._keys), self._logs, self._unfinished
        )
        try:
            payload = _ray().cloudpickle.dumps((function, args), protocol=5)
        except BaseException as error:  # noqa: BLE001 - pickling runs code of the item's class
            handle.end(error=_not_sent(index, error))
        else:
            handle.begin(self._task.remote(payload, handle.key, self._logs))
        return handle


class _RayHandle(Handle[Result]):
    """A task. `key` names it to the actor of the logs."""

    def __init__(self, index: int, key: int, logs: Any, unfinished: set[_RayHandle[Any]]) -> None:
        self.key = key
        self.task: Any = None
        self._index = index
        self._logs = logs
        self._unfinished = unfinished
        self._lock = threading.RLock()
        self._is_cancelled = False
        self._outcome: Outcome[Result] | None = None

    @property
    def status(self) -> Status:
        if self._has_ended():
            return self.outcome().status
        return Status.PENDING if self._read_log() is None else Status.RUNNING

    @property
    def log(self) -> str:
        return self.outcome().log if self._has_ended() else self._read_log() or ""

    def cancel(self) -> bool:
        is_cancelled = self.ask_to_end()
        _await_the_end([self.task])
        return is_cancelled

    def ask_to_end(self) -> bool:
        """Cancel it without waiting until it has ended."""
        with self._lock:
            if self._has_ended():
                self.outcome()  # or it would count as cancelled below
                return self._is_cancelled
            self._is_cancelled = True
            _ray().cancel(self.task, force=True)
            return True

    def outcome(self, timeout_s: float | None = None) -> Outcome[Result]:
        task = self.task
        if task is not None and not _ray().wait([task], timeout=timeout_s)[0]:
            raise NotFinishedError(
                f"item {self._index} has not ended after {timeout_s} s",
                remedy="wait longer, or cancel it",
            )
        with self._lock:
            if self._outcome is None:
                self._fetch()
        assert self._outcome is not None
        return self._outcome

    def begin(self, task: Any) -> None:
        """Note that Ray has it."""
        self.task = task
        self._unfinished.add(self)

    def end(
        self,
        *,
        value: Result | None = None,
        error: WorkerError | None = None,
        log: str = "",
    ) -> None:
        """Note how it ended; a cancelled one ends as cancelled, whatever the worker says."""
        reason: WorkerError | CancelledError | None = error
        if self._is_cancelled:
            value, reason = None, cancelled(self._index)
        self._outcome = Outcome(index=self._index, value=value, error=reason, log=log)
        self.task = None  # lets Ray forget the result
        self._unfinished.discard(self)

    def _has_ended(self) -> bool:
        task = self.task
        return task is None or bool(_ray().wait([task], timeout=0)[0])

    def _fetch(self) -> None:
        try:
            reply, value, log = _ray().get(self.task)
        except _ray().exceptions.RayError as error:
            self.end(error=_lost(self._index, error), log=self._read_log() or "")
            return
        finally:
            self._logs.forget.remote(self.key)
        self._note(reply, value, log)

    def _note(self, reply: Reply, value: bytes | None, log: str) -> None:
        if not reply.has_value or value is None:
            self.end(error=failure(self._index, reply), log=log)
            return
        try:
            self.end(value=pickle.loads(value), log=log)  # noqa: S301 - from our own task
        except BaseException as error:  # noqa: BLE001 - unpickling runs code of the result's class
            self.end(error=failed(self._index, error), log=log)

    def _read_log(self) -> str | None:
        """What it has printed and logged; None if it has not begun."""
        text: str | None = None
        with suppress(_ray().exceptions.RayError):  # the engine was closed
            text = _ray().get(self._logs.read.remote(self.key))
        return text


class _Logs:
    """The actor that has the logs of what is running."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}

    def add(self, key: int, text: str) -> None:
        self._texts[key] = (self._texts.get(key, "") + text)[-_KEPT_CHARACTERS:]

    def read(self, key: int) -> str | None:
        return self._texts.get(key)

    def forget(self, key: int) -> None:
        self._texts.pop(key, None)


class _LogStream(io.TextIOBase):
    """Brings each line to the actor before the call goes on, for the next one may be its last."""

    def __init__(self, key: int, logs: Any) -> None:
        self.text = ""
        self._key = key
        self._logs = logs
        self._line = ""
        self._add("")  # it has begun

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        self.text = (self.text + text)[-_KEPT_CHARACTERS:]
        self._line += text
        if "\n" in text:
            self._add(self._line)
            self._line = ""
        return len(text)

    def _add(self, text: str) -> None:
        # Not ray.get, which would give this call's core to another one while it waits.
        with suppress(_ray().exceptions.RayError):  # nobody wants to know any more
            self._logs.add.remote(self._key, text).future().result()


def _run(payload: bytes, key: int, logs: Any) -> tuple[Reply, bytes | None, str]:
    """The task."""
    log = _LogStream(key, logs)

    def work() -> bytes:
        function, args = pickle.loads(payload)  # noqa: S301 - what our own caller sent
        value: bytes = _ray().cloudpickle.dumps(function(*args), protocol=5)
        return value

    with redirect_stdout(log), redirect_stderr(log), logging_to(cast("TextIO", log), logging.INFO):
        reply, value = answer(work)
    return reply, value, log.text


def _ray() -> Any:
    return import_extra("ray", extra="ray")


def _as_they_end(tasks: Iterable[Any]) -> Iterable[Any]:
    """The tasks, each when it has ended, in no order."""
    rest = list(tasks)
    while rest:
        ended, going_on = _ray().wait(rest[:_WATCHED], num_returns=1)
        yield from ended
        rest = going_on + rest[_WATCHED:]


def _cancel_all(handles: Iterable[_RayHandle[Any]]) -> None:
    if _ray().is_initialized():  # at the end of the program it may be gone
        _await_the_end([handle.task for handle in list(handles) if handle.ask_to_end()])


def _await_the_end(tasks: Iterable[Any]) -> None:
    """Wait for cancelled tasks.

    Ray gives a worker that it is about to kill the next task, which dies with it.
    """
    going_on = [task for task in tasks if task is not None]
    if going_on:
        _ray().wait(going_on, num_returns=len(going_on), timeout=_SECONDS_TO_DIE)


def _lost(index: int, error: Exception) -> WorkerError:
    """The error of an item that has no answer."""
    if isinstance(error, _ray().exceptions.OutOfMemoryError):
        remedy = "use fewer or smaller items at once, or machines with more memory"
    else:
        remedy = "see the log of this item, or leave it out"
    first = str(error).strip().splitlines()[0] if str(error).strip() else ""
    made = WorkerError(
        index, f"its worker process died: {type(error).__name__}: {first}", remedy=remedy
    )
    made.__cause__ = error
    return made


def _not_sent(index: int, error: BaseException) -> WorkerError:
    made = WorkerError(
        index,
        f"it cannot be sent to the cluster: {in_words(error)}",
        remedy="use functions and items that can be pickled",
    )
    made.__cause__ = error
    return made
