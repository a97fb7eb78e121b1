"""Tables of numbers to learn from: CSV files, checked line by line, and the sets of scikit-learn.

A table has features, all of them numbers, and one target, a number or a class. Nothing is guessed
about damaged data: text among the features, missing values and ragged lines are errors that name
the file, the line and the column.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets as shipped

from sestina.core.errors import FileFormatError, InvalidValueError, UnknownNameError
from sestina.core.registry import nearest_name
from sestina.ntk.standardisation import Standardisation

__all__ = ["SHIPPED", "Table", "Task", "load_table", "read_table", "shipped_table"]

Task: TypeAlias = Literal["regression", "classification"]

SHIPPED = ("breast_cancer", "diabetes", "digits", "iris", "wine")
"""The names of the data sets that come with scikit-learn."""

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}
_SNIFFED_LINES = 20
_MISSING = {"", "?", "na", "n/a", "nan", "null"}
_MISSING_NUMBER = _MISSING | {"none", "-", "."}  # as labels these may mean what they say
# A target of whole numbers with at most this many values, each seen twice on average, is a class.
_MOST_CLASSES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Features and targets of one task.

    Example:
        >>> table = shipped_table("iris")
        >>> table.features.shape, table.task, table.outputs.shape
        ((150, 4), 'classification', (150, 3))
    """

    features: NDArray[np.float64]
    """(n, d)."""
    targets: NDArray[np.float64]
    """(n,): numbers, or for classification the indices into `classes`."""
    names: tuple[str, ...]
    """(d,): of the features."""
    target_name: str
    task: Task
    classes: tuple[str, ...] = ()
    """The labels of a classification, sorted; empty for regression."""

    @property
    def outputs(self) -> NDArray[np.float64]:
        """What a network is trained on: (n, classes) one-hot, or (n, 1)."""
        if self.task == "regression":
            return self.targets[:, None]
        one_hot: NDArray[np.float64] = np.eye(len(self.classes))[self.targets.astype(np.int64)]
        return one_hot

    @property
    def standardised(self) -> NDArray[np.float64]:
        """The features with mean 0 and variance 1 each; a constant one becomes 0.

        Raises:
            InvalidValueError: if every feature is constant.
        """
        return self.standardisation(self.features)

    @property
    def standardisation(self) -> Standardisation:
        """What makes `standardised` of the features, for new rows.

        Raises:
            InvalidValueError: if every feature is constant.
        """
        found = Standardisation.of(self.features)
        if not found.scale_d.any():
            raise InvalidValueError(
                "features",
                f"constant in each of {len(self.names)} columns: no feature varies",
                expected="at least one feature that differs between rows",
                remedy="add a feature that varies, or check which columns were dropped",
            )
        return found


def load_table(
    source: str | Path, target: str | int | None = None, *, task: Task | None = None
) -> Table:
    """A table by the name of a shipped set, or from a CSV file.

    Args:
        source: one of `SHIPPED`, or a path.
        target: the target's column, as in `read_table`; a shipped set has its own.
        task: as in `read_table`.

    Raises:
        UnknownNameError: if there is no such file or set.
        FileFormatError: if the file cannot be used.
    """
    path = Path(source)
    if path.is_file():
        return read_table(path, target, task=task)
    if str(source) in SHIPPED:
        if target is not None:
            raise InvalidValueError(
                "target",
                target,
                expected=f"None, since {source} has its own",
                remedy="leave it out, or pass a CSV file",
            )
        return shipped_table(str(source))
    nearest = nearest_name(str(source), SHIPPED)
    raise UnknownNameError(
        "source",
        str(source),
        expected=f"a CSV file or one of {', '.join(SHIPPED)}",
        remedy=f"did you mean {nearest!r}?" if nearest else "check the path",
    )


def shipped_table(name: str) -> Table:
    """One of the data sets that come with scikit-learn.

    Raises:
        UnknownNameError: if the name is not in `SHIPPED`.

    Example:
        >>> shipped_table("diabetes").names[:3]
        ('age', 'sex', 'bmi')
    """
    if name not in SHIPPED:
        nearest = nearest_name(name, SHIPPED)
        raise UnknownNameError(
            "name",
            name,
            expected=f"one of {', '.join(SHIPPED)}",
            remedy=f"did you mean {nearest!r}?" if nearest else "pass one of them",
        )
    bunch = getattr(shipped, f"load_{name}")()
    labels = () if name == "diabetes" else tuple(str(label) for label in bunch.target_names)
    return Table(
        features=np.asarray(bunch.data, dtype=np.float64),
        targets=np.asarray(bunch.target, dtype=np.float64),
        names=tuple(str(each) for each in bunch.feature_names),
        target_name="target",
        task="classification" if labels else "regression",
        classes=labels,
    )


def read_table(
    path: str | Path,
    target: str | int | None = None,
    *,
    task: Task | None = None,
    delimiter: str | None = None,
    drop: Sequence[str | int] = (),
) -> Table:
    """The table in a CSV file, UTF-8 with or without a byte-order mark.

    The first line is a header if one of its fields is no number; else columns are named column_1,
    column_2 and so on. Delimiters are found out among comma, semicolon, tab, bar and spaces.

    Args:
        path: the file.
        target: the target's column, by name or by number from 0 (negative ones from the right);
            default is the last.
        task: default is classification if the target is text, or whole numbers of at most 20
            different values that each occur twice on average.
        delimiter: the one character between fields, if it must not be found out.
        drop: columns to leave out, by name or number.

    Raises:
        FileFormatError: if the file is empty, not text, ragged, has columns of one name, text or
            missing values where numbers belong, or a target with one value only.
        InvalidValueError: if a column that was asked for does not exist.
        FileNotFoundError: if there is no such file.
    """
    path = Path(path)
    rows = _rows(path, delimiter)
    header, rows = _split_header(path, rows)
    dropped = {_column(header, each, "drop") for each in drop}
    unnamed = [i for i, name in enumerate(header) if not name and i not in dropped]
    if unnamed:
        raise FileFormatError(
            path,
            f"column {unnamed[0] + 1} has no name, expected a name for each of {len(header)}",
            line=1,
            remedy=f"name it, or pass drop=[{unnamed[0]}] if it numbers the rows",
        )
    kept = [i for i in range(len(header)) if i not in dropped]
    target_column = _target_column(path, header, kept, target)
    feature_columns = [i for i in kept if i != target_column]
    features = _features(path, header, feature_columns, rows)
    targets, classes = _targets(path, header[target_column], target_column, rows, task)
    return Table(
        features=features,
        targets=targets,
        names=tuple(header[i] for i in feature_columns),
        target_name=header[target_column],
        task="classification" if classes else "regression",
        classes=classes,
    )


def _target_column(path: Path, header: list[str], kept: list[int], target: str | int | None) -> int:
    if len(kept) < 2:
        raise FileFormatError(
            path,
            f"{len(kept)} columns, expected at least one feature and a target",
            line=1,
            remedy="pass delimiter= if the columns are separated by another character",
        )
    column = kept[-1] if target is None else _column(header, target, "target")
    if column not in kept:
        raise InvalidValueError(
            "target", target, expected="a column that is not dropped", remedy="drop another one"
        )
    return column


_Rows: TypeAlias = list[tuple[int, list[str]]]
"""Line numbers from 1, and fields without surrounding spaces."""


def _rows(path: Path, delimiter: str | None) -> _Rows:
    text = _text(path)
    if delimiter is not None and len(delimiter) != 1:
        raise InvalidValueError(
            "delimiter", delimiter, expected="one character", remedy="pass e.g. delimiter=';'"
        )
    lines = io.StringIO(text, newline="").readlines()
    separator = delimiter or _sniff(lines)
    # Several spaces are one delimiter; otherwise each counts, and two in a row miss a value.
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    rows: _Rows = []
    try:
        for fields in reader:
            stripped = [field.strip() for field in fields]
            if separator == " ":
                stripped = [field for field in stripped if field]
            if stripped not in ([], [""]):  # a blank line
                rows.append((reader.line_num, stripped))
    except csv.Error as error:
        raise FileFormatError(
            path,
            f"the {_DELIMITERS.get(separator, repr(separator))}-separated text is damaged: {error}",
            line=reader.line_num,
            remedy="close the quotes on this line, or pass delimiter=",
        ) from error
    if not rows:
        raise FileFormatError(
            path, "the file is empty, expected a header and rows", remedy="check how it was written"
        )
    width = len(rows[0][1])
    for line, fields in rows:
        if len(fields) != width:
            raise FileFormatError(
                path,
                f"{len(fields)} fields, expected {width} as on line {rows[0][0]} "
                f"({_DELIMITERS.get(separator, repr(separator))}-separated)",
                line=line,
                remedy="complete the line or remove it",
            )
    return rows


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileFormatError(
            path,
            f"byte {data[error.start]:#04x} at offset {error.start} is not UTF-8",
            line=data.count(b"\n", 0, error.start) + 1,
            remedy="save the table as CSV in UTF-8",
        ) from error
    if "\x00" in text:
        raise FileFormatError(
            path,
            "a zero byte, expected text",
            line=text.count("\n", 0, text.index("\x00")) + 1,
            remedy="save the table as CSV in UTF-8; spreadsheets and archives cannot be read",
        )
    return text


def _sniff(lines: Sequence[str]) -> str:
    """The delimiter that splits the first lines into the most fields, equally many on most."""
    sample = [line for line in lines if line.strip()][:_SNIFFED_LINES]
    best, best_score = ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        counts = Counter(
            len(line.split()) if delimiter == " " else line.count(delimiter) + 1 for line in sample
        )
        for fields, agreeing in counts.most_common(1):
            if fields > 1 and (agreeing / len(sample), fields) > best_score:
                best, best_score = delimiter, (agreeing / len(sample), fields)
    return best


def _split_header(path: Path, rows: _Rows) -> tuple[list[str], _Rows]:
    first_line, first = rows[0]
    if any(
        field and not _is_number(field) and field.lower() not in _MISSING_NUMBER for field in first
    ):
        header, rows = first, rows[1:]
        repeated = [name for name, count in Counter(header).items() if name and count > 1]
        if repeated:
            raise FileFormatError(
                path,
                f"{len(repeated)} column names occur twice, the first is {repeated[0]!r}",
                line=first_line,
                remedy="give every column a name of its own",
            )
    else:
        header = [f"column_{index + 1}" for index in range(len(first))]
    if len(rows) < 2:
        raise FileFormatError(
            path,
            f"{len(rows)} rows of data, expected at least 2",
            line=first_line,
            remedy="check how the file was written",
        )
    return header, rows


def _column(header: Sequence[str], column: str | int, argument: str) -> int:
    if isinstance(column, str):
        if column in header:
            return list(header).index(column)
        nearest = nearest_name(column, header)
        shown = ", ".join(header[:10]) + (", …" if len(header) > 10 else "")
        raise InvalidValueError(
            argument,
            column,
            expected=f"one of the columns {shown}",
            remedy=f"did you mean {nearest!r}?" if nearest else "check the header",
        )
    # True and False are integers in Python, and were hardly meant as the second and first column.
    if isinstance(column, bool) or not -len(header) <= column < len(header):
        raise InvalidValueError(
            argument,
            column,
            expected=f"a column number from 0 to {len(header) - 1}, or a name",
            remedy="count columns from 0, or from the right with -1, -2, …",
        )
    return column % len(header)


def _features(
    path: Path, header: Sequence[str], columns: Sequence[int], rows: _Rows
) -> NDArray[np.float64]:
    features = np.empty((len(rows), len(columns)))
    for index, (line, fields) in enumerate(rows):
        chosen = [fields[column] for column in columns]
        try:
            features[index] = list(map(float, chosen))
        except ValueError:
            features[index] = math.nan
        if "_" in "".join(chosen) or not np.isfinite(features[index]).all():
            # Slowly, to find what is wrong; it is right only if an underscore was in vain.
            features[index] = [
                _number(path, line, header[column], fields[column]) for column in columns
            ]
    return features


def _number(path: Path, line: int, name: str, field: str) -> float:
    if _is_number(field) and math.isfinite(float(field)):
        return float(field)
    if _is_number(field) or field.lower() in _MISSING_NUMBER:
        raise _missing_error(path, line, name, field, "a finite number")
    hint = f"encode the column as numbers, or pass drop=[{name!r}]"
    if _is_number(field.replace(",", ".", 1)):
        hint = "write numbers with a decimal point"
    reason = f"text {_short(field)!r} in column {name!r}, expected a number"
    raise FileFormatError(path, reason, line=line, remedy=hint)


def _targets(
    path: Path, name: str, column: int, rows: _Rows, task: Task | None
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The target's values and, for a classification, its labels."""
    fields = [fields[column] for _, fields in rows]
    for (line, _), field in zip(rows, fields, strict=True):
        if field.lower() in _MISSING:
            raise _missing_error(path, line, name, field, "a number or a label")
    are_numbers = all(map(_is_number, fields))
    if task == "regression" or are_numbers:
        values = np.array([_number(path, line, name, row[column]) for line, row in rows])
        if task == "regression" or (task is None and not _are_classes(values)):
            if (values == values[0]).all():
                raise _constant_error(path, name, fields[0])
            return values, ()
        fields = [f"{value:.15g}" for value in values]  # 1 and 1.0 are one class
    classes = tuple(sorted(set(fields), key=float if are_numbers else None))
    if len(classes) < 2:
        raise _constant_error(path, name, fields[0])
    if len(classes) == len(fields):
        raise FileFormatError(
            path,
            f"target {name!r} has {len(classes)} classes in {len(fields)} rows",
            remedy="name another target, or pass task='regression' if it holds numbers",
        )
    index = {label: position for position, label in enumerate(classes)}
    return np.array([index[field] for field in fields], dtype=np.float64), classes


def _are_classes(values: NDArray[np.float64]) -> bool:
    num_values = len(np.unique(values))
    is_whole = bool((values == np.rint(values)).all())
    return is_whole and num_values <= _MOST_CLASSES and 2 * num_values <= len(values)


def _missing_error(path: Path, line: int, name: str, field: str, expected: str) -> FileFormatError:
    return FileFormatError(
        path,
        f"{field!r} in column {name!r}, expected {expected}",
        line=line,
        remedy="fill the gap or remove the line; missing values are not guessed",
    )


def _constant_error(path: Path, name: str, value: str) -> FileFormatError:
    return FileFormatError(
        path,
        f"target {name!r} is {_short(value)!r} on every line, expected at least two values",
        remedy="name another column as target",
    )


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    # float() takes 1_000, which no CSV writer means as a thousand.
    return "_" not in field and field.lower().lstrip("+-") != "nan"


def _short(field: str) -> str:
    return field if len(field) <= 40 else field[:39] + "…"
