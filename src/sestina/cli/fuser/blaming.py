"""Errors of a script or function that a command runs, told as what they are: its own."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

import sestina
from sestina.core.errors import SestinaError

__all__ = ["blaming"]

_ROOM = Path(sestina.__file__).resolve().parent / "fuser"
# Calls what it is given and does nothing else, so that errors there are the caller's.
_TRIAL = _ROOM / "trial.py"
_REMEDY = "mend it there; --debug shows the traceback"
# What TorchDynamo appends to a message is about itself.
_APPENDED = re.compile(r"\n\s*(?:Hint:|from user code:)")


@contextmanager
def blaming(target: str, path: Path) -> Iterator[None]:
    """Turns errors within the block into one that names the file, the line and the exception.

    Errors of sestina, and those that happen inside the compiler, stay what they are.

    Args:
        target: what was asked for, to be named where no line of the file had a part in the error.
        path: the file that runs within the block.
    """
    with _without_log_of_captures():
        try:
            yield
        except SestinaError:
            raise
        except SystemExit as stop:
            raise SestinaError(f"{target} ends with status {stop.code!r}", remedy=_REMEDY) from stop
        except Exception as error:
            # torch.compile wraps what its backend raises.
            cause = getattr(error, "inner_exception", None) or error
            if isinstance(cause, SestinaError):
                raise cause from error
            if _is_of_compiler(cause):
                raise
            place = _place(error, path) or target
            said = error.msg if isinstance(error, SyntaxError) else str(error)
            said = f"{type(error).__name__}: {_APPENDED.split(said)[0].strip()}"
            raise SestinaError(f"{place}: {said}", remedy=_REMEDY) from error


@contextmanager
def _without_log_of_captures() -> Iterator[None]:
    """Keeps PyTorch from printing tracebacks of what is raised anyway, but for `--debug`."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before = logger.level
    context = click.get_current_context(silent=True)
    if context is None or not context.find_root().params.get("debug"):
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _is_of_compiler(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    innermost = Path(frames[-1].filename).resolve()
    is_inside = innermost.is_relative_to(_ROOM) and innermost != _TRIAL
    # An index out of range is refused within the compiler, as PyTorch would.
    return is_inside and not isinstance(error, IndexError)


def _place(error: BaseException, path: Path) -> str | None:
    """The innermost line of a file that had a part in an error."""
    if isinstance(error, SyntaxError):
        line = f":{error.lineno}" if error.lineno else ""
        return f"{_short(Path(error.filename or path))}{line}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if Path(f.filename).resolve() == path.resolve()]
    return f"{_short(path)}:{lines[-1]}" if lines else None


def _short(path: Path) -> Path:
    """The path as one would give it from here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path
