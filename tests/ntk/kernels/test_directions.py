"""Rows as directions and norms, at the ends of float64, too."""

import math

import pytest
import torch

from sestina.core.errors import InvalidValueError, OffSphereError
from sestina.ntk.kernels.directions import check_range, cosines, polar

DOUBLE = torch.float64


@pytest.mark.parametrize("size", [1.0, 1e-310, 1e-200, 1e200, 1e300])
def test_a_row_of_any_size_has_its_direction_and_its_norm(size):
    x = size * torch.tensor([[3.0, 4.0], [0.0, -1.0]], dtype=DOUBLE)
    directions, radii = polar("x", x, "radial")
    expected = torch.tensor([[0.6, 0.8], [0.0, -1.0]], dtype=DOUBLE)
    torch.testing.assert_close(directions, expected, rtol=1e-12, atol=0)
    assert radii[0].item() == pytest.approx(size * 5 / math.sqrt(2), rel=1e-12)


def test_a_zero_row_has_no_direction():
    directions, radii = polar("x", torch.zeros(1, 3), "radial")
    assert directions.tolist() == [[0.0, 0.0, 0.0]]
    assert radii.tolist() == [0.0]
    with pytest.raises(OffSphereError, match="in row 0, expected a norm above 0"):
        polar("x", torch.zeros(1, 3), "normalise")


def test_forms_refuse_what_they_do_not_take():
    with pytest.raises(OffSphereError, match="in row 1"):
        polar("x", torch.tensor([[1.0, 1.0], [2.0, 1.0]]), "strict")
    with pytest.raises(InvalidValueError, match="form"):
        polar("x", torch.ones(1, 2), "spherical")


def test_equal_and_opposite_rows_are_exact():
    rows = torch.randn(50, 7, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    directions, _ = polar("x", rows, "radial")
    assert (cosines(directions, directions, same=False).diagonal() == 1).all()
    assert (cosines(directions, -directions, same=False).diagonal() == -1).all()


def test_norms_whose_kernel_overflows_are_named():
    radii = torch.tensor([1.0, 1e30], dtype=DOUBLE)
    check_range("x1", radii, "x1", radii, 1.0, DOUBLE)
    with pytest.raises(InvalidValueError, match=r"kernel of x1\[1\] is 1"):
        check_range("x1", radii, "x2", radii[:1] * 1e30, 1.0, torch.float32)
