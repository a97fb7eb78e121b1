"""Tests of what kernels are made of; the algebra is tested with `DotProductKernel`."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sestina.core.errors import InvalidValueError
from sestina.ntk.kernels.expressions import (
    READERS,
    CallableCurve,
    Composition,
    Product,
    Scaled,
    Series,
    Sum,
    read_expression,
)

LINE = Series(np.array([0.5, 1.0]))
SQUARE = Series(np.array([0.0, 0.0, 1.0]), residual=0.1)
EXPONENTIAL = CallableCurve(np.exp, is_analytic=True)
REAL = CallableCurve(np.exp, is_analytic=False)


def values(expression, *c):
    return expression.evaluate(torch.tensor(c, dtype=torch.float64)).tolist()


def test_expressions_compute_what_they_say():
    assert values(Sum(LINE, SQUARE), 2.0) == [6.5]
    assert values(Product(LINE, SQUARE), 2.0) == [10.0]
    assert values(Scaled(3.0, SQUARE), 2.0) == [12.0]
    assert values(Composition(SQUARE, LINE), 2.0) == [6.25]
    assert values(EXPONENTIAL, 0.0) == [1.0]


def test_a_combination_is_analytic_if_its_parts_are():
    for combine in (Sum, Product, Composition):
        assert combine(LINE, EXPONENTIAL).is_analytic
        assert not combine(LINE, REAL).is_analytic
        assert not combine(REAL, LINE).is_analytic
    assert not Scaled(2.0, REAL).is_analytic


@pytest.mark.parametrize("count", [0, 1, 8191, 8192, 8193, 20_000])
def test_long_arguments_are_summed_in_blocks(count):
    c = torch.linspace(-1, 1, count, dtype=torch.float64)
    assert torch.equal(LINE.evaluate(c), 0.5 + c)


def test_a_series_keeps_the_shape():
    assert LINE.evaluate(torch.zeros(2, 0, 3, dtype=torch.float64)).shape == (2, 0, 3)
    assert LINE.evaluate(torch.zeros((), dtype=torch.float64)).shape == ()


@pytest.mark.parametrize("c", [-1.0, -0.3, 0.0, 0.9, 1.0])
def test_slopes_of_callables_are_exact(c):
    assert EXPONENTIAL.slope(np.array([c]))[0] == pytest.approx(math.exp(c), rel=1e-14)


def test_slopes_at_a_singular_end_are_finite():
    root = CallableCurve(lambda c: -np.sqrt(1 - c), is_analytic=True)
    slope = root.slope(np.array([1.0]))[0]
    assert 1e6 < slope < math.inf


def test_every_reader_is_tested_somewhere():
    # "network" with FullyConnected; the others below.
    assert {"composition", "network", "product", "scaled", "series", "sum"} <= set(READERS)


@pytest.mark.parametrize(
    "expression",
    [LINE, Sum(LINE, SQUARE), Product(LINE, SQUARE), Scaled(2.0, LINE), Composition(SQUARE, LINE)],
    ids=lambda expression: type(expression).__name__,
)
def test_specs_are_read_back(expression):
    again = read_expression(expression.spec())
    assert again.spec() == expression.spec()
    assert values(again, 0.3) == values(expression, 0.3)


def test_a_spec_without_a_part_is_named():
    with pytest.raises(InvalidValueError, match="expected a key 'right'"):
        read_expression({"form": "sum", "left": LINE.spec()})
