import copy

import pytest
import torch
from torch import nn

from sestina.core.errors import DtypeError, InvalidValueError, ShapeError
from sestina.fuser import optim
from tests.fuser.optimizers import stepped


def test_what_cannot_be_updated_is_refused():
    with pytest.raises(DtypeError, match="complex64"):
        optim.AdamW([torch.zeros(3, dtype=torch.complex64, requires_grad=True)])
    with pytest.raises(InvalidValueError, match="strides"):
        optim.SGD([torch.zeros(6)[::2].requires_grad_()])
    with pytest.raises(InvalidValueError, match="max_norm"):
        optim.Lion([torch.zeros(6, requires_grad=True)], max_norm=0)


@pytest.mark.parametrize("make", [optim.AdamW, optim.SGD, optim.Lion])
@pytest.mark.parametrize(
    ("data", "gradient", "error", "match"),
    [
        (torch.zeros(10, dtype=torch.float64), None, DtypeError, "parameter is torch.float64"),
        (torch.zeros(100_000), None, ShapeError, r"\(10,\), expected \(100000,\)"),
        (torch.zeros(3), None, ShapeError, r"\(10,\), expected \(3,\)"),
        (torch.zeros(10, 1), None, ShapeError, "the state"),
        (torch.zeros(10, dtype=torch.complex64), None, DtypeError, "complex64"),
        (torch.zeros(20)[::2], None, InvalidValueError, "strides"),
        (torch.zeros(1).expand(10), None, InvalidValueError, "strides"),
        (torch.zeros(10), torch.zeros(10).to_sparse(), DtypeError, "sparse=False"),
    ],
)
def test_a_parameter_that_has_changed_is_refused_before_anything_is_written(
    make, data, gradient, error, match
):
    param, optimizer = stepped(make=make)
    other = nn.Parameter(torch.ones(4))
    other.grad = torch.ones(4)
    optimizer.param_groups[0]["params"].insert(0, other)
    kept = optimizer.state[param]
    before = copy.deepcopy(kept)
    param.data = data
    param.grad = torch.ones_like(data) if gradient is None else gradient
    for _ in range(2):  # nor is it taken for checked the second time
        with pytest.raises(error, match=match):
            optimizer.step()
    assert torch.equal(other, torch.ones(4))
    assert kept.pop("step") == before.pop("step")
    assert all(torch.equal(kept[name], before[name]) for name in before)


def test_gradients_of_another_shape_or_none_with_memory_are_refused():
    param, optimizer = stepped()
    param.data = torch.zeros(5)
    with pytest.raises(ShapeError, match="the gradient"):
        optimizer.step()
    param, optimizer = stepped()
    param.untyped_storage().resize_(0)
    with pytest.raises(InvalidValueError, match="memory of its own"):
        optimizer.step()
    param, optimizer = stepped()
    optimizer.state[param]["exp_avg"].untyped_storage().resize_(0)
    with pytest.raises(InvalidValueError, match="memory of its own"):
        optimizer.step()


def test_gradients_that_are_views_of_signs_or_zeros_are_read_as_such():
    for gradient, expected in (
        (torch._neg_view(torch.ones(4)), 1.0),
        (torch._efficientzerotensor(4), 0.0),
    ):
        param = nn.Parameter(torch.zeros(4))
        optimizer = optim.SGD([param], lr=1.0)
        param.grad = torch.zeros(4)
        optimizer.step()
        param.grad = gradient
        optimizer.step()
        assert torch.equal(param.detach(), torch.full((4,), expected))


def test_groups_added_later_are_checked_and_left_out_if_wrong():
    param, optimizer = stepped()
    base = torch.zeros(4, 6)
    for group, error, match in (
        ({"params": base[:, ::2].requires_grad_()}, InvalidValueError, "strides"),
        ({"params": [torch.zeros(3, dtype=torch.complex64)]}, DtypeError, "complex64"),
        ({"params": [torch.zeros(3, device="meta")]}, DtypeError, "meta"),
        ({"params": [torch.zeros(3).to_sparse()]}, DtypeError, "on the CPU"),
        ({"params": [torch.zeros(3)], "lr": -1.0}, InvalidValueError, "lr is -1.0"),
        ({"params": [torch.zeros(3)], "maximize": True}, InvalidValueError, "maximize"),
    ):
        with pytest.raises(error, match=match):
            optimizer.add_param_group(group)
    assert [group["params"] for group in optimizer.param_groups] == [[param]]


def test_parameters_that_share_memory_are_refused():
    base = torch.ones(12)
    apart = [nn.Parameter(base[:6]), nn.Parameter(base[6:]), nn.Parameter(torch.ones(0))]
    shared = nn.Parameter(base[5:8])
    optimizer = optim.SGD([*apart, shared], lr=1.0)
    for param in apart:
        param.grad = torch.ones_like(param)
    optimizer.step()
    assert torch.equal(base, torch.zeros(12))
    shared.grad = torch.ones(3)
    with pytest.raises(InvalidValueError, match="shared by two"):
        optimizer.step()
    shared.data = torch.ones(3)
    optimizer.step()
    shared.data = base[:3]  # of the same shape: the addresses alone have changed
    with pytest.raises(InvalidValueError, match="shared by two"):
        optimizer.step()
    assert torch.equal(base, -torch.ones(12))


def test_gradients_that_share_memory_are_refused_where_they_are_zeroed():
    params = [nn.Parameter(torch.ones(4)) for _ in range(2)]
    for param in params:
        param.grad = torch.ones(4)
    params[1].grad = params[0].grad
    optim.SGD(params, lr=1.0).step()
    assert all(bool((param == 0).all()) for param in params)
    with pytest.raises(InvalidValueError, match="shared by two"):
        optim.SGD(params, lr=1.0, zero=True).step()


NAN = float("nan")
WRONG = [
    (optim.AdamW, {"lr": -1.0}, "lr is -1.0"),
    (optim.AdamW, {"lr": NAN}, "lr is nan"),
    (optim.AdamW, {"lr": torch.ones(2)}, "lr is tensor"),
    (optim.AdamW, {"betas": (1.5, 0.9)}, r"betas is \(1.5, 0.9\)"),
    (optim.AdamW, {"betas": (0.9, 1.0)}, "betas"),
    (optim.AdamW, {"betas": (-0.1, 0.9)}, "betas"),
    (optim.AdamW, {"betas": (0.9,)}, "betas"),
    (optim.AdamW, {"eps": -1e-8}, "eps"),
    (optim.AdamW, {"weight_decay": -1.0}, "weight_decay"),
    (optim.SGD, {"lr": -1.0}, "lr"),
    (optim.SGD, {"momentum": -0.9}, "momentum"),
    (optim.SGD, {"weight_decay": -1.0}, "weight_decay"),
    (optim.SGD, {"nesterov": True}, "momentum is 0.0, expected a number above 0, as nesterov"),
    (optim.Lion, {"lr": -1.0}, "lr"),
    (optim.Lion, {"betas": (0.9, 1.5)}, "betas"),
    (optim.Lion, {"weight_decay": -1.0}, "weight_decay"),
]


@pytest.mark.parametrize(("make", "options", "match"), WRONG)
def test_arguments_out_of_range_are_refused(make, options, match):
    with pytest.raises(InvalidValueError, match=match):
        make([torch.zeros(3, requires_grad=True)], **options)


def test_sparse_gradients_are_refused_with_a_remedy():
    table = nn.Embedding(5, 3, sparse=True)
    table(torch.tensor([1, 2])).sum().backward()
    for options in ({}, {"max_norm": 1.0}, {"zero": True}):
        with pytest.raises(DtypeError, match="sparse=False"):
            optim.AdamW(table.parameters(), **options).step()


def test_weight_decay_of_sgd_is_not_taken_for_pytorchs_dampening():
    with pytest.raises(TypeError, match="positional"):
        optim.SGD([torch.zeros(3, requires_grad=True)], 0.1, 0.9, 0.1)
