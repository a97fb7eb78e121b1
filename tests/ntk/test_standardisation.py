"""Standardisation: mean 0 and variance 1 in any units, and the same for new rows."""

import numpy as np
import pytest

from sestina.core.errors import InvalidValueError
from sestina.ntk.datasets import Table
from sestina.ntk.standardisation import Standardisation

FEATURES = np.random.default_rng(0).normal(3.0, 2.0, size=(50, 4))


def test_it_is_the_textbook_formula():
    plain = (FEATURES - FEATURES.mean(0)) / FEATURES.std(0)
    np.testing.assert_allclose(Standardisation.of(FEATURES)(FEATURES), plain, rtol=1e-12)


@pytest.mark.parametrize("size", [1e-306, 1e-200, 1e200, 1e306])
def test_units_do_not_matter_however_large_or_small(size):
    plain = Standardisation.of(FEATURES)(FEATURES)
    again = Standardisation.of(FEATURES * size)
    np.testing.assert_allclose(again(FEATURES * size), plain, rtol=1e-9)


def test_the_largest_numbers_of_both_signs_are_standardised():
    ends = np.array([[1.7e308], [-1.7e308]])
    assert Standardisation.of(ends)(ends).tolist() == [[1.0], [-1.0]]


def test_a_constant_feature_becomes_zero_in_new_rows_too():
    known = Standardisation.of(np.array([[1.0, 0.1], [3.0, 0.1], [5.0, 0.1]]))
    assert known.scale_d[1] == 0
    assert known(np.array([[3.0, 7.0]])).tolist() == [[0.0, 0.0]]


def test_a_table_without_a_feature_that_varies_is_refused():
    table = Table(
        features=np.full((4, 2), 0.1),
        targets=np.arange(4.0),
        names=("a", "b"),
        target_name="y",
        task="regression",
    )
    with pytest.raises(InvalidValueError, match="no feature varies"):
        _ = table.standardised
