"""Arguments that a compiled function writes to: as in eager, whatever reads them, and when."""

import pytest
import torch

from sestina.fuser import fuse
from sestina.fuser.capture.backend import listening


def scaled(a, _b):
    a.mul_(2)


def one_after_the_other(a, b):
    a.copy_(b + 1)
    b.add_(a)


def both_from_the_old(a, b):
    old = a + 0
    a.copy_(b + 1)
    b.copy_(old + 2)


def swapped(a, b):
    old = a.clone()
    a.copy_(b)
    b.copy_(old)


def transposed(a, _b):
    a.copy_(a.t() + 1)


def normalised(a, _b):
    a.copy_(torch.softmax(a, -1))


def used_later(a, b):
    a.add_(1)
    return (a @ b).relu() + a


def given_back(a, b):
    a.add_(b)
    return a


def a_part(a, b):
    a[1:3].add_(b[0])


def read_by_aten(a, b):
    product = a @ b
    a.add_(1)
    return product


WRITERS = [
    scaled,
    one_after_the_other,
    both_from_the_old,
    swapped,
    transposed,
    normalised,
    used_later,
    given_back,
    a_part,
    read_by_aten,
]


@pytest.mark.parametrize("is_transposed", [False, True])
@pytest.mark.parametrize("write", WRITERS, ids=lambda function: function.__name__)
def test_what_is_written_is_what_eager_writes(write, is_transposed):
    torch._dynamo.reset()
    generator = torch.Generator().manual_seed(0)
    mine = [torch.randn(16, 16, generator=generator) for _ in range(2)]
    if is_transposed:
        mine[0] = mine[0].t()
    theirs = [tensor.clone() for tensor in mine]
    compiled = fuse(write)
    for _ in range(2):
        torch.testing.assert_close(compiled(*mine), write(*theirs))
        torch.testing.assert_close(mine, theirs)


def sources(write):
    torch._dynamo.reset()
    found = []
    with listening(found.append):
        fuse(write)(torch.zeros(16, 16), torch.zeros(16, 16))
    return "".join(one.program.source for one in found)


def test_an_argument_is_overwritten_by_the_kernel_that_reads_it():
    assert "empty(" not in sources(scaled)
    assert "copy_" not in sources(scaled)
    assert "copy_" not in sources(normalised)


def test_what_is_read_at_other_places_is_written_beside_and_copied():
    assert "copy_" in sources(transposed)
    assert "copy_" in sources(read_by_aten)
