"""The engine without workers: everything happens in the caller's thread, at once."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TypeVar

from sestina.core.engine.interface import Engine, Handle, Outcome, Status, closed, failed
from sestina.core.progress import Progress, silent

__all__ = ["SerialEngine"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_KEPT_CHARACTERS = 1 << 20


class SerialEngine(Engine):
    """Runs each call when it is submitted, one after the other.

    What a function prints and logs is kept in its outcome's log, as with worker processes; a
    logger's level decides which records there are. As this redirects the standard streams, an
    engine is for one thread.

    Example:
        >>> with SerialEngine() as engine:
        ...     ended = engine.outcomes(int, ["1", "two"])
        >>> ended[0].value, str(ended[1].error).partition(";")[0]
        (1, "item 1 failed: ValueError: invalid literal for int() with base 10: 'two'")
    """

    num_workers = 1

    def __init__(self) -> None:
        self._is_closed = False
        self._num_submitted = 0

    def submit(self, function: Callable[..., Result], *args: Any) -> Handle[Result]:
        """Run `function(*args)` now; the handle has ended when it is given."""
        self._check_open()
        self._num_submitted += 1
        return _EndedHandle(_run(self._num_submitted - 1, function, args))

    def outcomes(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        progress: Progress = silent,
        label: str = "items",
    ) -> list[Outcome[Result]]:
        """How the function ended on each item, in the order of the items."""
        self._check_open()
        listed = list(items)
        ended: list[Outcome[Result]] = []
        progress(0, len(listed), label)
        for index, item in enumerate(listed):
            ended.append(_run(index, function, (item,)))
            progress(index + 1, len(listed), label)
        return ended

    def close(self, *, cancel: bool = False) -> None:  # noqa: ARG002 - nothing is ever running
        """Take no more calls."""
        self._is_closed = True

    def _check_open(self) -> None:
        if self._is_closed:
            raise closed(self)


class _EndedHandle(Handle[Result]):
    def __init__(self, outcome: Outcome[Result]) -> None:
        self._outcome = outcome

    @property
    def status(self) -> Status:
        return self._outcome.status

    @property
    def log(self) -> str:
        return self._outcome.log

    def cancel(self) -> bool:
        return False

    def outcome(self, timeout_s: float | None = None) -> Outcome[Result]:  # noqa: ARG002 - ended
        return self._outcome


def _run(index: int, function: Callable[..., Result], args: tuple[Any, ...]) -> Outcome[Result]:
    log = io.StringIO()
    try:
        with _captured(log):
            value = function(*args)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an item may raise whatever it likes
        return Outcome(index=index, error=failed(index, error), log=_end_of(log))
    return Outcome(index=index, value=value, log=_end_of(log))


def _end_of(log: io.StringIO) -> str:
    return log.getvalue()[-_KEPT_CHARACTERS:]


@contextmanager
def _captured(log: io.StringIO) -> Iterator[None]:
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with redirect_stdout(log), redirect_stderr(log):
            yield
    finally:
        root.removeHandler(handler)
