"""What no kernel computes, and what is easily got wrong: results are eager's all the same."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

from sestina.fuser import FallbackWarning, fuse, memory_efficient_fusion
from sestina.fuser.capture import backend as capturing
from sestina.fuser.capture import fallbacks
from sestina.fuser.lower import graph as lowering
from sestina.fuser.lower import pointwise
from sestina.fuser.lower.table import ELEMENTWISE, Elementwise

# What is said of fallbacks is tested elsewhere; PyTorch warns of sparse and quantised tensors.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _fresh_compiler(monkeypatch):
    torch._dynamo.reset()
    monkeypatch.setattr(fallbacks, "_said", set())


def tensors_of(value):
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors_of(item)]
    return [value]


def plain(tensor):
    """The numbers of a tensor of any kind, and what else it is."""
    kind = (tensor.dtype, tensor.shape, tensor.layout)
    if tensor.layout is not torch.strided:
        return tensor.to_dense(), kind
    if tensor.is_quantized:
        return tensor.dequantize(), (*kind, tensor.q_scale(), tensor.q_zero_point())
    is_small = tensor.dtype.itemsize == 1 and tensor.dtype.is_floating_point
    return tensor.float() if is_small else tensor, (*kind, tensor.stride())


def assert_runs_as_eager(function, *arguments, **options):
    """Results, and arguments that are written to, are those of eager."""

    def copies():
        is_plain = [a.layout is torch.strided and not a.is_quantized for a in arguments]
        # A clone of what overlaps itself would not.
        return [
            a.clone() if copied and 0 not in a.stride() else a
            for a, copied in zip(arguments, is_plain, strict=True)
        ]

    ours, eagers = copies(), copies()
    torch.manual_seed(0)
    made = fuse(function, **options)(*ours)
    torch.manual_seed(0)
    expected = function(*eagers)
    pairs = zip(tensors_of([made, *ours]), tensors_of([expected, *eagers]), strict=True)
    for mine, theirs in pairs:
        if not isinstance(theirs, torch.Tensor):
            assert mine == theirs
            continue
        (numbers, kind), (true, expected_kind) = plain(mine), plain(theirs)
        assert kind == expected_kind
        torch.testing.assert_close(numbers, true, rtol=2e-5, atol=2e-5, equal_nan=True)


def filled(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(4), dtype=dtype)


def write_where_positive(x):
    made = x * 2
    made[x > 0] = 7
    return made + 1


x = filled(12, 40)
DATA_DEPENDENT = {
    "places": lambda x: (x * 2).nonzero() + 1,
    "a number": lambda x: x * x.sum().item() + 1,
    "a whole number": lambda x: x * (x.sum() * 10).to(torch.int64).item() + 1,
    "chosen": lambda x: (x * 2)[x > 0] * 3,
    "chosen and summed": lambda x: torch.masked_select(x * 2, x > 0).sum() + x,
    "written where chosen": write_where_positive,
    "distinct": lambda x: torch.unique((x * 2).round()) + 1,
    "a branch": lambda x: x * 2 if x.sum() > 0 else x * 3,
}


@pytest.mark.parametrize("is_captured", [False, True], ids=["breaks", "captured"])
@pytest.mark.parametrize("name", DATA_DEPENDENT)
def test_what_depends_on_the_data_runs(name, is_captured):
    with torch._dynamo.config.patch(
        capture_scalar_outputs=is_captured, capture_dynamic_output_shape_ops=is_captured
    ):
        assert_runs_as_eager(DATA_DEPENDENT[name], x)


COMPLEX = filled(6, 8, dtype=torch.complex64)
SPARSE = filled(5, 12).relu()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # PyTorch deprecates the one and calls the other young
    QUANTISED = torch.quantize_per_tensor(x, 0.1, 3, torch.quint8)
    SPARSE_ROWS = SPARSE.to_sparse_csr()
KINDS = {
    "complex": (lambda c: ((c * 2 + 1j).abs() + 1, c * 2 + c.conj(), c.conj()), COMPLEX),
    "parts": (lambda c: torch.view_as_real(c * 2) + 1, COMPLEX),
    "turned": (
        lambda x, f: torch.view_as_real(torch.view_as_complex(x.view(6, 4, 2)) * f).flatten(1) + x,
        filled(6, 8),
        torch.polar(torch.ones(6, 4), filled(6, 4)),
    ),
    "negated view": (lambda x, c: x + c.conj().imag, filled(6, 8), COMPLEX),
    "negated argument": (lambda x: x * 2 + 1, COMPLEX.conj().imag),
    "fourier": (lambda x: torch.fft.rfft(x * 2).abs() * 2, x),
    "sparse argument": (lambda s, x: torch.sparse.mm(s, x * 2) + 1, SPARSE.to_sparse(), x),
    "sparse rows": (lambda s, x: s @ (x * 2) + 1, SPARSE_ROWS, x),
    "sparse inside": (lambda x: (x.relu() * 2).to_sparse().to_dense() + 1, x),
    "sparse result": (lambda x: (x.relu() * 2).to_sparse(), x),
    "quantised argument": (lambda q: q.dequantize() * 2 + 1, QUANTISED),
    "quantised inside": (
        lambda x: torch.quantize_per_tensor(x * 2, 0.1, 3, torch.qint8).dequantize() + 1,
        x,
    ),
    "quantised result": (lambda x: torch.quantize_per_tensor(x * 2, 0.1, 3, torch.quint8), x),
    "fake quantised": (
        lambda x: torch.fake_quantize_per_tensor_affine(x * 2, 0.1, 0, -128, 127) + 1,
        x,
    ),
    "rare whole numbers": (
        lambda a, b: (a.float() * 2, b.to(torch.int64) * 2),
        torch.arange(9).to(torch.uint16),
        torch.arange(9).to(torch.uint32),
    ),
}
for _dtype in (torch.float8_e4m3fn, torch.float8_e5m2):
    KINDS[f"{_dtype} inside"] = (lambda x, dtype=_dtype: (x * 2).to(dtype).float() + 1, x)
    KINDS[f"{_dtype} argument"] = (lambda x: x.float() * 2, x.to(_dtype))
    KINDS[f"{_dtype} result"] = (lambda x, dtype=_dtype: (x * 2).to(dtype), x)


@pytest.mark.parametrize("name", KINDS)
def test_tensors_of_every_kind_run(name):
    assert_runs_as_eager(*KINDS[name])


def test_a_model_with_quantised_layers_runs():
    layers = nn.Sequential(nn.Linear(40, 16), nn.ReLU(), nn.Linear(16, 4))
    model = torch.ao.quantization.quantize_dynamic(layers, {nn.Linear})
    assert_runs_as_eager(lambda x: model(x * 2) + 1, x)


def write_columns(a, b):
    a[:, 2] = b
    a.t()[3].add_(1)
    return a * 2


def write_a_view(a):
    seen = a.view(-1)
    seen.mul_(2)
    return a, seen, a[0]


def write_a_view_of_a_result(a):
    made = a * 2
    seen = made.view(-1)
    seen.add_(1)
    return made, seen


def shared(a):
    made = a * 2
    return made, made.view(-1), made.t(), made[2:4], made.expand(2, *made.shape)


PLACES = {
    "written": (lambda a: a.mul_(2).add_(1).sum(), x),
    "written columns": (write_columns, x, filled(12)),
    "a written view": (write_a_view, x),
    "a written view of a result": (write_a_view_of_a_result, x),
    "arguments given back": (lambda a: (a, a.view(-1), a.t(), a[2:4]), x),
    "views of a result": (shared, x),
    "one twice": (lambda a: (a * 2,) * 2, x),
    "repeated": (lambda a: (a * 2, a.sum(0), a.contiguous(), a.softmax(1)), x[:1].expand(12, 40)),
    "overlapping": (lambda a: (a * 2, a.sum(0)), filled(30).as_strided((10, 8), (2, 1))),
    "laid out anew": (lambda a: torch.as_strided(a * 2, (3, 4), (1, 2), 3) + 1, x),
    "no rows": (lambda a: (a.sum(), a.sum(0), a * 2, a.mean(1), a.softmax(1)), torch.zeros(0, 5)),
    "no columns": (lambda a: (a.sum(1), a * 2, a.any(), a.all(), a.prod()), torch.zeros(3, 0)),
    "no rows to append to": (lambda a, b: torch.cat([a, b]) * 2, torch.zeros(0, 5), filled(3, 5)),
    "an empty product": (lambda a, b: (a @ b) * 2 + 1, torch.zeros(3, 0), torch.zeros(0, 5)),
    "ones": (
        lambda a, b: (a + b, a.sum(0, keepdim=True), a.softmax(0), a.expand(4, 5) * b),
        filled(1, 5),
        filled(4, 1),
    ),
}


@pytest.mark.parametrize("name", PLACES)
def test_what_is_written_shared_or_empty_comes_out_as_eager_has_it(name):
    assert_runs_as_eager(*PLACES[name])


def test_a_size_may_become_none():
    made = fuse(lambda a: (a.sum(0), a * 2, a.softmax(1)), dynamic=True)
    for rows in (5, 0, 3):
        y = filled(rows, 4)
        for mine, theirs in zip(made(y), (y.sum(0), y * 2, y.softmax(1)), strict=True):
            torch.testing.assert_close(mine, theirs)


whole, halves = torch.arange(1, 6), filled(5).bfloat16()
PROMOTED = {
    "whole numbers divided": (
        lambda a, b: (a / b, a // b, a % b, torch.div(a, b, rounding_mode="trunc")),
        torch.arange(-9, 9),
        torch.arange(1, 19),
    ),
    "beside numbers": (lambda a, b: (a / 3, a * 2.5, b + 1, a + b, b * 1e-3), whole, halves),
    "beside tensors of no dimension": (
        lambda a, b, c: (a + c, b * c, c + c, c * 2, c / a),
        whole,
        halves,
        torch.tensor(2.5, dtype=torch.float64),
    ),
    "whole beside whole": (lambda a, c: (a + c, a * c, c / a), whole.int(), torch.tensor(2)),
    "bools": (
        lambda a: (a + 1, a * 2.0, a.sum(), a.float().mean(), a / 2, ~a, -a.int(), a ^ True),
        torch.tensor([True, False, True]),
    ),
    "powers": (lambda a: (a**2, a**3, 2**a, 2.0**a, a.float() ** a, 2 ** a.float()), whole),
}


@pytest.mark.parametrize("name", PROMOTED)
def test_dtypes_promote_as_in_eager(name):
    assert_runs_as_eager(*PROMOTED[name])


SIGNED_ZEROS = {
    "relu": functional.relu,
    "clamp": lambda a: a.clamp(0.0, 1.0),
    "clamp below": lambda a: a.clamp_min(0),
    "clamp above": lambda a: a.clamp_max(0),
    "hardtanh": lambda a: functional.hardtanh(a, 0.0, 6.0),
    "tanh": torch.tanh,
    "erf": torch.erf,
    "expm1": torch.expm1,
    "log1p": torch.log1p,
    "sin": torch.sin,
    "round": torch.round,
    "abs": torch.abs,
    "square root": torch.sqrt,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "leaky relu": functional.leaky_relu,
    "sums": lambda a: (a + 0, a - 0.0, a + a, -a, a * -1),
    "halves": lambda a: (a.half().float(), a.bfloat16().float()),
}


@pytest.mark.parametrize("name", SIGNED_ZEROS)
def test_zeros_keep_the_sign_that_eager_gives_them(name):
    zeros = torch.tensor([-0.0, 0.0, 0.5]).repeat(12)
    made, expected = (tensors_of(f(zeros)) for f in (fuse(SIGNED_ZEROS[name]), SIGNED_ZEROS[name]))
    for mine, theirs in zip(made, expected, strict=True):
        assert torch.equal(mine.signbit(), theirs.signbit())


def test_a_division_in_halves_is_cut_off_as_eager_does():
    # 2.984 / 0.9961 is 2.996, which bfloat16 has as 3.
    a, b = torch.tensor([2.984375]).bfloat16(), torch.tensor([0.99609375]).bfloat16()
    made = fuse(lambda a, b: torch.div(a, b, rounding_mode="trunc") * 2)(a, b)
    assert torch.equal(made, torch.div(a, b, rounding_mode="trunc") * 2)


def test_a_lowering_that_fails_costs_its_operation_the_kernel(monkeypatch):
    def broken(x):
        raise KeyError(x)

    monkeypatch.setitem(ELEMENTWISE, pointwise._ATEN.sin.default, Elementwise(broken))
    with pytest.warns(FallbackWarning, match=r"computes aten\.sin\.default: .* failed, KeyError"):
        made = fuse(lambda x: x.sin() * 2)(x)
    torch.testing.assert_close(made, x.sin() * 2)


def test_what_is_asserted_leaves_the_rest_its_kernels():
    def function(index, x):
        return (functional.one_hot(index, 4) * x).sum(1).exp()

    made = fuse(function, strict=True)
    index, x = torch.tensor([0, 2, 1]), filled(3, 4)
    torch.testing.assert_close(made(index, x), function(index, x))
    with pytest.raises(RuntimeError, match="smaller than num_classes"):
        made(torch.tensor([0, 9, 1]), x)


def test_an_argument_of_another_kind_leaves_the_rest_its_kernels():
    shape = torch.empty(5, 3, device="meta")
    made = fuse(lambda m, x: x * m.shape[1] + 1, strict=True)(shape, x)
    torch.testing.assert_close(made, x * 3 + 1)

    def product(sparse, x):
        return (torch.sparse.mm(sparse, x) * 2).exp().sum(0)

    with pytest.warns(FallbackWarning, match=r"computes aten.*torch\.sparse_coo"):
        made = memory_efficient_fusion(product)(SPARSE.to_sparse(), filled(12, 5))
    torch.testing.assert_close(made, product(SPARSE.to_sparse(), filled(12, 5)))


def test_what_writes_and_gives_nothing_writes_into_its_argument():
    @torch.library.custom_op("test_capture_hostile::doubled", mutates_args={"x"})
    def doubled(x: torch.Tensor) -> None:
        x.mul_(2)

    def function(x):
        repeated = x[..., :1].expand(x.shape) + 1
        made = x * 3
        doubled(made)
        doubled(repeated)
        doubled(x)
        return made + 1, repeated, x * 2

    given = [x.clone(), x.clone()]
    results = [call(one) for call, one in zip((fuse(function), function), given, strict=True)]
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert torch.equal(*given)


REPEATED = {
    "ones": torch.ones_like,
    "a mean": lambda x: x.mean(-1, keepdim=True).expand_as(x) * 1.0,
    "a column": lambda x: x[..., :1].expand(x.shape) * 2,
}


@pytest.mark.parametrize("is_dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("name", REPEATED)
def test_what_others_compute_has_its_operands_lying_as_it_was_told(name, is_dynamic):
    seen = []

    @torch.library.custom_op("test_capture_hostile::strides_of", mutates_args=())
    def strides_of(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.stride())
        return x.clone()

    strides_of.register_fake(torch.empty_like)

    def function(x):
        repeated = REPEATED[name](x)
        return functional.scaled_dot_product_attention(x, x, repeated), strides_of(repeated)

    x = filled(2, 4, 16, 32)
    made = torch.compile(function, backend="sestina", dynamic=is_dynamic)
    for mine, theirs in zip(made(x), function(x), strict=True):
        torch.testing.assert_close(mine, theirs)
    assert set(seen[:1]) == {x.stride()}


def test_why_a_graph_is_left_to_pytorch_names_the_call(monkeypatch):
    def broken(*_):
        raise KeyError("a mistake")

    with pytest.warns(
        FallbackWarning, match=r"this graph: aten\._neg_view\.default: it gives a view"
    ):
        fuse(lambda c: (c * 2).conj().imag)(COMPLEX)
    monkeypatch.setattr(lowering._Walk, "_opaque", broken)
    with pytest.warns(FallbackWarning, match=r"aten\.sort\.default: its lowering failed, KeyError"):
        made = fuse(lambda x: (x * 2).sort().values)(x)
    torch.testing.assert_close(made, (x * 2).sort().values)


def test_a_graph_without_kernels_runs_all_the_same(monkeypatch):
    def broken(graph):
        raise KeyError(len(graph.nodes))

    monkeypatch.setattr(capturing, "assemble", broken)
    with pytest.warns(FallbackWarning, match="PyTorch runs this graph: no kernels for it, KeyErr"):
        made = fuse(lambda x: x.sin() * 2)(x)
    torch.testing.assert_close(made, x.sin() * 2)
    with pytest.raises(Exception, match="NotFusedError"):
        fuse(lambda x: x.cos() * 2, strict=True)(x)
