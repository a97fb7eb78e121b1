from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from sestina.core import errors
from sestina.core.errors import (
    CancelledError,
    DivergentKernelError,
    DtypeError,
    FileFormatError,
    InvalidValueError,
    MissingExtraError,
    NonFiniteError,
    NoReadingError,
    NotAchievableError,
    NotAnalyticError,
    NotFinishedError,
    NotFusedError,
    OffSphereError,
    OptionError,
    SestinaError,
    ShapeError,
    UnknownNameError,
    WorkerError,
)

VALUE_ERRORS = [
    DivergentKernelError,
    InvalidValueError,
    NonFiniteError,
    OffSphereError,
    OptionError,
    ShapeError,
    UnknownNameError,
]
EXAMPLES = [
    SestinaError("it is 3", remedy="make it 2"),
    *(cls("width", -1, expected="1 or more", remedy="pass 128") for cls in VALUE_ERRORS),
    NoReadingError("emissions", "3 frames", expected="a reading", remedy="widen the beam"),
    NotAnalyticError("kernel", "off by 1", expected="a power series", remedy="fit it"),
    NotAchievableError((2, 5), (-0.5, -1e-9), distance=0.1, remedy="take the nearest"),
    DtypeError("x1", "int64", expected="float32", remedy="convert it"),
    FileFormatError("a.csv", "column 3 is 'red', expected a number", line=7, remedy="encode it"),
    MissingExtraError("torch", extra="ntk"),
    WorkerError(4, "it died", signal=9, remedy="use fewer workers"),
    CancelledError("item 2 was cancelled", remedy="run it again"),
    NotFinishedError("item 2 has not ended after 1 s", remedy="wait longer"),
    NotFusedError("ATen computes aten.sort.default", remedy="change the model"),
]
by_class = pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)


def test_every_class_has_an_example_here():
    classes = {
        cls
        for cls in vars(errors).values()
        if inspect.isclass(cls) and issubclass(cls, SestinaError)
    }
    assert {type(error) for error in EXAMPLES} == classes


@by_class
def test_the_tree_in_the_docstring_is_the_tree_of_the_classes(error):
    (line,) = [
        line for line in errors.__doc__.splitlines() if f" {type(error).__name__} " in f"{line} "
    ]
    built_in = {base.__name__ for base in type(error).__bases__} - {
        "Exception",
        "InvalidValueError",
        "SestinaError",
    }
    assert [f"({name})" in line for name in built_in] == [True] * len(built_in)


@by_class
def test_a_message_ends_with_the_remedy(error):
    assert str(error).endswith(f"; {error.remedy}")
    assert str(error) == f"{error.problem}; {error.remedy}"


@by_class
@pytest.mark.parametrize(
    "copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy]
)
def test_an_error_crosses_processes_whole(error, copied):
    again = copied(error)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize(
    ("cls", "built_in"),
    [
        (InvalidValueError, ValueError),
        (FileFormatError, ValueError),
        (DtypeError, TypeError),
        (MissingExtraError, ImportError),
        (WorkerError, RuntimeError),
        (CancelledError, RuntimeError),
        (NotFinishedError, TimeoutError),
        (NotFusedError, RuntimeError),
        *((cls, InvalidValueError) for cls in VALUE_ERRORS),
    ],
)
def test_a_class_derives_from_the_built_in_one(cls, built_in):
    assert issubclass(cls, built_in)
    assert issubclass(cls, SestinaError)


def test_messages_have_three_parts():
    assert str(ShapeError("x1", (3,), expected="two axes", remedy="pass x1[None, :]")) == (
        "x1 is (3,), expected two axes; pass x1[None, :]"
    )
    assert str(FileFormatError("a.csv", "it is empty", line=2, remedy="fill it")) == (
        "a.csv:2: it is empty; fill it"
    )
    assert str(MissingExtraError("torch", extra="ntk")) == (
        "torch is not installed; install it with: pip install 'sestina[ntk]'"
    )


def test_a_long_value_is_shortened():
    error = InvalidValueError("rows", list(range(1000)), expected="less", remedy="pass less")
    assert "…" in str(error)
    assert len(str(error)) < 200
    assert error.value == list(range(1000))


def test_a_kernel_that_no_network_has_shows_the_first_four_coefficients():
    error = NotAchievableError(tuple(range(6)), (-1.0,) * 6, remedy="take the nearest")
    assert "a_0 = -1, a_1 = -1, a_2 = -1, a_3 = -1 and 2 more" in str(error)
