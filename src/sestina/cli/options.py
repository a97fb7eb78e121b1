"""Options of a command from a dataclass: one option per field, and `--config` for a TOML file.

What stands on the command line goes before what stands in the file, and both before the defaults.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from sestina.core.errors import OptionError
from sestina.core.options import (
    OptionField,
    option_fields,
    options_from_mapping,
    parse_option,
    read_options,
)

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
        def filled(*args: Any, config: Path | None, **given: Any) -> Result:
            values = {field.name: given.pop(field.name) for field in known}
            asked = {key: value for key, value in values.items() if value is not None}
            options: object = (
                options_from_mapping(cls, asked)
                if config is None
                else read_options(cls, config, overrides=asked)
            )
            return command(*args, **{name: options}, **given)

        decorated: Callable[..., Result] = click.option(
            "--config",
            type=click.Path(dir_okay=False, path_type=Path),
            help="A TOML file with these options; the command line goes before it.",
        )(filled)
        for field in reversed(known):
            decorated = _click_option(field)(decorated)
        return decorated

    return decorate


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
