from __future__ import annotations

import math
import sys
import tomllib
from dataclasses import dataclass, fields, make_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sestina.core.errors import FileFormatError, InvalidValueError, OptionError
from sestina.core.options import (
    option_fields,
    options_from_mapping,
    options_from_toml,
    options_to_mapping,
    options_to_toml,
    options_values,
    parse_option,
    read_options,
    read_toml,
)


class Colour(StrEnum):
    RED = "red"
    DARK_BLUE = "dark-blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One field of each type."""

    width: int = 128
    """Units of the hidden layer,
    shared by nothing."""
    rate: float = 0.1
    fast: bool = False
    """Take the fast path."""
    name: str = "net"
    folder: Path = Path("out")
    kind: Literal["nngp", "ntk"] = "ntk"
    order: Literal[1, 2] = 1
    colour: Colour = Colour.RED
    widths: tuple[int, ...] = ()
    span: tuple[float, str] = (0.0, "unit")
    seed: int | None = None
    """Drawn if it is not given."""
    choice: Optional[Literal["a", "b"]] = None  # noqa: UP045 - the old spelling is understood, too
    sizes: tuple[float, ...] | None = None

    def __post_init__(self):
        if self.width < 1:
            raise OptionError("width", self.width, expected="1 or more", remedy="pass 128")


@dataclass(frozen=True, slots=True, kw_only=True)
class Required:
    path: Path


FIELDS = {field.name: field for field in option_fields(Options)}

texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.floats(allow_nan=False)
any_options = st.builds(
    Options,
    width=st.integers(1),
    rate=numbers,
    fast=st.booleans(),
    name=texts,
    folder=texts.filter(lambda text: "\0" not in text).map(Path),
    kind=st.sampled_from(["nngp", "ntk"]),
    order=st.sampled_from([1, 2]),
    colour=st.sampled_from(Colour),
    widths=st.lists(st.integers()).map(tuple),
    span=st.tuples(numbers, texts),
    seed=st.none() | st.integers(),
    choice=st.sampled_from([None, "a", "b"]),
    sizes=st.none() | st.lists(numbers).map(tuple),
)


@given(any_options)
def test_toml_gives_back_what_was_written(options):
    assert options_from_toml(Options, options_to_toml(options)) == options
    assert options_from_mapping(Options, options_to_mapping(options)) == options


@given(any_options)
def test_what_is_written_is_toml(options):
    assert tomllib.loads(options_to_toml(options)) == options_to_mapping(options)


@given(st.data())
def test_the_command_line_gives_back_what_is_printed(data):
    options = data.draw(any_options)
    for name in ("width", "rate", "fast", "name", "folder", "kind", "order", "colour", "widths"):
        value = getattr(options, name)
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        assert parse_option(FIELDS[name], text) == value


def test_nothing_given_is_the_defaults():
    assert options_from_mapping(Options, {}) == Options()
    assert options_from_toml(Options, "# empty\n") == Options()


def test_fields_say_what_help_needs():
    assert list(FIELDS) == [field.name for field in fields(Options)]
    assert FIELDS["width"].help == "Units of the hidden layer, shared by nothing."
    assert FIELDS["rate"].help == ""
    assert FIELDS["fast"].is_switch
    assert FIELDS["colour"].choices == ("red", "dark-blue")
    assert FIELDS["width"].default == 128
    assert (FIELDS["widths"].short_type, FIELDS["span"].short_type) == ("int,...", "float,str")
    assert option_fields(Required)[0].is_required


def test_docstrings_are_inherited():
    @dataclass(frozen=True, slots=True, kw_only=True)
    class More(Options):
        depth: int = 1
        """Hidden layers."""
        fast: bool = True
        """Fast, of course."""

    helps = {field.name: field.help for field in option_fields(More)}
    assert helps["depth"] == "Hidden layers."
    assert helps["seed"] == "Drawn if it is not given."
    assert helps["fast"] == "Fast, of course."


def test_help_texts_stand_above_the_values():
    assert options_to_toml(Options()).startswith(
        "# Units of the hidden layer, shared by nothing.\nwidth = 128\nrate = 0.1\n"
    )
    assert "seed" not in options_to_toml(Options()), "TOML has no null"


def test_numbers_that_toml_spells_in_its_own_way_survive():
    options = Options(rate=math.inf, span=(-0.0, ""), sizes=(1e-300, 1e300, -math.inf))
    again = options_from_toml(Options, options_to_toml(options))
    assert again == options
    assert math.copysign(1, again.span[0]) == -1
    assert math.isnan(options_from_toml(Options, options_to_toml(Options(rate=math.nan))).rate)


@pytest.mark.parametrize(("key", "nearest"), [("widht", "width"), ("Fast", "fast")])
def test_an_unknown_key_names_the_nearest_one(key, nearest):
    with pytest.raises(OptionError, match=f"did you mean '{nearest}'") as caught:
        options_from_mapping(Options, {key: 1})
    assert caught.value.name == key


def test_an_unknown_key_like_no_other_is_to_be_removed():
    with pytest.raises(OptionError, match="remove it"):
        options_from_mapping(Options, {"zzz": 1})


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("width", 1.0, "width is 1.0, expected an integer"),
        ("width", True, "width is True, expected an integer"),
        ("width", "1", "width is '1', expected an integer"),
        ("rate", "1", "rate is '1', expected a number"),
        ("rate", True, "rate is True, expected a number"),
        ("rate", 10**400, "expected a number"),
        ("fast", 1, "fast is 1, expected true or false"),
        ("name", 1, "name is 1, expected a text"),
        ("folder", 1, "folder is 1, expected a path"),
        ("kind", "nkt", "kind is 'nkt', expected one of nngp, ntk; did you mean 'ntk'?"),
        ("order", 3, "order is 3, expected one of 1, 2"),
        ("order", True, "order is True, expected one of 1, 2"),
        ("order", "1", "order is '1', expected one of 1, 2"),
        ("colour", "dark_blue", "did you mean 'dark-blue'?"),
        ("widths", [1, "2"], r"widths\[1\] is '2', expected an integer"),
        ("widths", 1, "widths is 1, expected a list, each element an integer"),
        ("span", [1.0], r"span is \[1.0\], expected a list of a number, a text"),
        ("width", None, "width is None, expected an integer"),
        ("seed", "x", "seed is 'x', expected an integer"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(key, value, text):
    with pytest.raises(OptionError, match=text.replace("?", r"\?")):
        options_from_mapping(Options, {key: value})


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("width", "1.5"),
        ("rate", "fast"),
        ("fast", "maybe"),
        ("kind", "nkt"),
        ("order", "3"),
        ("widths", "1,,2"),
        ("span", "1"),
    ],
)
def test_a_text_that_stands_for_no_value_is_refused(key, text):
    with pytest.raises(OptionError) as caught:
        parse_option(FIELDS[key], text)
    assert repr(text) in str(caught.value) or key in {"widths", "span"}


def test_the_command_line_knows_the_words_for_true_and_false():
    assert [parse_option(FIELDS["fast"], text) for text in ("yes", "True", "on", "1")] == [True] * 4
    assert [parse_option(FIELDS["fast"], text) for text in ("no", "FALSE", "off", "0")] == [
        False
    ] * 4
    assert parse_option(FIELDS["widths"], "") == ()
    assert parse_option(FIELDS["span"], "1.5, x") == (1.5, "x")


def test_ranges_are_checked_by_the_class():
    with pytest.raises(OptionError, match="width is 0, expected 1 or more"):
        options_from_mapping(Options, {"width": 0})


def test_a_required_option_must_be_there():
    with pytest.raises(OptionError, match="path is 'missing', expected a path"):
        options_from_mapping(Required, {})
    assert options_from_mapping(Required, {"path": "a"}) == Required(path=Path("a"))


def test_a_file_is_named_in_its_errors(tmp_path):
    path = tmp_path / "options.toml"
    path.write_text("width = 3\nrate = 0.5\n")
    assert read_options(Options, path) == Options(width=3, rate=0.5)
    assert read_options(Options, path, overrides={"width": 4}) == Options(width=4, rate=0.5)
    path.write_text("widht = 3")
    with pytest.raises(OptionError, match=f"widht in {path} is 3"):
        read_options(Options, path)
    path.write_text("width = 3\nrate = fast\n")
    with pytest.raises(FileFormatError, match=f"{path}:2: no valid TOML") as caught:
        read_options(Options, path)
    assert (caught.value.path, caught.value.line) == (path, 2)
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(FileFormatError, match="no UTF-8 text"):
        read_options(Options, path)
    with pytest.raises(FileNotFoundError):
        read_options(Options, tmp_path / "none.toml")


def test_a_text_that_no_file_can_hold_is_refused():
    with pytest.raises(OptionError, match="expected text in Unicode"):
        options_to_toml(Options(name="\ud800"))


@pytest.mark.parametrize(
    "hint", [dict[str, int], object, tuple, Literal[1.5], int | str, tuple[int | None, ...], bytes]
)
def test_a_field_of_another_type_is_a_mistake_in_the_program(hint):
    with pytest.raises(InvalidValueError, match=r"the type of Odd\.field"):
        option_fields(make_dataclass("Odd", [("field", hint)]))


def test_an_optional_field_has_the_default_none():
    with pytest.raises(InvalidValueError, match="None as the default"):
        option_fields(make_dataclass("Odd", [("field", int | None, 3)]))


def test_only_dataclasses_are_options():
    with pytest.raises(InvalidValueError, match="expected a frozen dataclass"):
        option_fields(int)


def test_names_beyond_ascii_survive():
    cls = make_dataclass("Greek", [("σ_w", float, 1.0)], frozen=True)
    assert options_from_toml(cls, options_to_toml(cls(2.0))) == cls(2.0)


def test_the_largest_float_fits_and_the_next_integer_does_not():
    largest = int(sys.float_info.max)
    assert options_from_mapping(Options, {"rate": largest}).rate == sys.float_info.max
    with pytest.raises(OptionError):
        options_from_mapping(Options, {"rate": 2 * largest})


def test_values_are_checked_one_by_one_without_the_rest():
    values = {"widths": [1, 2], "width": 0, "folder": "out"}
    assert options_values(Options, values) == {"widths": (1, 2), "width": 0, "folder": Path("out")}
    assert options_values(Required, {}) == {}
    with pytest.raises(OptionError, match=r"widht in a\.toml is 1.*did you mean 'width'"):
        options_values(Options, {"widht": 1}, source="a.toml")


def test_a_file_is_read_as_it_is(tmp_path):
    (tmp_path / "a.toml").write_text("[table]\nx = 1\n")
    assert read_toml(tmp_path / "a.toml") == {"table": {"x": 1}}
    (tmp_path / "a.toml").write_text("x = 1\ny =\n")
    with pytest.raises(FileFormatError, match=r"a\.toml:2: no valid TOML"):
        read_toml(tmp_path / "a.toml")
