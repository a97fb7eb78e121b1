"""Kernels whose code is the same have one signature, and others none in common."""

import torch

from sestina.fuser.capture.backend import listening
from sestina.fuser.schedule.kernel import schedule
from sestina.fuser.schedule.signature import signature
from sestina.fuser.segment.groups import segment
from tests.fuser.captured import lowered


def kernel_of(function, *arguments):
    segments = segment(lowered(function, *arguments).graph)
    group, *_ = segments.groups
    return schedule(group, segments.stored)


def signature_of(function, *arguments):
    return signature(kernel_of(function, *arguments))


def scaled(number, dim=-1, dtype=torch.float32):
    return lambda x: (x.to(dtype) * number).softmax(dim)


def test_how_many_rows_there_are_is_no_part_of_a_kernel():
    assert signature_of(scaled(2.0), torch.zeros(8, 40)) == signature_of(
        scaled(2.0), torch.zeros(900, 40)
    )
    # Nor is which numbers its tensors have in their graph.
    with_more = signature_of(lambda y, x: scaled(2.0)(x), torch.ones(3), torch.zeros(8, 40))
    assert with_more == signature_of(scaled(2.0), torch.zeros(8, 40))


def test_what_makes_other_code_makes_another_signature():
    x = torch.zeros(8, 40)
    others = [
        (scaled(2.0), x),
        (scaled(-0.0), x),
        (scaled(0.0), x),
        (scaled(2.0), torch.zeros(8, 48)),
        (scaled(2.0), x.t().contiguous().t()),
        (scaled(2.0), x[:, None].expand(8, 3, 40)),
        (scaled(2.0, dtype=torch.float64), x),
        (scaled(2.0), x.bfloat16().float().bfloat16()),
        (scaled(2.0, dim=0), x),
        (lambda x: (x * 2.0).log_softmax(-1), x),
        (lambda x: (x * 2.0).exp().cumsum(-1), x),
        (lambda x: (x * 2.0).amax(-1), x),
        (lambda x: (x * 2.0).amin(-1), x),
    ]
    found = [signature_of(*one) for one in others]
    assert None not in found
    assert len(set(found)) == len(found)
    kernel = kernel_of(*others[0])
    assert signature(kernel) != signature(kernel, kernel.bases[1:])


def test_how_many_vectors_there_are_is_none_where_only_they_are_divided():
    doubled = [signature_of(lambda x: x * 2, torch.zeros(size)) for size in (8, 40, 1 << 20)]
    assert len(set(doubled)) == 1
    summed = [signature_of(lambda x: (x * 2).sum(), torch.zeros(size)) for size in (8, 40, 80)]
    assert len(set(summed)) == 3


def test_sizes_that_may_change_have_none():
    found = []
    compiled = torch.compile(lambda x: x.exp() * 2, backend="sestina", dynamic=True)
    with listening(found.append):
        compiled(torch.zeros(8, 40))
    (kernel,) = (several[0].kernel for several in found[0].program.kernels)
    assert signature(kernel) is None
