from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sestina.core.errors import ShapeError
from sestina.core.text import display_width, format_number, table


def test_numbers_are_flush_right_and_the_rest_flush_left():
    assert table([["relu", 1, 0.25], ["erf", 10, None]], ["name", "n", "error"]).splitlines() == [
        "name   n  error",
        "----  --  -----",
        "relu   1   0.25",
        "erf   10",
    ]


def test_a_column_with_one_text_is_flush_left():
    assert table([[1], ["none"]], ["n"]).splitlines()[2] == "1"


def test_wide_and_combining_characters_align():
    lines = table([["核", 1], ["e\u0301", 2], ["ab", 3]], ["k", "n"]).splitlines()
    assert [display_width(line) for line in lines] == [5, 5, 5, 5, 5]


def test_line_ends_within_cells_are_spaces():
    assert table([["a\nb"]], ["text"]).splitlines()[2] == "a b"


def test_no_rows_are_a_head_only():
    assert table([], ["a", "bc"]) == "a  bc\n-  --"


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ShapeError, match=r"rows\[1\] is 1 cells, expected 2 cells"):
        table([["a", "b"], ["a"]], ["x", "y"])


@given(st.lists(st.tuples(st.text(), st.integers() | st.floats()), max_size=5))
def test_there_is_one_line_for_each_row(rows):
    assert len(table(rows, ["a", "b"]).split("\n")) == len(rows) + 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (-2.0, "-2"),
        (0.12345, "0.1235"),
        (1.23456e-9, "1.235e-09"),
        (1234.56, "1235"),
        (98765.4, "98765"),
        (1e20, "1e+20"),
        (math.inf, "inf"),
        (math.nan, "nan"),
        (10**20, "1" + "0" * 20),
    ],
)
def test_numbers_have_four_digits(value, expected):
    assert format_number(value) == expected


def test_width_of_characters():
    assert display_width("") == 0
    assert display_width("σ_w²") == 4
    assert display_width("Ａ") == 2
    assert display_width("a\u200db") == 2
