"""Six machine-learning systems in one vocabulary; each is a room of this package.

A room is loaded when it is first used, so that `import sestina` is quick and loads no torch:

>>> import sestina
>>> sestina.ntk.__name__
'sestina.ntk'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from sestina.core.extras import naming_extra

if TYPE_CHECKING:
    from sestina import decoding, fuser, ntk

    __version__: str

__all__ = ["__version__", "decoding", "fuser", "ntk"]

# Each room, and the extra that brings what it needs.
_ROOMS = {"decoding": "decoding", "fuser": "fuser", "ntk": "ntk"}


def __getattr__(name: str) -> object:
    if name == "__version__":
        return _version()
    if name not in _ROOMS:
        raise AttributeError(f"module 'sestina' has no attribute {name!r}", name=name)
    try:
        with naming_extra(_ROOMS[name]):
            return importlib.import_module(f"sestina.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"sestina.{name}":
            raise
        raise AttributeError(f"this copy of sestina has no room {name!r}", name=name) from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    # Late: importlib.metadata takes longer to load (50 ms) than everything else here.
    metadata = importlib.import_module("importlib.metadata")
    try:
        return str(metadata.version("sestina"))
    except metadata.PackageNotFoundError:
        return "0+source"  # used from a source tree that was never installed
