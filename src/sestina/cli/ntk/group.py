"""The commands of `sestina ntk`, in the order in which one needs them."""

from __future__ import annotations

import click

from sestina.cli.ntk.designing import design_command, show_command
from sestina.cli.ntk.fitting import fit_command
from sestina.cli.ntk.forecasting import forecast_command
from sestina.cli.ntk.targets import targets_command

__all__ = ["commands"]


class _InOrder(click.Group):
    """Lists its commands as they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.commands)


@click.group(cls=_InOrder)
def commands() -> None:
    """Design a network from a kernel.

    Say which kernel you want, by name (see `sestina ntk targets`) or by data, and get the
    activation that gives it to a network with one hidden layer: with its error, the spread of
    random networks, and the width needed.
    """


commands.add_command(design_command)
commands.add_command(show_command)
commands.add_command(fit_command)
commands.add_command(forecast_command)
commands.add_command(targets_command)
