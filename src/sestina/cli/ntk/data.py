"""Reading the data that commands learn from: a CSV file, or a set shipped with scikit-learn."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from sestina.core.errors import FileFormatError
from sestina.ntk.datasets import Table, Task, load_table, read_table

__all__ = ["DataOptions", "Sample", "print_data", "read_data", "sample"]

# What the functions call their arguments, and what the command line calls them.
_AS_OPTIONS = (
    (re.compile(r"drop=\[(?:'([^']*)'|\"([^\"]*)\"|(\d+))\]"), r"--drop '\1\2\3'"),
    (re.compile(r"delimiter='(.)'"), r"--delimiter '\1'"),
    (re.compile(r"delimiter="), "--delimiter"),
    (re.compile(r"task='(\w+)'"), r"--task \1"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions:
    """Which data."""

    target_column: str | None = None
    """The column to predict, by its name in the header; default is the last one."""
    drop: tuple[str, ...] = ()
    """Columns to leave out, such as row numbers and names."""
    task: Task | None = None
    """What to predict; default is classes for text and for few whole numbers, else numbers."""
    delimiter: str | None = None
    """The character between fields; found out by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Rows of a table as a kernel sees them."""

    features: NDArray[np.float64]
    """(n, d), each column with mean 0 and variance 1."""
    outputs: NDArray[np.float64]
    """(n, o), one-hot for classes; each column with mean 0."""


def read_data(source: str, options: DataOptions) -> Table:
    """The table that DATA names.

    Raises:
        SestinaError: as `load_table` and `read_table`, with remedies that name options.
    """
    try:
        if Path(source).is_file():
            return read_table(
                source,
                options.target_column,
                task=options.task,
                delimiter=options.delimiter,
                drop=options.drop,
            )
        return load_table(source, options.target_column, task=options.task)
    except FileFormatError as error:
        remedy = error.remedy
        for pattern, option in _AS_OPTIONS:
            remedy = pattern.sub(option, remedy)
        raise FileFormatError(error.path, error.reason, line=error.line, remedy=remedy) from error


def sample(table: Table, *, rows: int, seed: int) -> Sample:
    """Rows of a table, all or so many of them drawn at random, as a kernel sees them."""
    chosen = np.arange(len(table.targets))
    if len(chosen) > rows:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, rows, replace=False))
    outputs = table.outputs[chosen]
    mean = (outputs / len(chosen)).sum(0)  # a sum of numbers near 1e308 would overflow
    return Sample(features=table.standardised[chosen], outputs=outputs - mean)


def print_data(source: str, table: Table, num_used: int) -> None:
    """Say what was read, for people."""
    used = "" if num_used == len(table.targets) else f" ({num_used} of them used)"
    what = f"{len(table.classes)} classes" if table.classes else "a number"
    click.echo(
        f"{source}: {len(table.targets)} rows{used}, {table.features.shape[1]} columns, "
        f"predicting {table.target_name!r}, {what}"
    )
