import pytest
import torch
from torch.nn import functional

from sestina.fuser import gemm
from sestina.fuser.capture.backend import listening


@pytest.mark.parametrize("is_faster", [True, False], ids=["onednn", "aten"])
@pytest.mark.parametrize("first", ["rows", "columns"])
@pytest.mark.parametrize("second", ["rows", "columns", "gaps"])
def test_products_are_as_exact_either_way(is_faster, first, second, monkeypatch):
    monkeypatch.setattr(gemm, "prefers_onednn", lambda *_: is_faster)
    a = torch.randn(300, 200) if first == "rows" else torch.randn(200, 300).t()
    b = torch.randn(200, 250) if second == "rows" else torch.randn(250, 200).t()
    if second == "gaps":
        b = torch.randn(200, 500)[:, ::2]
    bias = torch.randn(250)
    for made, true in (
        (gemm.mm(a, b), a.double() @ b.double()),
        (gemm.addmm(bias, a, b), bias.double() + a.double() @ b.double()),
    ):
        # 1e-6 is what the compiler promises of a product, relative to the norm.
        assert (made - true).norm() <= 1e-6 * true.norm()
        assert made.stride() == (250, 1)


def test_small_products_other_dtypes_and_matrices_added_are_atens():
    a, b = torch.randn(3, 4), torch.randn(4, 5)
    assert torch.equal(gemm.mm(a, b), a @ b)
    assert torch.equal(gemm.mm(a.double(), b.double()), a.double() @ b.double())
    assert torch.equal(gemm.addmm(torch.ones(3, 5), a, b), torch.addmm(torch.ones(3, 5), a, b))
    half = gemm.addmm(torch.ones(5).bfloat16(), a.bfloat16(), b.bfloat16())
    assert half.dtype is torch.bfloat16


def test_the_choice_is_made_once_for_each_way_that_operands_lie():
    for second in ("rows", "columns"):
        made = [gemm.prefers_onednn(second, torch.get_num_threads()) for _ in range(2)]
        assert made[0] is made[1]


def test_a_first_operand_that_onednn_would_turn_is_atens(monkeypatch):
    monkeypatch.setattr(gemm, "prefers_onednn", lambda *_: True)
    a, b = torch.empty(400, 512), torch.empty(512, 400)
    assert gemm.is_routed(a, b)
    assert gemm.is_routed(a, b.t().contiguous().t())
    assert not gemm.is_routed(b.t(), b)


ACTIVATIONS = {
    "relu": functional.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "swish": functional.silu,
    "gelu": functional.gelu,
    "gelu by tanh": lambda x: functional.gelu(x, approximate="tanh"),
}


@pytest.mark.parametrize("is_faster", [True, False], ids=["onednn", "aten"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_products_are_theirs_either_way(name, is_faster, monkeypatch):
    monkeypatch.setattr(gemm, "prefers_onednn", lambda *_: is_faster)
    torch._dynamo.reset()
    layer, found = torch.nn.Linear(256, 512), []

    def function(x):
        return ACTIVATIONS[name](layer(x)), ACTIVATIONS[name](x @ layer.weight.t())

    x = torch.randn(2, 64, 256)
    compiled = torch.compile(function, backend="sestina", options={"strict": True})
    with torch.no_grad(), listening(found.append):
        torch.testing.assert_close(compiled(x), function(x), rtol=1e-5, atol=1e-5)
    assert str(found[0].graph).count("addmm_activation") == (2 if is_faster else 0)


def test_what_is_wanted_before_its_activation_too_stays_a_product(monkeypatch):
    monkeypatch.setattr(gemm, "prefers_onednn", lambda *_: True)
    torch._dynamo.reset()
    layer, found = torch.nn.Linear(256, 512), []

    def function(x):
        hidden = layer(x)
        return hidden.relu(), hidden

    compiled = torch.compile(function, backend="sestina")
    with torch.no_grad(), listening(found.append):
        compiled(torch.randn(128, 256))
    assert "addmm_activation" not in str(found[0].graph)
