"""The entry point: finds the command, runs it, and ends with one line of error and a status.

0    it worked
1    it failed
2    the command line was wrong
130  interrupted by Ctrl-C, or cancelled
141  whoever read the output stopped reading
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

import click

import sestina
from sestina.cli.rooms import COMMANDS, is_present, load_command
from sestina.core.errors import CancelledError, OptionError, SestinaError, UnknownNameError
from sestina.core.log import logging_to
from sestina.core.registry import nearest_name

__all__ = ["cli", "main"]

_COMPLETION_VARIABLE = "_SESTINA_COMPLETE"


class _Commands(click.Group):
    """Commands that are loaded when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [name for name in sorted(COMMANDS) if is_present(name)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        return load_command(cmd_name) if is_present(cmd_name) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            nearest = nearest_name(name, known)
            meant = [repr(nearest)] if nearest else self._within(ctx, name)
            told = (
                f"did you mean {' or '.join(meant)}?" if meant else f"there are {', '.join(known)}"
            )
            raise click.UsageError(f"no such command {name!r}; {told}", ctx)
        return super().resolve_command(ctx, args)

    def _within(self, ctx: click.Context, name: str) -> list[str]:
        """Commands of that name in the groups; loads these, which only an error is worth."""
        found = []
        for group_name in self.list_commands(ctx):
            with suppress(ImportError):  # also of an extra that is missing: it has no say
                group = self.get_command(ctx, group_name)
                if isinstance(group, click.Group) and name in group.commands:
                    found.append(f"'sestina {group_name} {name}'")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].summary) for name in self.list_commands(ctx)])


def _show_version(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:  # noqa: FBT001
    if is_asked and not ctx.resilient_parsing:
        click.echo(f"sestina {sestina.__version__}")
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.option(
    "--debug", is_flag=True, help="Show the traceback of an error; may stand anywhere in the line."
)
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr which paths are taken and why.")
@click.pass_context
def cli(ctx: click.Context, *, debug: bool, verbose: bool) -> None:
    """Deep-learning systems that do one job each, in one vocabulary."""
    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    ctx.with_resource(logging_to(sys.stderr, level))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and give its exit status.

    Args:
        arguments: what stands after `sestina`; None takes it from the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if _COMPLETION_VARIABLE in os.environ:
        cli.main(given, prog_name="sestina", complete_var=_COMPLETION_VARIABLE)
    own = given.index("--") if "--" in given else len(given)
    debug = "--debug" in given[:own]
    given = ["--debug"] * debug + [g for g in given[:own] if g != "--debug"] + given[own:]
    try:
        with cli.make_context("sestina", given) as ctx:
            cli.invoke(ctx)
        if sys.stdout is not None:  # as it is where it was closed before the start
            sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except BrokenPipeError:
        # What is still buffered would raise again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it is ends as a line
        if debug:
            traceback.print_exception(error)
        status, text = _status_and_text(error)
        click.echo(text, err=True)
        return status
    return 0


def _status_and_text(error: BaseException) -> tuple[int, str]:
    """How the process ends for this error, and what it says before."""
    status, text = 1, str(error)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return 2, text  # the help of a group that was called without a command
    match error:
        case KeyboardInterrupt() | click.Abort():
            status, text = 130, "interrupted"
        case CancelledError():
            status = 130
        case click.exceptions.UsageError(ctx=ctx):
            command = ctx.command_path if ctx else "sestina"
            status = error.exit_code
            problem = error.format_message().rstrip(".")
            text = f"{problem}{'' if problem.endswith('?') else ';'} see '{command} --help'"
        case OptionError() | UnknownNameError():
            status = 2
        case SestinaError() | click.ClickException():
            pass
        case OSError(filename=None):
            text = f"{error.strerror or error}; check space, permissions and limits"
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EFBIG):
            text = f"{error.filename}: {error.strerror}; make room there, or choose another place"
        case OSError():
            text = f"{error.filename}: {error.strerror}; check the path and its permissions"
        case _:
            text = (
                f"{type(error).__name__}: {error}; this is a defect of sestina: run it again with "
                "--debug and report what it prints"
            )
    return status, f"error: {' '.join(text.split())}"


if __name__ == "__main__":
    sys.exit(main())
