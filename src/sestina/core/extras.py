"""Optional dependencies: imported when first needed, and named with their extra when missing."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from sestina.core.errors import MissingExtraError

__all__ = ["import_extra", "naming_extra"]


def import_extra(module: str, *, extra: str) -> ModuleType:
    """The module of that name.

    Args:
        module: e.g. "matplotlib.figure".
        extra: the extra of sestina that brings it.

    Raises:
        MissingExtraError: if its package is not installed.

    Example:
        >>> import_extra("json", extra="ntk").__name__
        'json'
        >>> import_extra("no_such_package.part", extra="ntk")
        Traceback (most recent call last):
        sestina.core.errors.MissingExtraError: no_such_package is not installed; \
install it with: pip install 'sestina[ntk]'
    """
    with naming_extra(extra):
        return importlib.import_module(module)


@contextmanager
def naming_extra(extra: str) -> Iterator[None]:
    """Turns the import error of another package within the block into one that names the extra.

    A module of sestina's own that can't be found is no missing extra and passes through.

    Raises:
        MissingExtraError: if a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in {"", "sestina"}:
            raise
        raise MissingExtraError(package, extra=extra) from error
