"""`sestina decode`: FILES to text, or one of the other commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sestina.cli.decoding.compiling import compile_lm_command
from sestina.cli.decoding.transcribing import transcribe_command
from sestina.cli.decoding.tuning import tune_command
from sestina.core.registry import nearest_name

__all__ = ["commands"]


class _FilesOrCommand(click.Group):
    """Runs the command that the first word names, or else takes the words as files to decode."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        first = args[0] if args else ""
        if first in self.commands:
            return super().make_context(info_name, args, parent, **extra)
        nearest = nearest_name(first, self.commands)
        if nearest and not Path(first).exists():
            ctx = click.Context(transcribe_command, info_name=info_name, parent=parent)
            raise click.UsageError(f"no file {first!r}; did you mean the command {nearest!r}?", ctx)
        return transcribe_command.make_context(info_name, args, parent, **extra)


@click.group(cls=_FilesOrCommand)
def commands() -> None:
    """Turn token scores, or sound, into text."""


commands.add_command(tune_command)
commands.add_command(compile_lm_command)
