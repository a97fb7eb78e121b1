import pytest
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st

from sestina.fuser.ir.extents import contiguous_strides, divided, extent_of, product
from sestina.fuser.ir.layouts import Layout
from sestina.fuser.ir.nodes import Builder, broadcast, layout_of, topological
from tests.fuser.captured import lowered

s0 = sympy.Symbol("s0", integer=True, positive=True)


def test_extents_divide_where_the_quotient_is_whole():
    assert divided(12, 4) == 3
    assert divided(12, 5) is None
    assert divided(0, 0) is None
    assert divided(6 * s0, s0) == 6
    assert divided(6 * s0, 3) == 2 * s0
    assert divided(s0, 2) is None
    assert divided(6, s0) is None


def test_the_product_of_nothing_is_one():
    assert product([]) == 1
    assert product([2, s0, 3]) == 6 * s0
    assert extent_of(sympy.Integer(4)) == 4


def laid_out(layout, storage):
    return torch.as_strided(storage, layout.shape, layout.strides, layout.offset)


shapes = st.lists(st.sampled_from([1, 2, 3, 4, 6]), max_size=4)


@given(shapes, st.randoms(use_true_random=False))
def test_views_of_layouts_are_those_of_pytorch(shape, rng):
    storage = torch.arange(4 * product(shape) + 64)
    order = list(range(len(shape)))
    rng.shuffle(order)
    layout = Layout.contiguous(shape).permuted(order)
    tensor = storage[: product(shape)].reshape(shape).permute(order)
    assert torch.equal(laid_out(layout, storage), tensor)
    assert layout.is_dense
    if shape:
        dim = rng.randrange(len(shape))
        step, start = rng.choice([1, 2]), rng.randrange(layout.shape[dim])
        extent = -(-(layout.shape[dim] - start) // step)
        sliced = layout.sliced(dim, start, extent, step)
        index = [slice(None)] * dim + [slice(start, None, step)]
        assert torch.equal(laid_out(sliced, storage), tensor[tuple(index)])
    flat = layout.reshaped([product(shape)])
    try:
        seen = tensor.view(-1)
    except RuntimeError:
        assert flat is None
    else:
        assert flat is not None
        assert torch.equal(laid_out(flat, storage), seen)


def test_a_repeated_dimension_has_stride_zero_and_is_not_dense():
    layout = Layout.contiguous([1, 3]).expanded([5, 3])
    assert layout.strides == (0, 1)
    assert not layout.is_dense
    assert Layout((s0, 3), (1, s0)).is_dense
    assert contiguous_strides((2, 0, 3)) == (3, 3, 1)


def test_equal_nodes_are_one_and_zeros_of_two_signs_are_two():
    b = Builder()
    x = b.make("input", (), (4,), torch.float32, index=0)
    one = b.constant(1, torch.float32)
    assert b.apply("add", x, one) is b.apply("add", x, one)
    assert b.constant(0.0, torch.float32) is not b.constant(-0.0, torch.float32)
    assert b.make("input", (), (4,), torch.float32, index=0) is not x


def test_what_is_repeated_is_computed_once():
    b = Builder()
    x = b.make("input", (), (4, 1), torch.float32, index=0)
    doubled = b.apply("mul", b.expand(x, (4, 9)), b.constant(2, torch.float32))
    assert doubled.kind == "expand"
    assert doubled.inputs[0].shape == (4, 1)


def test_shapes_broadcast_from_the_last_dimension():
    assert broadcast([(3, 1), (5,), ()]) == (3, 5)


def test_the_layout_of_a_view_follows_its_base():
    b = Builder()
    x = b.make("input", (), (4, 6), torch.float32, index=0)
    x.layout = Layout((4, 6), (6, 1))
    turned = b.permute(x, (1, 0))
    assert layout_of(turned) == Layout((6, 4), (1, 6))
    assert layout_of(b.reshape(turned, (24,))) is None
    assert layout_of(b.slice(x, 1, 2, 3)) == Layout((4, 3), (6, 1), 2)


def test_operands_come_before_their_users_without_recursion():
    b = Builder()
    node = b.make("input", (), (4,), torch.float32, index=0)
    for _ in range(5000):
        node = b.make("neg", (node,), (4,), torch.float32)
    order = topological([node])
    assert len(order) == 5001
    assert order[-1] is node


def test_a_graph_prints_a_line_for_each_node():
    graph = lowered(lambda x: x.exp().sum(0), torch.zeros(2, 3)).graph
    assert str(graph).splitlines() == [
        "v1: float32[2, 3] = input(index=0)",
        "v2: float32[2, 3] = exp(v1)",
        "v3: float32[3] = reduce(v2, how=sum, dims=(0,))",
        "return v3",
    ]


@pytest.mark.parametrize("value", [1e300, -1e300])
def test_constants_of_float32_may_be_infinite_there(value):
    graph = lowered(lambda x: x + value, torch.zeros(3)).graph
    assert any(node.kind == "constant" for node in graph.nodes)
