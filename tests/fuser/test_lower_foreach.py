import pytest
import torch

from sestina.fuser.lower.expressions import NotLowered
from sestina.fuser.lower.foreach import elementwise_of, single_calls
from tests.fuser.captured import assert_as_eager

A, B = torch.linspace(0.5, 2, 24).reshape(4, 6), torch.linspace(-1, 1, 5)
LISTS = {
    "add": lambda a, b: torch._foreach_add([a, b], [b.sum() * a, b], alpha=2),
    "add number": lambda a, b: torch._foreach_add([a, b], 0.5),
    "add numbers": lambda a, b: torch._foreach_add([a, b], [0.5, 2.0]),
    "sub": lambda a, b: torch._foreach_sub([a, b], [a, b * 2], alpha=0.5),
    "mul by a tensor": lambda a, b: torch._foreach_mul([a, b], b[0]),
    "div": lambda a, b: torch._foreach_div([a, b], [a, b + 3]),
    "addcmul": lambda a, b: torch._foreach_addcmul([a, b], [a, b], [a, b], 0.3),
    "addcdiv numbers": lambda a, b: torch._foreach_addcdiv([a, b], [a, b], [a, b + 3], [0.3, 2.0]),
    "lerp": lambda a, b: torch._foreach_lerp([a, b], [a * 2, b * 2], 0.1),
    "lerp by tensors": lambda a, b: torch._foreach_lerp([a, b], [a * 2, b * 2], [a, b]),
    "pow of a number": lambda a, b: torch._foreach_pow(0.9, [a, b]),
    "pow by a number": lambda a, b: torch._foreach_pow([a, b + 2], 2),
    "unary": lambda a, b: [*torch._foreach_sqrt([a]), *torch._foreach_neg([a, b])],
    "maximum": lambda a, b: torch._foreach_maximum([a, b], [a, -b]),
    "clamp": lambda a, b: torch._foreach_clamp_min([a, b], 0.7),
    "clamp from above": lambda a, b: torch._foreach_clamp_max([a, b], [0.7, 0.1]),
}


@pytest.mark.parametrize("name", LISTS)
def test_each_tensor_of_a_list_is_computed_as_by_itself(name):
    assert_as_eager(LISTS[name], A, B)


def test_numbers_of_all_tensors_in_one_tensor_are_left_to_aten():
    target = torch.ops.aten._foreach_addcmul.Tensor
    with pytest.raises(NotLowered, match="one tensor"):
        list(single_calls(target, [[A], [A], [A], B], {}))


def test_calls_that_are_not_of_each_element_are_left_to_aten():
    assert elementwise_of(torch.ops.aten._foreach_norm.Scalar) is None
    assert elementwise_of(torch.ops.aten.mm.default) is None
