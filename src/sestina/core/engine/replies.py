"""How a call ended elsewhere, in a form that crosses between processes whatever it raised."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sestina.core.engine.interface import failed, in_words
from sestina.core.errors import WorkerError

__all__ = ["Reply", "answer", "failure"]

Result = TypeVar("Result")

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """How a call ended, in a form that can always be pickled."""

    has_value: bool = False
    """It returned; its result crosses beside this."""
    error: bytes | None = None
    """The pickled exception; None if there is none or it can't be pickled."""
    reason: str = ""
    """The exception in words."""
    traceback: str = ""


def answer(work: Callable[[], Result]) -> tuple[Reply, Result | None]:
    """How that work ended, and its result if it has one. On the side of the worker."""
    try:
        value = work()
    except BaseException as error:  # noqa: BLE001 - a call may raise whatever it likes
        reply = Reply(
            error=_pickled(error),
            reason=in_words(error),
            traceback="".join(traceback.format_exception(error)),
        )
        return reply, None
    return Reply(has_value=True), value


def failure(index: int, reply: Reply) -> WorkerError:
    """The error of an item that has no value. On the side of the caller."""
    made = WorkerError(index, reply.reason, remedy="see the log of this item, or leave it out")
    if reply.error is not None:
        try:
            made = failed(index, pickle.loads(reply.error))  # noqa: S301 - from our own worker
        except BaseException as error:  # noqa: BLE001 - unpickling runs code of its class
            _LOG.info("item %d: its exception can't be read here: %s", index, in_words(error))
    made.add_note(reply.traceback)
    return made


def _pickled(error: BaseException) -> bytes | None:
    try:
        data = pickle.dumps(error, protocol=5)
        # Exceptions with a constructor of their own often pickle but don't unpickle.
        pickle.loads(data)  # noqa: S301 - our own bytes
    except BaseException:  # noqa: BLE001 - pickling runs code of the exception's class
        return None
    return data
