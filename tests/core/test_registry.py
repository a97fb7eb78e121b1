from __future__ import annotations

import pytest

from sestina.core.errors import InvalidValueError, UnknownNameError
from sestina.core.registry import Registry, nearest_name


@pytest.fixture
def colours():
    registry = Registry("colour")
    for name in ("red", "dark_blue", "green"):
        registry.add(name, name.upper())
    return registry


def test_entries_are_found_by_name(colours):
    assert colours["red"] == "RED"
    assert list(colours) == ["dark_blue", "green", "red"]
    assert len(colours) == 3
    assert "red" in colours
    assert "pink" not in colours


def test_a_name_is_given_once(colours):
    with pytest.raises(InvalidValueError, match="colour name is 'red', expected a name that"):
        colours.add("red", "again")
    assert colours["red"] == "RED"


def test_an_unknown_name_gives_the_nearest(colours):
    with pytest.raises(UnknownNameError) as caught:
        colours["Dark-Blu"]
    assert str(caught.value) == (
        "colour is 'Dark-Blu', expected one of dark_blue, green, red; did you mean 'dark_blue'?"
    )


def test_an_unknown_name_like_no_other_gives_the_list(colours):
    with pytest.raises(UnknownNameError, match="one of dark_blue, green, red; choose a known"):
        colours["zzz"]


def test_long_lists_are_cut():
    registry = Registry("number")
    for number in range(20):
        registry.add(f"n{number:02d}", number)
    with pytest.raises(UnknownNameError, match="n11 and 8 more"):
        registry["x"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("relu", "relu"), ("RELU", "relu"), ("leaky-relu", "leaky_relu"), ("q", None), ("", None)],
)
def test_the_nearest_name(name, expected):
    assert nearest_name(name, ["erf", "relu", "leaky_relu"]) == expected


def test_no_names_no_nearest():
    assert nearest_name("a", []) is None
    with pytest.raises(UnknownNameError, match="expected a known name"):
        Registry("empty")["a"]
