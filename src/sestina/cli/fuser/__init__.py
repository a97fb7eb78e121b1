"""`sestina fuser`: what the compiler makes of a model; `sestina cache`: what it keeps on disk."""

from sestina.cli.fuser.caching import cache_commands
from sestina.cli.fuser.group import commands

__all__ = ["cache_commands", "commands"]
