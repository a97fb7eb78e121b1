"""Tests of the names of the kernels."""

from __future__ import annotations

import pytest

from sestina.core.errors import UnknownNameError
from sestina.ntk.pairs import check_kind


@pytest.mark.parametrize("kind", ["nngp", "ntk"])
def test_the_two_kinds_pass(kind):
    assert check_kind(kind) == kind


def test_another_kind_is_refused_with_both_names():
    with pytest.raises(UnknownNameError, match="'NTK', expected 'nngp' or 'ntk'"):
        check_kind("NTK")
