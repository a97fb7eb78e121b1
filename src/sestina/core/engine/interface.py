"""What every engine offers.

An item that fails never takes another with it: the rest finish, and the failure is a `WorkerError`
with the item's index. Its `__cause__` is the exception that the function raised, where that could
be brought here; the process that died, where it was that, is told by `signal` and `reason`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from sestina.core.errors import CancelledError, InvalidValueError, SestinaError, WorkerError
from sestina.core.progress import Progress, silent

__all__ = ["Engine", "Handle", "Outcome", "Status", "cancelled", "closed", "failed", "in_words"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Status(StrEnum):
    """Where a piece of work stands."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[Result]):
    """How one item ended."""

    index: int
    """The item's place in the input, from 0."""
    value: Result | None = None
    """What the function returned, if it did."""
    error: WorkerError | CancelledError | None = None
    """Why it did not."""
    log: str = ""
    """What the function logged and printed; the last mebibyte of it."""

    @property
    def status(self) -> Status:
        """DONE, FAILED or CANCELLED."""
        if self.error is None:
            return Status.DONE
        return Status.CANCELLED if isinstance(self.error, CancelledError) else Status.FAILED

    def get(self) -> Result:
        """What the function returned.

        Raises:
            WorkerError: if it failed, or its process died.
            CancelledError: if it was cancelled.
        """
        if self.error is not None:
            raise self.error
        return cast("Result", self.value)  # None only where the function returned None


class Handle(ABC, Generic[Result]):
    """One call that was submitted to an engine."""

    @property
    @abstractmethod
    def status(self) -> Status:
        """Where it stands now."""

    @property
    @abstractmethod
    def log(self) -> str:
        """What the function has logged and printed up to now; the last mebibyte of it."""

    @abstractmethod
    def cancel(self) -> bool:
        """Stop it: a pending call never starts, the process of a running one is killed.

        Returns:
            Whether it will end as cancelled; False if it had ended already.
        """

    @abstractmethod
    def outcome(self, timeout_s: float | None = None) -> Outcome[Result]:
        """How it ended, waiting for the end.

        Raises:
            NotFinishedError: if it has not ended after `timeout_s` seconds; it runs on.
        """

    def result(self, timeout_s: float | None = None) -> Result:
        """What the function returned, waiting for the end.

        Raises:
            WorkerError: if it failed, or its process died.
            CancelledError: if it was cancelled.
            NotFinishedError: if it has not ended after `timeout_s` seconds; it runs on.
        """
        return self.outcome(timeout_s).get()


class Engine(ABC):
    """Runs functions over items. A context manager: leaving the block ends what it holds.

    Leaving normally waits for calls that were submitted; leaving by an exception, Ctrl-C among
    them, cancels them.
    """

    num_workers: int
    """How many calls run at once, at most."""

    @abstractmethod
    def submit(self, function: Callable[..., Result], *args: Any) -> Handle[Result]:
        """Start `function(*args)`, and give a handle to it.

        Raises:
            InvalidValueError: if the engine is closed.
        """

    @abstractmethod
    def outcomes(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        progress: Progress = silent,
        label: str = "items",
    ) -> list[Outcome[Result]]:
        """How the function ended on each item, in the order of the items.

        Failures are among them, not raised. Ctrl-C, and any exception that `progress` raises,
        cancel what is not finished and pass through.

        Raises:
            InvalidValueError: if the engine is closed.
        """

    @abstractmethod
    def close(self, *, cancel: bool = False) -> None:
        """End the workers, after waiting for what was submitted, or at once with `cancel`."""

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        progress: Progress = silent,
        label: str = "items",
    ) -> list[Result]:
        """What the function returns for each item, in the order of the items.

        Args:
            function: for worker processes it must be importable by name; so must what it returns.
            items: what it is called with, one by one.
            progress: told how many items are finished, from the caller's thread.
            label: what progress calls them.

        Raises:
            WorkerError: the failure of the lowest index, once all the others have ended. Use
                `outcomes` to have the results of the others.
            InvalidValueError: if the engine is closed.
        """
        ended = self.outcomes(function, items, progress=progress, label=label)
        failures = [outcome for outcome in ended if outcome.error is not None]
        if len(failures) > 1 and failures[0].error is not None:
            others = ", ".join(str(outcome.index) for outcome in failures[1:9])
            failures[0].error.add_note(
                f"{len(failures)} of {len(ended)} items failed, also: {others}"
                + ("" if len(failures) <= 9 else ", …")
            )
        return [outcome.get() for outcome in ended]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(cancel=kind is not None)


def failed(index: int, error: BaseException) -> WorkerError:
    """The failure of an item whose function raised `error`."""
    if isinstance(error, SestinaError):
        reason, remedy = error.problem, error.remedy
        reason = f"{type(error).__name__}: {reason}"
    else:
        reason, remedy = in_words(error), "see the log and __cause__ of this item, or leave it out"
    failure = WorkerError(index, reason, remedy=remedy)
    failure.__cause__ = error
    return failure


def in_words(error: BaseException) -> str:
    """The exception's class and text, also where its own code fails to tell the text."""
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    except BaseException as second:  # noqa: BLE001 - __str__ may raise whatever it likes
        return f"{name} (whose text can't be had: its __str__ raised {type(second).__name__})"


def cancelled(index: int) -> CancelledError:
    """The error of an item that was cancelled."""
    return CancelledError(
        f"item {index} was cancelled", remedy="run it again if it is still needed"
    )


def closed(engine: Engine) -> InvalidValueError:
    """The error of calling an engine that was closed."""
    return InvalidValueError(
        "engine", engine, expected="one that is not closed", remedy="use it within its `with` block"
    )
