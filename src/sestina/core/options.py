"""Options are frozen dataclasses; TOML files and the command line fill the same ones.

A class of options is `@dataclass(frozen=True, slots=True, kw_only=True)`, one field per option with
a default that works and a docstring below it, which becomes the help text. Ranges are checked in
`__post_init__`. The types understood are bool, int, float, str, Path, Literal of strings or
integers, StrEnum, `tuple[T, ...]` and `tuple[T1, T2]` of these, and `T | None` with None as the
default (TOML has no null: an option that is None is left out of the file).

Example:
    >>> @dataclass(frozen=True, slots=True, kw_only=True)
    ... class SearchOptions:
    ...     width: int = 128
    ...     beams: tuple[float, ...] = (0.5, 1.0)
    >>> options_from_toml(SearchOptions, "width = 256")
    SearchOptions(width=256, beams=(0.5, 1.0))
    >>> print(options_to_toml(SearchOptions()), end="")
    width = 128
    beams = [0.5, 1.0]
    >>> options_from_mapping(SearchOptions, {"widht": 1})
    Traceback (most recent call last):
    sestina.core.errors.OptionError: widht is 1, expected an option of SearchOptions: \
width, beams; did you mean 'width'?
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
import tomllib
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from sestina.core.errors import FileFormatError, InvalidValueError, OptionError
from sestina.core.registry import nearest_name

__all__ = [
    "OptionField",
    "option_fields",
    "options_from_mapping",
    "options_from_toml",
    "options_to_mapping",
    "options_to_toml",
    "options_values",
    "parse_option",
    "read_options",
    "read_toml",
]

Options = TypeVar("Options")

_PLAIN = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a text",
    Path: "a path",
}
_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_LINE_OF_TOML_ERROR = re.compile(r"\(at line (\d+), column \d+\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A type that options may have. Exactly one of `plain`, `choices` and `items` is set."""

    plain: type | None = None
    choices: tuple[str | int, ...] = ()
    enum: type[StrEnum] | None = None
    items: tuple[_Kind, ...] = ()
    any_length: bool = False
    optional: bool = False

    @property
    def expected(self) -> str:
        if self.plain is not None:
            return _PLAIN[self.plain]
        if self.choices:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        if self.any_length:
            return f"a list, each element {self.items[0].expected}"
        return "a list of " + ", ".join(item.expected for item in self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionField:
    """One option: what the command line and the documentation need to know of it."""

    name: str
    """As in the dataclass and in TOML."""
    kind: _Kind
    """Its type; opaque."""
    help: str
    """The docstring below the field, in one line; empty if it has none."""
    is_required: bool
    """It has no default."""
    default: object
    """None if it is required."""

    @property
    def is_switch(self) -> bool:
        """It is true or false, and never None."""
        return self.kind.plain is bool and not self.kind.optional

    @property
    def choices(self) -> tuple[str, ...]:
        """What it may be, where that is a fixed choice; else empty."""
        return tuple(str(choice) for choice in self.kind.choices)

    @property
    def expected(self) -> str:
        """What a right value is, in words: "an integer", "one of nngp, ntk"."""
        return self.kind.expected

    @property
    def short_type(self) -> str:
        """What a right value is, in one word: "int", "path", "float,..."."""
        parts = self.kind.items or (self.kind,)
        words = [part.plain.__name__.lower() if part.plain else "name" for part in parts]
        return ",".join([*words, "..."] if self.kind.any_length else words)


def option_fields(cls: type) -> tuple[OptionField, ...]:
    """The options of a class, in its order.

    Raises:
        InvalidValueError: if it is no dataclass or has a field of a type not listed above. This is
            a mistake in the program, not in what its user typed.
    """
    if not is_dataclass(cls):
        raise InvalidValueError(
            "options class",
            cls,
            expected="a frozen dataclass",
            remedy="decorate it with @dataclass(frozen=True, slots=True, kw_only=True)",
        )
    hints = get_type_hints(cls)
    helps = _field_docstrings(cls)
    found = []
    for field in fields(cls):
        default = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        kind = _kind_of(f"{cls.__name__}.{field.name}", hints[field.name])
        if kind.optional and default is not None:
            raise InvalidValueError(
                f"{cls.__name__}.{field.name}",
                default,
                expected="None as the default of an optional field, for TOML has no null",
                remedy="make None the default, and let it stand for this value",
            )
        found.append(
            OptionField(
                name=field.name,
                kind=kind,
                help=helps.get(field.name, ""),
                is_required=default is MISSING,
                default=None if default is MISSING else default,
            )
        )
    return tuple(found)


def options_from_mapping(
    cls: type[Options], mapping: Mapping[str, object], *, source: str = ""
) -> Options:
    """The options with these values, and defaults for the rest.

    Args:
        cls: a class of options.
        mapping: field names to values of TOML's types: lists for tuples, texts for paths.
        source: where the values come from, for messages: a file's name.

    Raises:
        OptionError: if a key is unknown (the nearest one is named), a value has the wrong type, or
            a required one is missing. What `__post_init__` raises passes through.
    """
    place = f" in {source}" if source else ""
    values = options_values(cls, mapping, source=source)
    for field in option_fields(cls):
        if field.is_required and field.name not in values:
            raise OptionError(
                f"{field.name}{place}", "missing", expected=field.expected, remedy="give it a value"
            )
    return cls(**values)


def options_values(
    cls: type, mapping: Mapping[str, object], *, source: str = ""
) -> dict[str, object]:
    """These values as the class holds them: some of its options, each checked by itself.

    Args:
        cls: a class of options.
        mapping: as for `options_from_mapping`.
        source: where the values come from, for messages: a file's name.

    Raises:
        OptionError: if a key is unknown (the nearest one is named), or a value has the wrong type.
    """
    known = {field.name: field for field in option_fields(cls)}
    place = f" in {source}" if source else ""
    values = {}
    for key, value in mapping.items():
        if key not in known:
            nearest = nearest_name(key, known)
            raise OptionError(
                f"{key}{place}",
                value,
                expected=f"an option of {cls.__name__}: {', '.join(known)}",
                remedy=f"did you mean {nearest!r}?" if nearest else "remove it",
            )
        values[key] = _checked(known[key].kind, value, f"{key}{place}")
    return values


def options_to_mapping(options: object) -> dict[str, Any]:
    """The options as plain values of TOML's and JSON's types; those that are None are left out."""
    values = {field.name: getattr(options, field.name) for field in option_fields(type(options))}
    return {name: _plain(value) for name, value in values.items() if value is not None}


def options_from_toml(
    cls: type[Options],
    text: str,
    *,
    source: str | Path = "TOML",
    overrides: Mapping[str, object] | None = None,
) -> Options:
    """The options that a TOML text gives.

    Args:
        cls: a class of options.
        text: the TOML.
        source: names it in messages.
        overrides: values that go before those of the text.

    Raises:
        FileFormatError: if the text is no TOML, with the line.
        OptionError: as `options_from_mapping`.
    """
    mapping = {**_loaded(text, source), **(overrides or {})}
    return options_from_mapping(cls, mapping, source="" if source == "TOML" else str(source))


def read_options(
    cls: type[Options], path: str | Path, *, overrides: Mapping[str, object] | None = None
) -> Options:
    """The options that a TOML file gives, but for `overrides`, which go before it.

    Raises:
        FileNotFoundError: if there is no such file.
        FileFormatError: if it is not TOML in UTF-8.
        OptionError: as `options_from_mapping`.
    """
    return options_from_mapping(cls, {**read_toml(path), **(overrides or {})}, source=str(path))


def read_toml(path: str | Path) -> dict[str, object]:
    """What a TOML file holds.

    Raises:
        FileNotFoundError: if there is no such file.
        FileFormatError: if it is not TOML in UTF-8, with the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FileFormatError(
            path, f"no UTF-8 text: {error}", remedy="save the file as UTF-8"
        ) from error
    return _loaded(text, path)


def options_to_toml(options: object) -> str:
    """The options as TOML, each under its help text; reading it gives equal options."""
    lines = []
    values = options_to_mapping(options)
    for field in option_fields(type(options)):
        if field.name in values:
            lines += [f"# {field.help}"] if field.help else []
            key = field.name if field.name.isascii() else _toml_text(field.name)
            lines.append(f"{key} = {_toml(values[field.name])}")
    return "".join(f"{line}\n" for line in lines)


def parse_option(field: OptionField, text: str) -> object:
    """The value that a text on the command line stands for.

    Lists are separated by commas; an empty text is the empty list.

    Raises:
        OptionError: if it stands for no value of the option's type.

    Example:
        >>> @dataclass(frozen=True, slots=True, kw_only=True)
        ... class Sizes:
        ...     widths: tuple[int, ...] = ()
        >>> parse_option(option_fields(Sizes)[0], "64,128")
        (64, 128)
    """
    return _parsed(field.kind, text, field.name)


def _loaded(text: str, source: str | Path) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = _LINE_OF_TOML_ERROR.search(str(error))
        raise FileFormatError(
            source,
            f"no valid TOML: {error}",
            line=int(line[1]) if line else None,
            remedy="write one `name = value` per line, texts in quotes",
        ) from error


def _kind_of(where: str, hint: object) -> _Kind:
    origin, arguments = get_origin(hint), get_args(hint)
    if (
        origin in {Union, types.UnionType}
        and len(arguments) == 2
        and arguments[1] is types.NoneType
    ):
        inner = _kind_of(where, arguments[0])
        values = {name: getattr(inner, name) for name in _Kind.__slots__}
        return _Kind(**{**values, "optional": True})
    if isinstance(hint, type) and hint in _PLAIN:
        return _Kind(plain=hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _Kind(choices=tuple(member.value for member in hint), enum=hint)
    if origin is Literal and all(type(choice) in {str, int} for choice in arguments):
        return _Kind(choices=arguments)
    if origin is tuple and arguments:
        any_length = len(arguments) == 2 and arguments[1] is Ellipsis
        parts = arguments[:1] if any_length else arguments
        items = tuple(_kind_of(where, part) for part in parts)
        if not any(item.optional or item.items for item in items):
            return _Kind(items=items, any_length=any_length)
    raise InvalidValueError(
        f"the type of {where}",
        hint,
        expected="bool, int, float, str, Path, Literal, StrEnum, a tuple of these, or one | None",
        remedy="choose one of these types",
    )


def _checked(kind: _Kind, value: object, name: str) -> object:
    """The value as the dataclass holds it, from TOML's or the dataclass's own types."""
    if value is None and kind.optional:
        return None
    if kind.items and isinstance(value, list | tuple):
        kinds = kind.items * len(value) if kind.any_length else kind.items
        if len(kinds) == len(value):
            parts = zip(kinds, value, strict=True)
            return tuple(
                _checked(item, part, f"{name}[{i}]") for i, (item, part) in enumerate(parts)
            )
    elif kind.choices and type(value) in {str, int, kind.enum} and value in kind.choices:
        return kind.enum(str(value)) if kind.enum else value
    elif kind.plain is float and isinstance(value, int | float) and _is_float(value):
        return float(value)
    elif kind.plain is Path and isinstance(value, str | Path):
        return Path(value)
    elif kind.plain is not None and type(value) is kind.plain:
        return value
    raise OptionError(name, value, expected=kind.expected, remedy=_remedy(kind, value))


def _parsed(kind: _Kind, text: str, name: str) -> object:
    if kind.items:
        parts: list[object] = list(text.split(",")) if text else []
        kinds = kind.items * len(parts) if kind.any_length else kind.items
        if len(kinds) == len(parts):
            pairs = zip(kinds, parts, strict=True)
            return tuple(_parsed(item, str(part).strip(), name) for item, part in pairs)
    elif kind.choices:
        by_text = {str(choice): choice for choice in kind.choices}
        return _checked(kind, by_text.get(text, text), name)
    elif kind.plain is bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
    elif kind.plain in {str, Path}:
        return kind.plain(text)
    else:
        try:
            return kind.plain(text)  # type: ignore[misc]
        except ValueError:
            pass
    raise OptionError(name, text, expected=kind.expected, remedy=_remedy(kind, text))


def _remedy(kind: _Kind, value: object) -> str:
    if kind.choices:
        nearest = nearest_name(str(value), [str(choice) for choice in kind.choices])
        return f"did you mean {nearest!r}?" if nearest else "choose one of these"
    if kind.items and isinstance(value, str):
        return "separate the elements by commas"
    return f"give {kind.expected}"


def _is_float(value: object) -> bool:
    # An integer stands for the number it is, unless it is too large for a float.
    return isinstance(value, float) or (type(value) is int and abs(value) <= sys.float_info.max)


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, StrEnum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(part) for part in value) + "]"
    return _toml_text(value) if isinstance(value, str) else repr(value)


def _toml_text(text: str) -> str:
    if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
        raise OptionError("text", text, expected="text in Unicode", remedy="use another name")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    # TOML 1.0: control characters other than tab must be escaped in a basic string.
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda c: f"\\u{ord(c[0]):04x}", escaped) + '"'


def _field_docstrings(cls: type) -> dict[str, str]:
    """The text below each field, by name; a subclass's wins. None where the source is missing."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError):
            continue
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for statement, following in pairwise(body):
            match statement, following:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = " ".join(text.split())
    return found
