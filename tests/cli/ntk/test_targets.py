"""Targets on the command line: each error names a remedy that helps."""

import pytest

from sestina.cli.ntk.targets import read_target
from sestina.core.errors import DivergentKernelError, OptionError


@pytest.mark.parametrize(
    ("text", "kind", "parts"),
    [
        ("poly:1e308,1e308", "ntk", ("poly:1e308,1e308 is", "choose smaller numbers")),
        ("exp:b=100", "ntk", ("ntk of exp:b=100", "choose smaller numbers")),
        ("exp:b=100", "nngp", ("nngp of exp:b=100", "choose smaller numbers")),
        ("sign", "ntk", ("ntk of sign", "add --kind nngp")),
    ],
)
def test_an_infinite_kernel_has_the_remedy_that_helps(text, kind, parts):
    with pytest.raises(DivergentKernelError) as caught:
        read_target(text, kind)
    for part in parts:
        assert part in str(caught.value)


def test_blanks_are_shown():
    with pytest.raises(OptionError, match="target is '  ', expected"):
        read_target("  ", "ntk")
