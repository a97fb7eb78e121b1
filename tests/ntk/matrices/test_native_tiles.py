"""Packing, and which instruction set is used."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sestina.core.errors import UnknownNameError
from sestina.ntk import _native
from sestina.ntk.matrices import native_tiles
from tests.ntk.oracles import LEVELS, simd


def test_environment_chooses_among_the_levels_of_this_machine() -> None:
    for level in LEVELS:
        with simd(level):
            assert native_tiles.simd_level() == level
    with simd(""):
        assert native_tiles.simd_level() == _native.simd_level()
    with simd("sse9"), pytest.raises(UnknownNameError, match="unset the variable"):
        native_tiles.simd_level()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("level", LEVELS)
def test_norms_are_those_of_float64_whatever_the_size(dtype: torch.dtype, level: str) -> None:
    x = torch.randn(37, 53, generator=torch.Generator().manual_seed(0), dtype=dtype)
    # float64 rows whose squares overflow or vanish; float32 ones that are denormal.
    sizes = [1.0, 1e-300, 1e300, 1e-310] if dtype == torch.float64 else [1.0, 1e-40, 1e30, 1e-20]
    for size in sizes:
        scaled = x * size
        with simd(level):
            norms = native_tiles.pack(scaled, 2).norms
        rows = scaled.numpy().astype(np.longdouble)
        assert norms == pytest.approx(np.sqrt((rows**2).sum(1)).astype(np.float64), rel=2e-15)


def test_rows_that_are_not_finite_have_norms_that_are_not() -> None:
    x = torch.ones(4, 3)
    x[1, 2], x[2, 0], x[3] = torch.nan, torch.inf, torch.tensor([torch.inf, -torch.inf, 0])
    assert np.isfinite(native_tiles.pack(x, 1).norms).tolist() == [True, False, False, False]
