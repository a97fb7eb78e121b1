import torch
from torch.nn import functional

from sestina.fuser.schedule.kernel import schedule
from sestina.fuser.segment.groups import segment
from tests.fuser.captured import lowered


def kernel_of(function, *arguments):
    segments = segment(lowered(function, *arguments).graph)
    (group,) = segments.groups
    return schedule(group, segments.stored)


x = torch.zeros(8, 4, 32)


def test_contiguous_tensors_are_one_loop_without_rows():
    kernel = kernel_of(lambda x: x.exp() + 1, x)
    assert kernel.loops.rows == ()
    assert kernel.loops.columns == ()
    assert kernel.loops.vector.extent == 8 * 4 * 32


def test_a_vector_repeated_over_rows_keeps_two_loops():
    kernel = kernel_of(lambda x, w: x + w, torch.zeros(64, 32), torch.zeros(32))
    assert [loop.extent for loop in kernel.loops.rows] == [64]
    assert kernel.loops.vector.extent == 32


def test_a_normalisation_is_three_passes_over_each_row():
    kernel = kernel_of(lambda x: functional.layer_norm(x, (32,)), x)
    assert kernel.loops.num_rows == 32
    assert [(len(one.reductions), len(one.roots)) for one in kernel.passes] == [
        (1, 0),
        (1, 0),
        (0, 1),
    ]
    assert kernel.row_roots == ()


def test_what_is_one_number_a_row_is_stored_when_the_row_is_done():
    kernel = kernel_of(lambda x: x / x.sum(-1, keepdim=True) + x.sum(-1, keepdim=True), x)
    assert kernel.row_roots == ()
    kernel = kernel_of(lambda x: (x.exp(), x.sum(-1)), x)
    assert [root.kind for root in kernel.row_roots] == ["store"]


def test_what_is_dear_is_kept_for_the_next_pass_and_what_is_cheap_is_read_again():
    cheap = kernel_of(lambda x: (x + 1).softmax(-1), x)
    assert [step.kind for one in cheap.passes for step in one.keeps] == ["exp"]
    dear = kernel_of(lambda x: functional.layer_norm(functional.gelu(x), (32,)), x)
    assert [len(one.keeps) for one in dear.passes] == [1, 0, 0]


def test_sums_over_rows_are_totals():
    kernel = kernel_of(lambda x: (x.sum((0, 1)), x.exp()), x)
    assert [root.kind for root in kernel.roots].count("total") == 1
    assert kernel.varies(kernel.totals[0])


def test_a_sum_of_everything_has_one_place_for_each_part():
    kernel = kernel_of(lambda x: x.sum(), x)
    assert len(kernel.totals) == 1
    assert not kernel.varies(kernel.totals[0])
