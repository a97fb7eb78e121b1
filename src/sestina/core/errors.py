"""Every error that sestina raises, in one tree.

    SestinaError
    ├── InvalidValueError (ValueError)       a value, named, with what was expected
    │   ├── ShapeError                       a tensor of the wrong shape
    │   ├── NonFiniteError                   NaN or infinity where numbers belong
    │   ├── OptionError                      an unknown or ill-typed option
    │   ├── UnknownNameError                 a name that no registry knows
    │   ├── OffSphereError                   inputs whose norms differ where one norm is needed
    │   ├── DivergentKernelError             a kernel whose coefficients or value are infinite
    │   ├── NotAnalyticError                 a function of the cosine that is no power series
    │   ├── NoReadingError                   scores that leave no reading a probability above 0
    │   └── NotAchievableError               a kernel that no network has, with its certificate
    ├── DtypeError (TypeError)               a tensor or array of the wrong element type
    ├── FileFormatError (ValueError)         a file that is damaged or of another kind, and where
    ├── MissingExtraError (ImportError)      an optional dependency, and the command for it
    ├── NotFusedError (RuntimeError)          what the compiler was told not to leave to ATen
    ├── WorkerError (RuntimeError)           a worker process died or its item failed
    ├── CancelledError (RuntimeError)        the work was cancelled
    └── NotFinishedError (TimeoutError)      the work has not ended in the time given

Each message has three parts: what was wrong, with the value shown; what was expected; what to do
next. The parts stay on the error as attributes, so that programs need not read the message.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "CancelledError",
    "DivergentKernelError",
    "DtypeError",
    "FileFormatError",
    "InvalidValueError",
    "MissingExtraError",
    "NoReadingError",
    "NonFiniteError",
    "NotAchievableError",
    "NotAnalyticError",
    "NotFinishedError",
    "NotFusedError",
    "OffSphereError",
    "OptionError",
    "SestinaError",
    "ShapeError",
    "UnknownNameError",
    "WorkerError",
]

_SHOWN_CHARACTERS = 120


class SestinaError(Exception):
    """The base of the tree.

    Args:
        problem: what was wrong, with the value shown.
        remedy: what to do next.
    """

    def __init__(self, problem: str, *, remedy: str) -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}; {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only constructors do not survive pickling by default, and errors cross processes.
        return (_rebuild, (type(self), str(self), self.__dict__))


class InvalidValueError(SestinaError, ValueError):
    """A value that cannot be used.

    Args:
        name: the argument, option or field.
        value: what was given; shown with `repr`, shortened.
        expected: what would have been right.
        remedy: what to do next.
    """

    def __init__(self, name: str, value: object, *, expected: str, remedy: str) -> None:
        self.name = name
        self.value = value
        self.expected = expected
        super().__init__(f"{name} is {_shown(value)}, expected {expected}", remedy=remedy)


class ShapeError(InvalidValueError):
    """A tensor or array of the wrong shape; `value` is the shape."""


class NonFiniteError(InvalidValueError):
    """NaN or infinity where numbers belong; `value` says how many and where the first is."""


class OptionError(InvalidValueError):
    """An option that does not exist or has the wrong type or range."""


class UnknownNameError(InvalidValueError):
    """A name that is not registered; the remedy gives the nearest one."""


class OffSphereError(InvalidValueError):
    """Inputs of different norms where a dot-product kernel needs one norm."""


class DivergentKernelError(InvalidValueError):
    """A kernel that is infinite: its coefficients do not sum, or φ has no derivative in L²."""


class NotAchievableError(InvalidValueError):
    """A kernel that no network has.

    Args:
        indices: the degrees k whose coefficient aₖ is negative.
        coefficients: those aₖ.
        nearest: the nearest achievable kernel (a `DotProductKernel`), or None.
        distance: the largest absolute difference to it on [-1, 1].
    """

    def __init__(
        self,
        indices: tuple[int, ...],
        coefficients: tuple[float, ...],
        *,
        nearest: object = None,
        distance: float = float("nan"),
        remedy: str,
    ) -> None:
        self.indices = indices
        self.coefficients = coefficients
        self.nearest = nearest
        self.distance = distance
        pairs = zip(indices[:4], coefficients[:4], strict=True)
        shown = ", ".join(f"a_{k} = {a:.6g}" for k, a in pairs)
        more = f" and {len(indices) - 4} more" if len(indices) > 4 else ""
        super().__init__(
            "kernel",
            f"{shown}{more}",
            # Schoenberg: with a negative one it is no kernel on the spheres of high dimension.
            expected="every Maclaurin coefficient a_k >= 0, or it is no kernel on every sphere",
            remedy=remedy,
        )


class NotAnalyticError(InvalidValueError):
    """A function of the cosine that is no power series in the unit disc."""


class NoReadingError(InvalidValueError):
    """Scores of an utterance that leave no reading a probability above 0, in the beam there is."""


class DtypeError(SestinaError, TypeError):
    """A tensor or array whose element type cannot be used; never converted silently."""

    def __init__(self, name: str, value: object, *, expected: str, remedy: str) -> None:
        self.name = name
        self.value = value
        self.expected = expected
        super().__init__(f"{name} has dtype {value}, expected {expected}", remedy=remedy)


class FileFormatError(SestinaError, ValueError):
    """A file that cannot be read as what it should be.

    Args:
        path: the file.
        reason: what is wrong in it, with the value shown, and what was expected.
        line: its line, counted from 1, where lines make sense.
        remedy: what to do next.
    """

    def __init__(
        self, path: str | Path, reason: str, *, line: int | None = None, remedy: str
    ) -> None:
        self.path = Path(path)
        self.line = line
        self.reason = reason
        place = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{place}: {reason}", remedy=remedy)


class MissingExtraError(SestinaError, ImportError):
    """An optional dependency that is not installed.

    Args:
        package: what could not be imported.
        extra: the extra of sestina that brings it.
    """

    def __init__(self, package: str, *, extra: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(
            f"{package} is not installed", remedy=f"install it with: pip install 'sestina[{extra}]'"
        )


class NotFusedError(SestinaError, RuntimeError):
    """An operation or graph that no kernel computes, where nothing was to be left to ATen."""


class WorkerError(SestinaError, RuntimeError):
    """An item of parallel work that failed with its worker.

    Args:
        index: the item's place in the input, from 0.
        reason: what happened, e.g. the exception's text.
        signal: the signal that ended the worker process, or None.
    """

    def __init__(self, index: int, reason: str, *, signal: int | None = None, remedy: str) -> None:
        self.index = index
        self.signal = signal
        self.reason = reason
        by = f" (signal {signal})" if signal is not None else ""
        super().__init__(f"item {index} failed{by}: {reason}", remedy=remedy)


class CancelledError(SestinaError, RuntimeError):
    """The work was cancelled before it ended."""


class NotFinishedError(SestinaError, TimeoutError):
    """The work has not ended in the time that the caller gave it; it goes on."""


def _shown(value: object) -> str:
    text = value if isinstance(value, str) and " " in value else repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def _rebuild(cls: type[SestinaError], message: str, state: dict[str, object]) -> SestinaError:
    error = cls.__new__(cls, message)
    error.args = (message,)
    error.__dict__.update(state)
    return error
