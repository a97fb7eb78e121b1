"""Logging, set up by programs only: the command line and the worker processes of the engines.

Modules write `logging.getLogger(__name__)`; a library that is merely imported configures nothing.
"""

from __future__ import annotations

import logging
from typing import TextIO

__all__ = ["configure_logging"]

_FORMAT = "%(levelname)s %(name)s: %(message)s"


def configure_logging(level: int, stream: TextIO) -> None:
    """Send sestina's records to `stream`, and those of other packages from WARNING on.

    Calling it again replaces what an earlier call set up; handlers of others stay.

    Args:
        level: of sestina's own records, e.g. `logging.INFO`.
        stream: where the lines go; not closed.
    """
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _OwnHandler):
            root.removeHandler(handler)
    own = _OwnHandler(stream)
    own.setFormatter(logging.Formatter(_FORMAT))
    root.addHandler(own)
    logging.getLogger("sestina").setLevel(level)


class _OwnHandler(logging.StreamHandler[TextIO]):
    """Known by its class, so that it can be found again."""
