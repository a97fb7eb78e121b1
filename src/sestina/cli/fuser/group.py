"""The commands of `sestina fuser`."""

from __future__ import annotations

import click

from sestina.cli.fuser.benching import bench_command
from sestina.cli.fuser.explaining import explain_command

__all__ = ["commands"]


@click.group()
def commands() -> None:
    """Make PyTorch faster: see what `torch.compile(model, backend="sestina")` does.

    The compiler needs no command; these show which kernels it makes of a model, and why.
    """


commands.add_command(explain_command)
commands.add_command(bench_command)
