"""Memory written again: only where nobody else has it, and results stay what they are."""

import sys

import numpy as np
import pytest
import torch
from torch.nn import functional

from sestina.fuser.memory import MIN_BYTES, empty, taken
from tests.fuser.captured import program

WIDTH = 1024
ROWS = MIN_BYTES // 4 // WIDTH


HOLDERS = [
    lambda tensor: [tensor],
    lambda tensor: tensor[0],
    lambda tensor: tensor.detach(),
    lambda tensor: tensor.untyped_storage(),
]


def matrix(seed=0):
    return torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(seed))


def test_memory_that_nobody_has_is_taken():
    old = empty((ROWS, WIDTH), (WIDTH, 1), torch.float32)
    place = old.data_ptr()
    made = taken(old, sys.getrefcount(old), (ROWS, WIDTH), (WIDTH, 1), torch.float32)
    assert made.data_ptr() == place


@pytest.mark.parametrize("held", HOLDERS)
def test_memory_that_somebody_has_is_not(held):
    old = empty((ROWS, WIDTH), (WIDTH, 1), torch.float32)
    other = held(old)
    made = taken(old, sys.getrefcount(old), (ROWS, WIDTH), (WIDTH, 1), torch.float32)
    assert made.data_ptr() != old.data_ptr()
    del other


def test_memory_that_is_not_of_tensors_is_not_taken():
    array = np.ones((ROWS, WIDTH), dtype=np.float32)
    old = torch.from_numpy(array)
    made = taken(old, sys.getrefcount(old), (ROWS, WIDTH), (WIDTH, 1), torch.float32)
    assert made.data_ptr() != array.ctypes.data


def test_a_chain_of_products_writes_over_what_it_has_read():
    x, w = matrix(), torch.eye(WIDTH) * 2

    def function(x, w):
        return torch.tanh(x @ w).sin() @ w

    compiled = program(function, x, w, allow_aten=True)
    assert "taken(" in compiled.source
    before = x.clone()
    (result,) = compiled.run([x, w])
    assert torch.equal(x, before)
    torch.testing.assert_close(result, function(x, w))


@pytest.mark.parametrize("keep", [True, False])
def test_scores_are_written_over_only_where_nobody_keeps_them(keep):
    torch._dynamo.reset()
    weight = torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(1)) / 32
    target = torch.arange(ROWS) % WIDTH

    def function(x, w):
        scores = x @ w
        return functional.cross_entropy(scores, target), scores

    compiled = torch.compile(function, backend="sestina")
    for seed in range(2):
        gradients = []
        for one in (compiled, function):
            x, w = matrix(seed).requires_grad_(), weight.clone().requires_grad_()
            loss, scores = one(x, w)
            before = scores.detach().clone()
            if not keep:
                del scores
            loss.backward(retain_graph=keep)
            if keep:
                assert torch.equal(scores, before)
                loss.backward()
            gradients.append((x.grad, w.grad))
        for mine, theirs in zip(*gradients, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-7)


def test_logarithms_of_probabilities_are_not_kept_beside_their_scores():
    torch._dynamo.reset()
    packed = []

    def keep(tensor):
        packed.append(tensor.numel())
        return tensor

    target = torch.arange(ROWS) % WIDTH

    def function(x, w):
        scores = x @ w
        return functional.cross_entropy(scores, target), scores

    x, w = matrix().requires_grad_(), torch.eye(WIDTH).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        torch.compile(function, backend="sestina")(x, w)
    # The operands of the product and the scores; not as many logarithms again.
    assert sum(count >= x.numel() for count in packed) <= 3
