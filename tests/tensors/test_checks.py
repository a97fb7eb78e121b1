from __future__ import annotations

import numpy as np
import pytest
import torch

from sestina.core.errors import DtypeError, InvalidValueError, NonFiniteError, ShapeError
from sestina.tensors import (
    check_dtype,
    check_finite,
    check_matching,
    check_matrix,
    check_shape,
)

nan, inf = float("nan"), float("inf")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3, 2), (0, 2), (1, 1)])
def test_a_good_matrix_comes_back_itself(dtype, shape):
    matrix = torch.ones(shape, dtype=dtype)
    assert check_matrix("x1", matrix) is matrix


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [((3,), r"pass x1\[None, :\]"), ((2, 3, 4), r"x1\.reshape"), ((), r"x1\.reshape")],
)
def test_another_number_of_axes_is_refused(shape, remedy):
    with pytest.raises(ShapeError, match=remedy):
        check_matrix("x1", torch.ones(shape))


def test_no_columns_are_refused():
    with pytest.raises(ShapeError, match="at least one column"):
        check_matrix("x1", torch.ones(3, 0))


def test_other_columns_than_wanted_are_refused():
    with pytest.raises(ShapeError, match=r"x2 is \(3, 2\), expected 5 columns"):
        check_matrix("x2", torch.ones(3, 2), num_columns=5)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float16, torch.complex64, torch.bool])
def test_another_element_type_is_refused(dtype):
    with pytest.raises(DtypeError, match=r"convert it with x1\.to\(torch\.float64\)"):
        check_matrix("x1", torch.ones(3, 2).to(dtype))


@pytest.mark.parametrize("value", [np.ones((3, 2)), [[1.0]], None])
def test_what_is_no_tensor_is_refused(value):
    with pytest.raises(InvalidValueError, match=type(value).__name__):
        check_matrix("x1", value)


def test_numbers_that_are_not_finite_are_counted_and_located():
    matrix = torch.zeros(4, 3)
    matrix[2, 1], matrix[3, 0], matrix[2, 2] = -inf, nan, nan
    with pytest.raises(NonFiniteError, match=r"x1 is -inf at \[2, 1\], 3 of 12 not finite"):
        check_matrix("x1", matrix)
    assert check_matrix("x1", matrix, finite=False) is matrix


@pytest.mark.parametrize("tensor", [torch.tensor(1.0), torch.ones(0), torch.arange(3)])
def test_finite_tensors_of_any_kind_pass(tensor):
    assert check_finite("y", tensor) is tensor


def test_a_scalar_that_is_not_finite_is_refused():
    with pytest.raises(NonFiniteError, match=r"y is nan at \[\], 1 of 1"):
        check_finite("y", torch.tensor(nan))


def test_element_types_can_be_chosen():
    labels = torch.tensor([1, 2])
    assert check_dtype("labels", labels, [torch.int64]) is labels
    with pytest.raises(DtypeError, match=r"torch\.int32 or torch\.int64"):
        check_dtype("labels", torch.ones(2), [torch.int32, torch.int64])


def test_two_tensors_must_match():
    single, double = torch.ones(1), torch.ones(1, dtype=torch.float64)
    check_matching("x1", single, "x2", single)
    with pytest.raises(DtypeError, match=r"x2 has dtype torch\.float64, expected torch\.float32"):
        check_matching("x1", single, "x2", double)
    with pytest.raises(InvalidValueError, match="x2 is on meta, expected the device of x1, cpu"):
        check_matching("x1", single, "x2", single.to("meta"))


@pytest.mark.parametrize(("shape", "fits"), [((3, 2), True), ((None, 2), True), ((2, 3), False)])
def test_shapes_with_any_length(shape, fits):
    tensor = torch.ones(3, 2)
    if fits:
        assert check_shape("y", tensor, shape) is tensor
    else:
        with pytest.raises(ShapeError, match=r"y is \(3, 2\), expected the shape \(2, 3\)"):
            check_shape("y", tensor, shape)


def test_another_number_of_axes_is_no_shape():
    with pytest.raises(ShapeError, match=r"expected the shape \(any,\)"):
        check_shape("y", torch.ones(3, 2), (None,))
