"""Progress is a callback: rooms call it, and only the command line draws it.

A function that may take more than a second accepts `progress: Progress = silent` and calls it
from the caller's thread, first with `done=0`, then as work is finished. An exception raised by the
callback stops the work: this is how a caller cancels it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

__all__ = ["Progress", "silent", "tracked"]

Item = TypeVar("Item")


class Progress(Protocol):
    """Receives how far the work is.

    Called positionally: `progress(done, total, label)`, `0 <= done <= total`; a `total` of 0 means
    that it is not known. `label` says what is being done, in a few words, for people.
    """

    def __call__(self, done: int, total: int, label: str, /) -> None:
        """Take note of it."""


def silent(done: int, total: int, label: str, /) -> None:
    """The progress that nobody sees: the default of every `progress` argument."""


def tracked(items: Sequence[Item], progress: Progress, label: str) -> Iterator[Item]:
    """The items, one after the other, with progress told before the first and after each.

    Example:
        >>> steps = []
        >>> for word in tracked(["a", "b"], lambda done, total, label: steps.append(done), "words"):
        ...     pass
        >>> steps
        [0, 1, 2]
    """
    total = len(items)
    progress(0, total, label)
    for done, item in enumerate(items, start=1):
        yield item
        progress(done, total, label)
