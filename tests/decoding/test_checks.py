import pytest

from sestina.core.errors import InvalidValueError
from sestina.decoding.checks import check_count, check_kind


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", None])
def test_a_count_is_an_integer_from_one(value):
    check_count("nbest", 1)
    with pytest.raises(InvalidValueError, match=r"nbest is .*expected an integer from 1"):
        check_count("nbest", value)


def test_a_kind_may_be_a_union():
    check_kind("lm", None, int | None, "a number, or None")
    with pytest.raises(InvalidValueError, match=r"lm is 'x', expected a number, or None"):
        check_kind("lm", "x", int | None, "a number, or None")
