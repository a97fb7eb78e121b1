"""`sestina ntk`: kernels, designs, fits and forecasts on the command line."""

from sestina.cli.ntk.group import commands

__all__ = ["commands"]
