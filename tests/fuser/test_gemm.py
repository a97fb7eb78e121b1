import math

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


def test_the_choice_is_made_once_for_each_way_and_order_of_sizes(monkeypatch):
    measured = []

    def measure(*what):
        measured.append(what)
        return len(measured) % 2 == 0

    monkeypatch.setattr(gemm, "_measured", measure)
    monkeypatch.setattr(gemm, "once", lambda _, do: do())
    gemm.prefers_onednn.cache_clear()
    threads = torch.get_num_threads()
    try:
        made = []
        for rows, columns in ((300, 700), (511, 520), (300, 1100)):
            for way in ("rows", "columns"):
                b = torch.empty(200, columns)
                b = b if way == "rows" else b.t().contiguous().t()
                made.append(gemm.is_routed(torch.empty(rows, 200), b))
        assert made == [False, True] * 3
        assert measured == [
            (way, (9, 8, digits), threads) for digits in (10, 11) for way in ("rows", "columns")
        ]
    finally:
        gemm.prefers_onednn.cache_clear()


@pytest.mark.parametrize("sizes", [(1, 4096, 4096), (4096, 768, 2), (1024, 256, 30522), (1, 1, 1)])
def test_what_is_measured_is_like_the_shape_and_not_long(sizes):
    made = gemm._measured_sizes([size.bit_length() for size in sizes])
    assert math.prod(made) <= gemm._MAX_PRODUCTS
    for size, like in zip(sizes, made, strict=True):
        assert size / 2 < like <= size * 1.5 or (like < size and math.prod(made) > 1 << 20)
    assert isinstance(gemm._measured("rows", [size.bit_length() for size in sizes], 1), bool)


def test_a_first_operand_that_onednn_would_turn_is_atens(monkeypatch):
    monkeypatch.setattr(gemm, "prefers_onednn", lambda *_: True)
    a, b = torch.empty(400, 512), torch.empty(512, 400)
    assert gemm.is_routed(a, b)
    assert gemm.is_routed(a, b.t().contiguous().t())
    assert not gemm.is_routed(b.t(), b)


BIASES = {
    "a column of a matrix": lambda: torch.randn(256, 2)[:, 0],
    "every second number": lambda: torch.randn(512)[::2],
    "a number repeated": lambda: torch.randn(1).expand(256),
    "a number of a row, repeated": lambda: torch.randn(3, 256)[0, :1].expand(256),
    "one number": lambda: torch.randn(1),
    "no dimension": lambda: torch.randn(()),
    "a part of a row": lambda: torch.randn(300)[17:273],
    "negative by its view": lambda: torch._neg_view(torch.randn(256)),
    "a row of a matrix": lambda: torch.randn(1, 256),
    "a column": lambda: torch.randn(256, 1),
    "one number of a matrix": lambda: torch.randn(1, 1),
    "a matrix": lambda: torch.randn(256, 256),
}


@pytest.mark.parametrize("bias", BIASES.values(), ids=BIASES)
def test_a_bias_may_lie_in_any_way_and_be_of_any_length_that_atens_may(bias, monkeypatch):
    monkeypatch.setattr(gemm, "prefers_onednn", lambda *_: True)
    bias, a, b = bias(), torch.randn(256, 256), torch.randn(256, 256)
    true = torch.addmm(bias.double(), a.double(), b.double())
    for made, expected in (
        (gemm.addmm(bias, a, b), true),
        (gemm.activated(bias, a, b, "tanh", "none"), true.tanh()),
    ):
        # 1e-6 is what the compiler promises of a product, relative to the norm.
        assert (made - expected).norm() <= 1e-6 * true.norm()
        assert made.stride() == (256, 1)


@pytest.mark.parametrize("epilogue", [lambda x: x, torch.tanh], ids=["product", "tanh"])
def test_a_bias_that_is_no_vector_in_memory_is_added_in_compiled_functions(epilogue, monkeypatch):
    monkeypatch.setattr(gemm, "prefers_onednn", lambda *_: True)
    torch._dynamo.reset()

    def function(x, weight, table):
        return (
            epilogue(functional.linear(x, weight, torch.ones(256))),
            epilogue(functional.linear(x, weight, table[0, :1].expand(256))),
            epilogue(torch.addmm(table[:, 0], x, weight)),
            epilogue(torch.addmm(table[0, :1], x, weight)),
        )

    given = torch.randn(256, 256), torch.randn(256, 256), torch.randn(256, 2)
    compiled = torch.compile(function, backend="sestina", options={"strict": True})
    with torch.no_grad():
        torch.testing.assert_close(compiled(*given), function(*given), rtol=1e-5, atol=1e-4)


SIZES = [(0, 9, 9), (9, 0, 9), (9, 9, 0), (1, 9, 9), (9, 1, 9), (9, 9, 1), (1, 1, 1), (17, 33, 65)]


@pytest.mark.parametrize(("num", "inner", "columns"), SIZES)
@pytest.mark.parametrize("second", ["rows", "columns"])
def test_products_of_any_sizes_are_exact(num, inner, columns, second, monkeypatch):
    monkeypatch.setattr(gemm, "prefers_onednn", lambda *_: True)
    monkeypatch.setattr(gemm, "_MIN_PRODUCTS", 0)
    a, bias = torch.randn(num, inner), torch.randn(2 * columns)[::2]
    b = torch.randn(inner, columns) if second == "rows" else torch.randn(columns, inner).t()
    # Of a few numbers what is added may cancel: the norm is that without the signs.
    scale = (bias.abs() + a.abs() @ b.abs()).norm()
    for made, true in (
        (gemm.mm(a, b), a.double() @ b.double()),
        (gemm.addmm(bias, a, b), bias.double() + a.double() @ b.double()),
    ):
        assert made.shape == true.shape
        assert (made - true).norm() <= 1e-6 * scale


@pytest.mark.parametrize("strides", [(0, 1), (1, 0), (0, 0), (64, 1), (257, 1), (2, 512)], ids=str)
def test_matrices_that_overlap_or_have_gaps_are_atens(strides, monkeypatch):
    monkeypatch.setattr(gemm, "prefers_onednn", lambda *_: True)
    matrix = torch.randn(512 * 512).as_strided((256, 256), strides, 3)
    other = torch.randn(256, 256)
    for a, b in ((matrix, other), (other, matrix), (matrix, matrix)):
        assert not gemm.is_routed(a, b)
        true = a.double() @ b.double()
        # Where all numbers are one, all roundings are too, and their sum grows with the length.
        assert (gemm.mm(a, b) - true).norm() <= 1e-5 * true.norm()


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


# NaN, infinities, zeros, what is near the largest and smallest, and where functions turn constant.
SPECIAL = [math.nan, -math.nan, math.inf, 0.0, 1e-45, 1e-38, 1e-10, 1.0, 20.0, 90.0, 104.0, 3e38]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_special_numbers_within_products_are_atens(name, monkeypatch):
    monkeypatch.setattr(gemm, "prefers_onednn", lambda *_: True)
    torch._dynamo.reset()
    numbers = torch.tensor(SPECIAL + [-number for number in SPECIAL])
    row = numbers.repeat(16)  # as a bias; and as weights, each times 1
    x, weight = torch.zeros(256, 256), torch.zeros(256, len(row))
    one, weights = x.clone(), weight.clone()
    one[:, 0], weights[0] = 1, row

    def function(x, weight, row, one, weights):
        return ACTIVATIONS[name](torch.addmm(row, x, weight)), ACTIVATIONS[name](one @ weights)

    given = x, weight, row, one, weights
    compiled = torch.compile(function, backend="sestina", options={"strict": True})
    with torch.no_grad():
        for made, expected in zip(compiled(*given), function(*given), strict=True):
            # Below 1e-37 some of ATen's functions give 0 and others denormal numbers.
            torch.testing.assert_close(made, expected, rtol=1e-6, atol=1e-37, equal_nan=True)
            zeros = (made == 0) & (expected == 0)
            assert torch.equal(made[zeros].signbit(), expected[zeros].signbit())


def test_relu_of_a_layer_leaves_nan_as_it_is(monkeypatch):
    monkeypatch.setattr(gemm, "prefers_onednn", lambda *_: True)
    torch._dynamo.reset()
    layer, x = torch.nn.Linear(256, 256), torch.randn(256, 256)
    x[0, 0] = math.nan
    compiled = torch.compile(lambda x: functional.relu(layer(x)), backend="sestina")
    with torch.no_grad():
        made = compiled(x)
    assert made[0].isnan().all()
    assert (made[1:] >= 0).all()


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
