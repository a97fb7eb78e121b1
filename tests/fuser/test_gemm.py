import pytest
import torch

from sestina.fuser import gemm


@pytest.mark.parametrize("is_faster", [True, False], ids=["onednn", "aten"])
@pytest.mark.parametrize("first", ["rows", "columns"])
@pytest.mark.parametrize("second", ["rows", "columns", "gaps"])
def test_products_are_as_exact_either_way(is_faster, first, second, monkeypatch):
    ways = {(a, b): is_faster for a in ("rows", "columns") for b in ("rows", "columns")}
    monkeypatch.setattr(gemm, "routes", lambda _threads: ways)
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


def test_the_choice_is_made_for_each_way_that_operands_lie():
    found = gemm.routes(torch.get_num_threads())
    assert set(found) == {(a, b) for a in ("rows", "columns") for b in ("rows", "columns")}
    assert gemm.routes(torch.get_num_threads()) is found
