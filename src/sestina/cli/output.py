"""What people and programs see: tables and JSON on stdout, progress on stderr."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar

import click

from sestina.core.errors import OptionError
from sestina.core.text import table

__all__ = [
    "DrawnProgress",
    "drawn_progress",
    "json_option",
    "print_json",
    "print_listing",
    "print_table",
]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_VARIABLE = "SESTINA_PROGRESS"
_STYLES = ("bar", "plain", "off")
# Whatever takes less is over before a bar could be read.
_QUIET_S = 1.0
_BAR_INTERVAL_S = 0.1
_PLAIN_INTERVAL_S = 10.0
_BAR_WIDTH = 24
_SURROGATE = re.compile("[\ud800-\udfff]")


def print_table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> None:
    """Print aligned columns on stdout."""
    click.echo(table(rows, headers))


def print_json(value: object) -> None:
    r"""Print JSON on stdout; NaN and infinities, which JSON lacks, are null.

    Lone surrogates, which stand for bytes that are no UTF-8 and which UTF-8 lacks, are written as
    `\udcff`: the output is JSON whatever a file's name or a word is.
    """
    text = json.dumps(_jsonable(value), indent=2, ensure_ascii=False, allow_nan=False)
    click.echo(_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def print_listing(records: Sequence[Mapping[str, object]], *, as_json: bool) -> None:
    """Print records of the same keys: a table for people, or a JSON list for programs."""
    if as_json:
        print_json([dict(record) for record in records])
    elif records:
        print_table([list(record.values()) for record in records], list(records[0]))
    else:
        click.echo("none")


def json_option(command: Decorated) -> Decorated:
    """Adds `--json` to a command; it arrives as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(
        command
    )


@contextmanager
def drawn_progress(
    stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[DrawnProgress]:
    """A `Progress` that is drawn on stderr, from the second second on.

    A terminal gets a bar that redraws itself and vanishes at the end; anything else a line every
    ten seconds. The environment variable SESTINA_PROGRESS says otherwise: bar, plain or off.

    Args:
        stream: where to draw; None for stderr.
        clock: seconds that have passed since some moment.

    Raises:
        OptionError: if the environment variable is something else.
    """
    drawn = DrawnProgress(stream or sys.stderr, clock=clock)
    try:
        yield drawn
    finally:
        drawn.wipe()


class DrawnProgress:
    """The progress that `drawn_progress` gives; `wipe` it before printing something else."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._style = _chosen_style(stream)
        self._started_s = clock()
        self._label = ""
        self._label_s = self._started_s
        # In plain style the first line comes as late as the others.
        wait_s = _QUIET_S if self._style == "bar" else _PLAIN_INTERVAL_S
        self._next_s = self._started_s + wait_s
        self._has_drawn = False

    def __call__(self, done: int, total: int, label: str, /) -> None:
        """Draw how far it is, if it is time to."""
        now_s = self._clock()
        if label != self._label:
            self._label, self._label_s = label, now_s
        if self._style == "off" or now_s < self._next_s:
            return
        if self._style == "plain":
            self._next_s = now_s + _PLAIN_INTERVAL_S
            print(f"{label}: {_counts(done, total)}", file=self._stream, flush=True)
            return
        self._next_s = now_s + _BAR_INTERVAL_S
        self._has_drawn = True
        columns = shutil.get_terminal_size().columns
        line = f"{label} {_bar(done, total)} {_left(done, total, now_s - self._label_s)}"
        # Return to the first column, write, and erase what a longer line left behind.
        print(f"\r{line[: columns - 1]}\x1b[K", end="", file=self._stream, flush=True)

    def wipe(self) -> None:
        """Take the bar off the terminal; the next call draws it again."""
        if self._has_drawn:
            print("\r\x1b[K", end="", file=self._stream, flush=True)
            self._has_drawn = False


def _chosen_style(stream: TextIO) -> str:
    asked = os.environ.get(_VARIABLE, "")
    if not asked:
        return "bar" if stream.isatty() else "plain"
    if asked not in _STYLES:
        raise OptionError(
            _VARIABLE, asked, expected=f"one of {', '.join(_STYLES)}", remedy="unset it or set one"
        )
    return asked


def _counts(done: int, total: int) -> str:
    return f"{done} of {total}" if total else str(done)


def _bar(done: int, total: int) -> str:
    if not total:
        return str(done)
    filled = _BAR_WIDTH * done // total
    return "━" * filled + "╌" * (_BAR_WIDTH - filled) + f" {_counts(done, total)}"


def _left(done: int, total: int, taken_s: float) -> str:
    if not 0 < done < total:
        return ""
    left_s = round(taken_s * (total - done) / done)
    return f"about {left_s // 60}:{left_s % 60:02d} left"


def _jsonable(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _jsonable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(part) for part in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)
