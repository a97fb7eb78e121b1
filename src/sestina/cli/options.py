"""Options of a command from a dataclass: one option per field, and `--config` for a TOML file.

The file may also give the options that the command declares by itself, each under its name without
the dashes in front. What stands on the command line goes before what stands in the file, and both
before the defaults.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from sestina.core.errors import OptionError
from sestina.core.options import (
    OptionField,
    option_fields,
    options_from_mapping,
    options_values,
    parse_option,
    read_toml,
)
from sestina.core.registry import nearest_name

__all__ = ["options_argument"]

Result = TypeVar("Result")


def options_argument(
    cls: type, *, name: str = "options"
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Decorates a command with an option for each field of `cls`, and `--config`.

    The command gets an instance of `cls` as its argument `name`. A switch `fast: bool` becomes
    `--fast/--no-fast`; a tuple is written with commas, `--widths 64,128`.

    Args:
        cls: a class of options, see `sestina.core.options`.
        name: the command's argument.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True, slots=True, kw_only=True)
        ... class GreetOptions:
        ...     times: int = 1
        >>> @click.command()
        ... @options_argument(GreetOptions)
        ... def greet(options):
        ...     click.echo("hello " * options.times)
        >>> greet.main(["--times", "2"], standalone_mode=False)
        hello hello
    """
    known = option_fields(cls)

    def decorate(command: Callable[..., Result]) -> Callable[..., Result]:
        @functools.wraps(command)
        def filled(*args: Any, config: Mapping[str, object], **given: Any) -> Result:
            values = {field.name: given.pop(field.name) for field in known}
            asked = {key: value for key, value in values.items() if value is not None}
            options: object = options_from_mapping(cls, {**config, **asked})
            return command(*args, **{name: options}, **given)

        decorated: Callable[..., Result] = click.option(
            "--config",
            type=click.Path(dir_okay=False, path_type=Path),
            is_eager=True,  # before click looks for the options that are required
            callback=functools.partial(_read_config, cls),
            help="A TOML file with options of this command; the command line goes before it.",
        )(filled)
        for field in reversed(known):
            decorated = _click_option(field)(decorated)
        return decorated

    return decorate


def _read_config(
    cls: type, ctx: click.Context, param: click.Parameter, path: Path | None
) -> dict[str, object]:
    """What the file gives for the class; the rest becomes defaults of the command's own options."""
    if path is None:
        return {}
    fields = [field.name for field in option_fields(cls)]
    plain = {
        max(option.opts, key=len).lstrip("-").replace("-", "_"): option
        for option in ctx.command.params
        if isinstance(option, click.Option) and option is not param and option.name not in fields
    }
    for_class: dict[str, object] = {}
    for key, value in read_toml(path).items():
        if key in plain:
            ctx.default_map = {
                **(ctx.default_map or {}),
                str(plain[key].name): _plain_value(plain[key], value, f"{key} in {path}"),
            }
        elif key in fields:
            for_class[key] = value
        else:
            nearest = nearest_name(key, [*fields, *plain])
            raise OptionError(
                f"{key} in {path}",
                value,
                expected=f"an option of {ctx.command_path}: {', '.join([*fields, *plain])}",
                remedy=f"did you mean {nearest!r}?" if nearest else "remove it",
            )
    return options_values(cls, for_class, source=str(path))


def _plain_value(option: click.Option, value: object, name: str) -> object:
    """The value, if it has a type that the option takes; ranges are left to click."""
    kinds: set[type] = {str}
    expected = "a text"
    if option.is_flag:
        kinds, expected = {bool}, "true or false"
    elif isinstance(option.type, click.types.IntParamType):
        kinds, expected = {int}, "an integer"
    elif isinstance(option.type, click.types.FloatParamType):
        kinds, expected = {int, float}, "a number"
    parts = value if option.multiple and isinstance(value, list) else [value]
    if any(type(part) not in kinds for part in parts):
        expected += ", or a list of these" if option.multiple else ""
        raise OptionError(name, value, expected=expected, remedy=f"give {expected}")
    return parts if option.multiple else value


def _click_option(
    field: OptionField,
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    flag = f"--{field.name.replace('_', '-')}"
    declared = f"{flag}/--no-{flag[2:]}" if field.is_switch else flag
    default = "required" if field.is_required else f"default: {_shown_default(field)}"
    no_default = not field.is_required and field.default is None

    def read(ctx: click.Context, param: click.Parameter, text: str | bool | None) -> object:  # noqa: FBT001
        if not isinstance(text, str):
            return text
        try:
            return parse_option(field, text)
        except OptionError as error:
            problem = f"{text!r} is not {error.expected}; {error.remedy}"
            raise click.BadParameter(problem, ctx, param) from error

    return click.option(
        declared,
        field.name,
        # None tells an option that was not given from one that was given its default.
        default=None,
        callback=read,
        metavar=None if field.is_switch else f"[{'|'.join(field.choices) or field.short_type}]",
        help=field.help if no_default else f"{field.help}  [{default}]".strip(),
    )


def _shown_default(field: OptionField) -> str:
    if field.is_switch:
        return "yes" if field.default else "no"
    if isinstance(field.default, tuple):
        return ",".join(str(part) for part in field.default) or "none"
    return str(field.default)
