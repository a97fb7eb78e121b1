import functools
import random

import pytest
import torch
from torch import nn

from sestina.fuser import fuse
from sestina.fuser.optim import AdamW
from sestina.fuser.trial import has_graph, run_once, unchanged


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("seen", torch.zeros(4))

    def forward(self, x):
        self.seen += x.detach().sum(0)
        return self.linear(x)


MODEL = Counting()


def of_a_global(x):
    return MODEL(x)


def of_a_closure(model):
    return lambda x: model(x) * 2


@pytest.mark.parametrize(
    "function",
    [
        MODEL,
        MODEL.forward,
        of_a_global,
        of_a_closure(MODEL),
        functools.partial(of_a_global),
        functools.partial(lambda model, x: model(x), MODEL),
    ],
)
def test_a_model_is_found_however_it_is_reached(function):
    with unchanged(function):
        run_once(function, (torch.ones(2, 4),), {})
        assert MODEL.linear.weight.grad is not None
        assert MODEL.seen.sum() > 0
    assert MODEL.linear.weight.grad is None
    assert MODEL.seen.sum() == 0


def test_gradients_that_were_there_keep_their_elements():
    model = Counting()
    run_once(model, (torch.ones(2, 4),), {})
    gradient = model.linear.weight.grad
    before = gradient.clone()
    with unchanged(model):
        run_once(model, (torch.ones(2, 4),), {})
    assert model.linear.weight.grad is gradient
    assert torch.equal(gradient, before)


@pytest.mark.parametrize("kind", [torch.optim.AdamW, AdamW])
def test_a_step_of_an_optimizer_is_taken_back(kind):
    model = Counting()
    run_once(model, (torch.ones(2, 4),), {})
    optimizer = kind(model.parameters(), lr=0.1)
    optimizer.step()
    weight = model.linear.weight.detach().clone()
    steps = float(optimizer.state[model.linear.weight]["step"])
    with unchanged(optimizer.step):
        optimizer.step()
        assert not torch.equal(model.linear.weight, weight)
    assert torch.equal(model.linear.weight, weight)
    assert float(optimizer.state[model.linear.weight]["step"]) == steps


def test_what_an_optimizer_had_not_is_gone():
    model = Counting()
    run_once(model, (torch.ones(2, 4),), {})
    optimizer = torch.optim.AdamW(model.parameters())
    with unchanged(optimizer):
        optimizer.step()
    assert not optimizer.state


def test_arguments_and_random_numbers_are_put_back_after_an_error():
    x = torch.zeros(3)
    torch_state, state = torch.get_rng_state(), random.getstate()

    def fail():
        with unchanged(fail, [x]):
            x.add_(torch.rand(3) + random.random())
            raise ValueError(x.sum())

    with pytest.raises(ValueError, match="tensor"):
        fail()
    assert torch.equal(x, torch.zeros(3))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert random.getstate() == state


def test_parts_of_tensors_and_names_without_a_value_are_no_obstacle():
    whole = torch.zeros(4, 4)
    part = whole[:, ::2]

    def write():
        part.add_(1)
        return later

    with unchanged(write):
        part.add_(1)
    later = part
    assert torch.equal(later, torch.zeros(4, 2))


def test_tensors_that_cannot_be_copied_are_left_alone():
    sparse = torch.eye(3).to_sparse()
    repeated = torch.full((1,), float("nan")).expand(3)
    with torch.inference_mode():
        inferred = torch.zeros(2)
    meta = torch.empty(2, device="meta")
    with unchanged(sparse, repeated, inferred, meta), torch.inference_mode():
        inferred += 1
    assert torch.equal(inferred, torch.zeros(2))


def test_the_backward_pass_runs_from_the_first_result_that_has_one():
    x = torch.ones(3, requires_grad=True)
    run_once(lambda x, y: {"a": [y, x * 2], "b": x * 3}, (x,), {"y": torch.ones(2)})
    assert x.grad.tolist() == [2, 2, 2]


def test_what_was_computed_before_can_be_gone_through_again_and_its_parameters_are_put_back():
    weight = torch.ones(3, requires_grad=True)
    hidden = (weight * 2).exp()
    assert has_graph([hidden])
    assert not has_graph([weight])
    with unchanged(hidden):
        for _ in range(2):
            run_once(torch.sin, (hidden,), {}, keeps=True)
        assert weight.grad is not None
    assert weight.grad is None


def test_a_backward_pass_frees_its_graph_as_in_training():
    kept = []

    def function(x):
        kept.append(x.exp())
        return kept[-1]

    run_once(function, (torch.ones(3, requires_grad=True),), {})
    with pytest.raises(RuntimeError, match="second time"):
        kept[0].sum().backward()


def test_sizes_that_were_dynamic_are_not_remembered_by_the_arguments():
    x = torch.randn(8, 32, requires_grad=True)
    with unchanged(x):
        fuse(lambda x: nn.functional.layer_norm(x, (32,)), dynamic=True)(x)
        assert vars(x), "TorchDynamo marks tensors no more: unchanged need not know of it"
    assert not vars(x)
