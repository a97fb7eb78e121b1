"""What comes in is converted and checked once; what goes out is of the same kind."""

import numpy as np
import pytest
import torch

from sestina.core.errors import DtypeError, InvalidValueError, NonFiniteError, ShapeError
from sestina.ntk.arrays import (
    check_not_negative,
    float64,
    float64_square,
    float64_targets,
    rounding_unit,
)


def test_reversed_and_read_only_arrays_are_taken():
    array = np.arange(6.0)[::-1]
    array.flags.writeable = False
    tensor, as_given = float64("x", array)
    assert tensor.tolist() == [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    assert isinstance(as_given(tensor), np.ndarray)


def test_gradients_stay_behind():
    tensor, _ = float64("x", torch.ones(2, requires_grad=True))
    assert not tensor.requires_grad


@pytest.mark.parametrize("value", [np.array(["1"]), np.array([1j]), np.array([None])])
def test_what_is_no_real_number_is_refused(value):
    with pytest.raises(DtypeError, match="expected real numbers"):
        float64("x", value)


def test_ragged_lists_and_nan_are_refused():
    with pytest.raises(ShapeError, match="rows of equal length"):
        float64("x", [[1.0], [1.0, 2.0]])
    with pytest.raises(NonFiniteError, match="x is nan at"):
        float64("x", [1.0, float("nan")])


def test_float32_asymmetry_passes_and_real_asymmetry_does_not():
    float64_square("kernel", np.array([[1.0, 0.5], [0.5 + 1e-6, 1.0]], dtype=np.float32))
    with pytest.raises(InvalidValueError, match="transpose"):
        float64_square("kernel", np.array([[1.0, 0.5], [0.6, 1.0]]))


def test_targets_are_vectors_or_matrices():
    device = torch.device("cpu")
    assert float64_targets([1, 2], 2, device=device)[0].shape == (2, 1)
    assert not float64_targets([[1, 2], [3, 4]], 2, device=device)[1]
    with pytest.raises(ShapeError):
        float64_targets(np.ones((2, 0)), 2, device=device)


def test_rounding_units_are_those_of_the_type():
    assert rounding_unit(np.ones(1, dtype=np.float32)) == 2**-23
    assert rounding_unit(torch.ones(1, dtype=torch.float64)) == 2**-52
    assert rounding_unit(torch.ones(1, dtype=torch.int64)) == 2**-52
    assert rounding_unit([1, 2]) == 2**-52


@pytest.mark.parametrize("value", [-1.0, float("inf"), float("nan")])
def test_negative_and_infinite_numbers_are_refused(value):
    with pytest.raises(InvalidValueError, match="ridge"):
        check_not_negative("ridge", value)
