"""Origins: kept by a design and its file."""

from dataclasses import replace

import pytest

from sestina.ntk.designs.inverse import Design, design
from sestina.ntk.designs.origins import Origin
from sestina.ntk.kernels.dot_product import DotProductKernel


@pytest.mark.parametrize(
    "origin",
    [
        None,
        Origin(text="poly:0,1"),
        Origin(text="nearest to poly:0,1,-1", nearest_of="poly:0,1,-1", distance=1.0),
    ],
)
def test_an_origin_comes_back_from_the_file(origin, tmp_path):
    made = design(DotProductKernel.from_coefficients([0.0, 1.0]), form="hermite", degree=1)
    replace(made, origin=origin).save(tmp_path / "design.json")
    assert Design.load(tmp_path / "design.json").origin == origin
