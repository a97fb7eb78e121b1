"""Arrays as text: exact both ways, and suspicious of what it reads."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sestina.core.errors import InvalidValueError
from sestina.ntk.designs import packing
from sestina.ntk.designs.packing import pack, unpack


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_come_back_to_the_last_bit(numbers):
    array = np.array(numbers, dtype=np.float64)
    assert unpack("x", pack(array)).tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "text",
    [
        None,
        3,
        ["AAAA"],
        "AAA",
        "not base64!",
        "AAAA",
        "é" * 12,
        pack(np.array([np.nan])),
        pack(np.array([1.0, -np.inf])),
    ],
)
def test_other_values_are_refused_by_name(text):
    with pytest.raises(InvalidValueError, match="weights"):
        unpack("weights", text)


def test_a_longer_text_than_any_design_is_refused_before_it_is_decoded():
    with pytest.raises(InvalidValueError, match="1048576 numbers"):
        unpack("x", "A" * (packing.MAX_NUMBERS * 11))


@given(st.binary(max_size=64))
def test_any_bytes_give_numbers_or_a_named_error(data):
    try:
        numbers = unpack("x", base64.b64encode(data).decode())
    except InvalidValueError:
        return
    assert numbers.size * 8 == len(data)
    assert np.isfinite(numbers).all()
