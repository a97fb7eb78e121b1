"""What a graph computes twice is computed once; what only looks alike is not."""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from sestina.fuser.capture.duplicates import merge_duplicates

ATEN = torch.ops.aten


def merged(function, *inputs):
    captured = make_fx(function, tracing_mode="fake")(*inputs)
    merge_duplicates(captured.graph)
    captured.recompile()
    return captured


def count(captured, target):
    return len(captured.graph.find_nodes(op="call_function", target=target))


def test_equal_calls_are_made_once():
    x = torch.randn(4)
    captured = merged(lambda x: (x.exp() + 1) * (x.exp() + 1), x)
    assert count(captured, ATEN.exp.default) == count(captured, ATEN.add.Tensor) == 1
    torch.testing.assert_close(captured(x), (x.exp() + 1) ** 2)


@pytest.mark.parametrize(
    ("first", "second"), [(0.0, -0.0), (1, 1.0), (1, True)], ids=["sign", "float", "bool"]
)
def test_arguments_that_compare_equal_are_not_always_the_same(first, second):
    def function(x):
        return torch.full((2,), first).exp() + x, torch.full((2,), second).exp() + x

    assert count(merged(function, torch.ones(2)), ATEN.full.default) == 2


def test_two_results_are_two_tensors():
    x = torch.randn(3)
    first, second = merged(lambda x: (x.exp(), x.exp()), x)(x)
    assert first.data_ptr() != second.data_ptr()
    first, second = merged(lambda x: (x.exp().view(3, 1), x.exp()), x)(x)
    assert first.untyped_storage().data_ptr() != second.untyped_storage().data_ptr()


def test_random_numbers_are_drawn_each_time():
    captured = merged(lambda x: (torch.rand_like(x) * torch.rand_like(x)).sum(), torch.ones(4))
    assert count(captured, ATEN.rand_like.default) == 2


def test_unset_memory_is_not_shared():
    def function(x):
        return torch.empty(4).copy_(x) + torch.empty(4).copy_(x + 1)

    assert count(merged(function, torch.ones(4)), ATEN.empty.memory_format) == 2


def test_what_is_read_before_and_after_a_write_differs():
    def function(x):
        before = x.exp()
        x.add_(1)
        return before + x.exp()

    captured = merged(function, torch.zeros(2))
    assert count(captured, ATEN.exp.default) == 2
    torch.testing.assert_close(captured(torch.zeros(2)), torch.full((2,), 1 + torch.e))


def test_parts_of_one_result_are_equal_by_their_place():
    def function(x):
        first, second = torch.split(x, 2)
        again, _ = torch.split(x, 2)
        return first * again + second

    x = torch.arange(4.0)
    captured = merged(function, x)
    assert len([node for node in captured.graph.nodes if node.op == "call_function"]) == 5
    torch.testing.assert_close(captured(x), x[:2] ** 2 + x[2:])


def test_operations_of_others_are_left_alone():
    calls = []

    @torch.library.custom_op("tests::told", mutates_args=())
    def told(x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return x.clone()

    told.register_fake(torch.empty_like)
    captured = merged(lambda x: told(x) + told(x), torch.ones(2))
    captured(torch.ones(2))
    assert len(calls) == 2
