"""Rewrites of captured graphs: what is kept is less, and a mistake costs speed alone."""

import pytest
import torch
from torch._dynamo.exc import BackendCompilerFailed
from torch.nn import functional

from sestina.fuser import FallbackWarning, fuse
from sestina.fuser.capture import backend, fallbacks, rewrites
from sestina.fuser.capture.backend import listening

pytestmark = pytest.mark.usefixtures("fresh_compiler")

x = torch.randn(64, 48, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch):
    monkeypatch.setattr(fallbacks, "_said", set())


def broken(*_):
    raise KeyError("a mistake")


def trained(function):
    leaf = x.clone().requires_grad_()
    result = function(leaf)
    result.sum().backward()
    return result.detach(), leaf.grad


def bent(x):
    return functional.relu(x.exp() - 2) * x.softmax(-1)


@pytest.mark.parametrize("name", rewrites.TRAINING)
def test_a_rewrite_that_fails_is_said_and_left_out(name, monkeypatch):
    monkeypatch.setattr(rewrites, "TRAINING", {**rewrites.TRAINING, name: broken})
    with pytest.warns(FallbackWarning, match="rewriting failed"):
        made = trained(fuse(bent))
    for mine, theirs in zip(made, trained(bent), strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("stage", ["lower", "assemble"])
def test_a_stage_that_fails_leaves_the_graph_to_pytorch(stage, monkeypatch):
    monkeypatch.setattr(backend, stage, broken)
    with pytest.warns(FallbackWarning, match="no kernels for it, KeyError"):
        made = trained(fuse(bent))
    for mine, theirs in zip(made, trained(bent), strict=True):
        torch.testing.assert_close(mine, theirs)
    with torch.no_grad(), pytest.raises(BackendCompilerFailed, match=r"NotFusedError.*no kernels"):
        fuse(bent, strict=True)(x)


def kept_bytes(function):
    """Of what the forward pass hands to the backward pass, besides arguments."""
    found = []
    with listening(found.append):
        trained(fuse(function))
    forward = found[0].graph
    given = set(forward.inputs)
    _, *kept = [node for node in forward.results if node not in given]
    return sum(int(node.num_elements) * node.dtype.itemsize for node in kept)


def test_a_threshold_keeps_a_byte_for_an_element():
    assert kept_bytes(lambda x: functional.relu(x.sin().cumsum(0))) == x.numel()


def test_logarithms_of_softmax_keep_two_numbers_of_a_row():
    target = torch.zeros(64, dtype=torch.long)
    assert kept_bytes(lambda x: functional.cross_entropy(x, target)) <= 3 * 4 * 64


@pytest.mark.parametrize("padding", [None, 3])
def test_rows_are_added_into_the_gradient_that_a_table_has(padding):
    table, places = torch.randn(40, 16), torch.randint(40, (5, 7))

    def tied(table):
        found = functional.embedding(places, table, padding_idx=padding).tanh()
        again = functional.embedding(places[:2], table, padding_idx=padding)
        return (found @ table.t()).softmax(-1).square().sum() + again.sin().sum()

    found, gradients = [], []
    with listening(found.append):
        for function in (fuse(tied), tied):
            leaf = table.clone().requires_grad_()
            gradients.append(torch.autograd.grad(function(leaf), leaf)[0])
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)
    tables = [node for node in found[1].graph.nodes if node.kind == "scatter"]
    assert len(tables) == 2
    assert not any(node.kind == "add" and node.shape == (40, 16) for node in found[1].graph.nodes)


def test_separate_results_have_memory_of_their_own():
    def functions():
        yield lambda x: ((x + 1)[:2], (x + 1)[:2])
        yield lambda x: ((x + 1)[:2], (x + 1)[1:])
        yield lambda x: (x.relu(), x.relu()[0])
        yield lambda x: ((x + 1).t(), (x + 1).view(-1))
        yield lambda x: (torch.split(x + 1, 32)[0], torch.split(x + 1, 32)[0])

    for function in functions():
        first, second = fuse(function)(x)
        before = first.clone()
        second.fill_(7)
        assert torch.equal(first, before)


def test_views_of_one_result_share_its_memory():
    def function(x):
        y = x + 1
        return y, y[:2], y.t()

    whole, part, turned = fuse(function)(x)
    assert whole.data_ptr() == part.data_ptr() == turned.data_ptr()
