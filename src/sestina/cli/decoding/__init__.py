"""`sestina decode`: emissions and sound to text, and the options that a task wants."""

from sestina.cli.decoding.group import commands

__all__ = ["commands"]
