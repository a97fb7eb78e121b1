import pytest
import torch
from torch.nn import functional

from sestina.fuser.ir.nodes import Builder
from sestina.fuser.segment.axes import Domain, Refusal
from sestina.fuser.segment.groups import segment
from tests.fuser.captured import lowered


def groups_of(function, *arguments):
    """The kinds of the nodes of each kernel, and the names of ATen's calls."""
    groups = segment(lowered(function, *arguments).graph).groups
    return [
        str(group.nodes[0].attributes["target"]) if group.is_opaque else group.nodes
        for group in groups
    ]


x = torch.zeros(8, 32)
ONE_KERNEL = {
    "a chain": (lambda x: (x + 1).exp().neg() * 2, x),
    "layer norm and gelu": (
        lambda x, w: functional.gelu(functional.layer_norm(x, (32,), w)),
        x,
        torch.zeros(32),
    ),
    "softmax": (lambda x: x.softmax(-1) * 2, x),
    "sums of rows and of columns": (lambda x: (x.exp().sum(0), x.exp().sum(1)), x),
    "a row of sums used again": (lambda x: x / x.sum(-1, keepdim=True), x),
    "heads": (lambda x: x.exp().view(8, 4, 8).transpose(0, 1).contiguous() * 2, x),
    "cross entropy": (
        lambda x, t: functional.cross_entropy(x, t, reduction="none"),
        x,
        torch.zeros(8).long(),
    ),
    "two that read the same": (lambda x: (x + 1, x * 2), x),
    "a bias's gradient beside the row's": (
        lambda g, y: (y * (g - (g * y).sum(-1, True)), g.sum(0)),
        x,
        x,
    ),
}


@pytest.mark.parametrize("name", ONE_KERNEL)
def test_these_are_one_kernel(name):
    function, *arguments = ONE_KERNEL[name]
    assert len(groups_of(function, *arguments)) == 1


def test_a_product_of_matrices_is_atens_and_what_surrounds_it_is_fused():
    groups = groups_of(lambda x, w: functional.gelu((x + 1) @ w + 2), x, torch.zeros(32, 16))
    assert [group if isinstance(group, str) else "kernel" for group in groups] == [
        "kernel",
        "aten.mm.default",
        "kernel",
    ]


def test_a_kernel_does_not_wait_for_itself():
    # The sum needs both branches, one of which leaves by way of ATen.
    def function(x):
        y = x.exp()
        return y + torch.sort(y).values

    groups = segment(lowered(function, x).graph).groups
    assert [group.is_opaque for group in groups] == [False, True, False]


def test_a_tensor_and_its_transpose_do_not_share_loops():
    square = torch.zeros(32, 32)
    assert len(groups_of(lambda x: x.exp() + x.exp().t(), square)) == 2


def test_sums_over_different_loops_are_kernels_of_their_own():
    groups = groups_of(lambda x: x.softmax(0).softmax(1), x)
    assert len(groups) >= 2


def test_what_is_made_of_numbers_belongs_to_each_of_its_users():
    b = Builder()
    places = b.make("iota", (), (4,), torch.int64, dim=0)
    assert b.apply("add", places, b.constant(1, torch.int64)).is_free
    given = b.make("input", (), (4,), torch.int64, index=0)
    assert not b.apply("add", places, given).is_free


def node_of(b, *shape):
    return b.make("input", (), shape, torch.float32, index=0)


def test_runs_are_unified_and_cut():
    b, domain = Builder(), Domain()
    flat, cube = (
        b.make("neg", (node_of(b, *shape),), shape, torch.float32) for shape in ((24,), (2, 3, 4))
    )
    domain.add(flat)
    domain.add(cube)
    domain.unify(domain.axes_of(flat), domain.axes_of(cube))
    assert [axis.extent for axis in domain.axes_of(flat)] == [2, 3, 4]
    assert domain.axes_of(flat) == domain.axes_of(cube)


def test_what_was_refused_leaves_no_trace():
    b, domain = Builder(), Domain()
    first, second = (
        b.make("neg", (node_of(b, *shape),), shape, torch.float32) for shape in ((24,), (4, 6))
    )
    domain.add(first)
    before = domain.axes_of(first)
    mark = domain.mark()
    domain.add(second)
    domain.unify(domain.axes_of(first), domain.axes_of(second))
    domain.rollback(mark)
    assert domain.axes_of(first) == before
    assert second not in domain.dims


def test_six_is_not_four():
    b, domain = Builder(), Domain()
    first, second = (b.make("neg", (node_of(b, n),), (n,), torch.float32) for n in (6, 4))
    domain.add(first)
    domain.add(second)
    with pytest.raises(Refusal, match="6 and 4"):
        domain.unify(domain.axes_of(first), domain.axes_of(second))


def test_why_nodes_were_kept_apart_is_kept():
    graph = lowered(lambda x: x.exp() + x.exp().t(), torch.zeros(32, 32)).graph
    assert any("diagonal" in reason for _, reason in segment(graph).refusals)
