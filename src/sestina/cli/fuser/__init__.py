"""`sestina fuser`: what the compiler makes of a model, on the command line."""

from sestina.cli.fuser.group import commands

__all__ = ["commands"]
