import pytest
import torch
from torch.nn import functional

from sestina.fuser import fuse
from tests.fuser.captured import assert_as_eager, lowered, results_of, run

FLOATS = [torch.float32, torch.float64, torch.bfloat16, torch.float16]

UNARY = {
    "abs": torch.abs,
    "neg": torch.neg,
    "relu": functional.relu,
    "square": torch.square,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "trunc": torch.trunc,
    "round": torch.round,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": lambda x: (x.abs() + 0.1).log(),
    "log1p": lambda x: x.abs().log1p(),
    "log2": lambda x: (x.abs() + 0.1).log2(),
    "sqrt": lambda x: x.abs().sqrt(),
    "rsqrt": lambda x: (x.abs() + 0.1).rsqrt(),
    "reciprocal": lambda x: (x.abs() + 0.1).reciprocal(),
    "sin": torch.sin,
    "cos": torch.cos,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "exp2": torch.exp2,
    "logsigmoid": functional.logsigmoid,
    "gelu": functional.gelu,
    "gelu by tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "sign": torch.sign,
    "clamp": lambda x: x.clamp(-0.5, 0.7),
    "clamp below": lambda x: x.clamp_min(0.1),
    "hardtanh": functional.hardtanh,
    "leaky relu": functional.leaky_relu,
    "elu": functional.elu,
    "softplus": functional.softplus,
    "hardsigmoid": functional.hardsigmoid,
    "hardswish": functional.hardswish,
    "square by power": lambda x: x**2,
    "cube": lambda x: x**3,
    "root by power": lambda x: x.abs() ** 0.5,
    "power": lambda x: (x.abs() + 0.1) ** 1.7,
    "power of a number": lambda x: 1.7**x,
    "threshold": lambda x: functional.threshold(x, 0.1, 20.0),
    "not a number": lambda x: (x / x.floor()).isnan(),
    "logical": lambda x: torch.logical_or(x > 0, torch.logical_not(x < -1)),
    "triangle": lambda x: x.tril(1) + x.triu(-1),
    "mean": lambda x: x.mean(-1),
    "sums": lambda x: (x.sum(0), x.sum(1, keepdim=True), x.sum()),
    "extremes": lambda x: (x.amax(1), x.amin(0), x.max(), x.min()),
    "any and all": lambda x: ((x > 1).any(1), (x > -5).all(0), (x > 0).any()),
    "variance": lambda x: torch.var_mean(x, 1),
    "softmax": lambda x: x.softmax(-1),
    "softmax of columns": lambda x: x.softmax(0),
    "log softmax": lambda x: x.log_softmax(-1),
    "slice": lambda x: x[:, 3:20:2] * 2,
    "select": lambda x: x[2] + x[:, 1:2],
    "split": lambda x: x.split([5, x.shape[1] - 5], 1)[1] * 3,
    "views": lambda x: x.reshape(-1, 2).t().unsqueeze(1).squeeze() * 2,
    "copy": lambda x: (x.clone(), x.t().contiguous()),
    "filled": lambda x: torch.zeros_like(x) + torch.full_like(x, 3) + torch.ones_like(x),
    "places": lambda x: x + torch.arange(x.shape[1]),
}

BINARY = {
    "add": lambda x, y: torch.add(x, y, alpha=2),
    "sub": torch.sub,
    "mul": torch.mul,
    "div": lambda x, y: x / (y.abs() + 0.5),
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "power": lambda x, y: (x.abs() + 0.1) ** y,
    "compare": lambda x, y: (x < y, x <= y, x > y, x >= y, x == y, x != y),
    "where": lambda x, y: torch.where(x > y, x, y * 2),
    "masked": lambda x, y: x.masked_fill(y > 0, -3.0),
    "lerp": lambda x, y: torch.lerp(x, y, 0.3) + torch.lerp(x, y, 0.8),
    "addcmul": lambda x, y: torch.addcmul(x, x, y, value=0.5),
    "addcdiv": lambda x, y: torch.addcdiv(x, x, y.abs() + 0.5, value=0.5),
    "broadcast": lambda x, y: x + y[:1] * y[:, :1],
    "row by row": lambda x, y: x - (x * y).sum(-1, keepdim=True),
    "column by column": lambda x, y: (x * y).sum(0) + y[0],
}


def filled(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_an_operation_of_one_tensor_is_as_exact_as_atens(name, dtype):
    assert_as_eager(UNARY[name], filled(6, 38, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_an_operation_of_two_tensors_is_as_exact_as_atens(name, dtype):
    assert_as_eager(BINARY[name], filled(7, 70, dtype=dtype), filled(7, 70, dtype=dtype, seed=1))


LAYOUTS = {
    "transposed": lambda x: x.t(),
    "every second column": lambda x: x[:, ::2],
    "repeated": lambda x: x[:1].expand(9, -1),
    "a part": lambda x: x[2:7, 3:33],
    "single": lambda x: x[:1, :1],
    "one row": lambda x: x[:1],
    "one column": lambda x: x[:, :1],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "name", ["gelu", "softmax", "sums", "copy", "variance", "softmax of columns"]
)
def test_operands_may_lie_anyhow(name, layout):
    x = LAYOUTS[layout](filled(9, 66))
    if name == "variance" and x.shape[1] == 1:
        x = x.expand(-1, 2)
    assert_as_eager(UNARY[name], x)


WHOLE = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]


@pytest.mark.parametrize("dtype", WHOLE, ids=str)
def test_whole_numbers_wrap_and_promote_as_atens_do(dtype):
    x = torch.arange(-20, 50).to(dtype)
    y = torch.arange(70, 0, -1).to(dtype)

    def function(x, y):
        return x + y * 3, x - y, x & y, x | y, x ^ y, x > y, x / y, x * 2.5, x.sum(), x.abs(), ~x

    assert_as_eager(function, x, y)


def test_bools_add_as_a_union_and_sum_as_numbers():
    x, y = torch.tensor([True, True, False]), torch.tensor([True, False, False])
    assert_as_eager(lambda x, y: (x + y, x * y, x.sum(), x & ~y, x.float() + 1, x == y), x, y)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_what_is_not_zero_is_true(dtype):
    x = torch.tensor([0.0, -0.0, 1.0, float("nan"), float("inf")], dtype=dtype)
    assert_as_eager(lambda x: (x.bool(), x.any(), x.all(), x.bool().sum()), x)


def test_tensors_without_dimensions_do_not_promote_those_with():
    assert_as_eager(lambda x, y: x * y, filled(5), torch.tensor(2.0, dtype=torch.float64))


SPECIAL = [float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1e-40, -1e-40, 1e38, -1e38, 89.0]


@pytest.mark.parametrize(
    "name",
    [
        *("exp", "expm1", "log1p", "tanh", "erf", "sigmoid", "relu", "gelu", "abs", "floor"),
        *("round", "sign", "clamp", "silu", "softplus", "elu", "reciprocal", "square", "extremes"),
    ],
)
def test_special_values_come_out_as_from_aten(name):
    assert_as_eager(UNARY[name], torch.tensor(SPECIAL).repeat(2, 5))


def test_the_logarithm_of_everything():
    x = torch.tensor([*SPECIAL, 1.0, 2.0**-126, 2.0**-149, 3.4e38, -1.0])
    assert_as_eager(torch.log, x)


def test_a_row_of_minus_infinity_has_no_softmax():
    x = torch.full((3, 20), float("-inf"))
    x[1] = 1.0
    assert_as_eager(lambda x: x.softmax(-1), x)


def test_layer_norm_and_its_kin():
    weight, bias = filled(48, seed=1), filled(48, seed=2)
    x = filled(5, 7, 48)
    assert_as_eager(lambda x, w, b: functional.layer_norm(x, (48,), w, b), x, weight, bias)
    assert_as_eager(lambda x: functional.layer_norm(x, (7, 48)), x)
    channels = filled(4, 6, 5, 3)
    assert_as_eager(
        lambda x, w, b: functional.group_norm(x, 3, w, b), channels, weight[:6], bias[:6]
    )


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("is_training", [True, False])
def test_batch_norm_in_both_layouts(memory, is_training):
    x = filled(4, 6, 5, 8).contiguous(memory_format=memory)

    normalise = torch.ops.aten._native_batch_norm_legit_functional.default

    def function(x, w, b, mean, variance):
        made = normalise(x, w, b, mean, variance, is_training, 0.1, 1e-5)
        return functional.relu(made[0] + x), made[3], made[4]

    parameters = [filled(6, seed=seed) for seed in (1, 2, 3)]
    assert_as_eager(function, x, *parameters, filled(6, seed=4).abs() + 0.5)


def test_batch_norm_outside_of_training_is_a_kernel():
    normalise = torch.ops.aten._native_batch_norm_legit_no_training.default

    def function(x, *channels):
        return normalise(x, *channels, 0.1, 1e-5)[0].relu()

    arguments = filled(3, 6, 5, 5), *(filled(6, seed=seed).abs() for seed in range(4))
    graph = lowered(function, *arguments).graph
    assert not any(node.kind == "aten" for node in graph.nodes)
    assert_as_eager(function, *arguments)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_picks_the_class_and_leaves_out_what_is_ignored(reduction):
    target = torch.tensor([3, 0, -100, 69, 5, -100, 1])
    assert_as_eager(
        lambda x, t: functional.cross_entropy(x, t, reduction=reduction), filled(7, 70), target
    )


@pytest.mark.parametrize("how", ["sum", "prod", "amax"])
def test_a_dimension_of_one_element_counts_once(how):
    combine = getattr(torch, how)
    assert_as_eager(lambda x: combine(combine(x, 0, keepdim=True) * 2, 0), filled(5))
    assert_as_eager(lambda x: combine(combine(x, 1, keepdim=True) * 2, 1), filled(6, 38))


def test_rows_of_a_table_and_gathered_places():
    index = torch.tensor([[0, 3, 8], [8, 1, 1]])
    assert_as_eager(lambda w, i: functional.embedding(i, w) * 2, filled(9, 20), index)
    assert_as_eager(lambda x, i: x.softmax(-1).gather(1, i), filled(2, 9), index)


EDGES = torch.tensor([float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1.5, -2.5, 7.0, 1e-40])
FULL_OF_EDGES = {
    "fmod": torch.fmod,
    "remainder": torch.remainder,
    "floor_divide": torch.floor_divide,
    "atan2": torch.atan2,
    "logaddexp": torch.logaddexp,
    "xlogy": torch.xlogy,
    "mse": lambda x, y: functional.mse_loss(x, y, reduction="none"),
    "smooth l1": lambda x, y: functional.smooth_l1_loss(x, y, reduction="none"),
    "smooth l1 without a curve": lambda x, y: functional.smooth_l1_loss(x, y, beta=0.0),
    "huber": lambda x, y: functional.huber_loss(x, y, reduction="none", delta=2.0),
    "prelu": torch.ops.aten._prelu_kernel.default,
    "unary": lambda x, _: (x.isinf(), x.nan_to_num(), functional.mish(x), functional.celu(x)),
}


@pytest.mark.parametrize("name", FULL_OF_EDGES)
def test_pairs_of_special_values_come_out_as_from_aten(name):
    x, y = torch.cartesian_prod(EDGES, EDGES).unbind(1)
    function = FULL_OF_EDGES[name]
    assert_as_eager(function, x.clone(), y.clone())
    results = run(function, x.clone(), y.clone()), results_of(function, x, y)
    for mine, theirs in zip(*results, strict=True):
        is_finite = theirs.isfinite()
        assert torch.equal(mine[~is_finite].isnan(), theirs[~is_finite].isnan())
        assert torch.equal(mine.isinf(), theirs.isinf())
        if name in {"fmod", "remainder", "floor_divide", "atan2"}:
            assert torch.equal(mine[is_finite].signbit(), theirs[is_finite].signbit())


@pytest.mark.parametrize("order", [2, 1, 0, float("inf"), float("-inf")])
def test_norms_and_their_kin_of_special_values(order):
    x = torch.cartesian_prod(EDGES, EDGES)
    assert_as_eager(lambda x: (torch.linalg.vector_norm(x, order, 1), x.logsumexp(1)), x)


@pytest.mark.parametrize("dtype", [*FLOATS, torch.int64, torch.int8, torch.uint8], ids=str)
@pytest.mark.parametrize("dim", [0, 1])
def test_the_place_of_an_extreme_is_the_first_that_has_it(dtype, dim):
    x = (filled(9, 70) * 2).round().to(dtype)
    if dtype.is_floating_point:
        x[3, 5:7] = x[8, 5] = float("nan")
        x[4] = float("-inf")

    def function(x):
        return (
            *x.max(dim),
            *x.min(dim, keepdim=True),
            x.argmax(dim),
            x.argmin(),
            x.argmax(dim, True),
        )

    assert_as_eager(function, x)


@pytest.mark.parametrize("dtype", WHOLE, ids=str)
def test_whole_numbers_divide_to_the_floor_and_to_zero(dtype):
    def function(x):
        return x // 7, x % 7, torch.fmod(x, 7), torch.div(x, 7, rounding_mode="trunc"), x.prod()

    assert_as_eager(function, torch.arange(-20, 50).to(dtype))


def test_whole_numbers_are_divided_by_aten_where_that_may_fail():
    made = lowered(lambda x, y: x // y, torch.arange(5), torch.arange(5))
    assert "divisor is 0" in made.reasons["aten.floor_divide.default"]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_of_pixels(reduction):
    target = torch.randint(0, 5, (2, 6, 4), generator=torch.Generator().manual_seed(0))
    target[0, 1:3] = -100
    assert_as_eager(
        lambda x, t: functional.cross_entropy(x, t, reduction=reduction),
        filled(2, 5, 6, 4),
        target,
        steps=16,
    )


def test_what_has_no_lowering_is_aten_and_the_reason_names_it():
    made = lowered(lambda x: torch.sort(x * 2).values + 1, filled(9))
    assert made.reasons == {"aten.sort.default": "there is no lowering of it"}
    assert_as_eager(lambda x: torch.sort(x * 2).values + 1, filled(9), allow_aten=True)


def test_complex_numbers_and_quantised_tensors_stay_with_aten():
    x = torch.randn(5, dtype=torch.complex64)
    made = run(lambda x: (x * 2).abs() + 1, x, allow_aten=True)
    torch.testing.assert_close(made[0], (x * 2).abs() + 1)


def test_a_conversion_there_and_back_is_left_out():
    graph = lowered(lambda x: x.exp() * 2, filled(5, dtype=torch.bfloat16)).graph
    assert [node.kind for node in graph.nodes].count("convert") == 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_what_is_asked_to_be_rounded_is_rounded(dtype):
    def function(x):
        narrow = x.to(dtype)
        return narrow, narrow.float(), narrow >= 256, x - narrow.float()

    x = torch.tensor([255.7, 1.0001, 1e6, -3e-9])
    for mine, theirs in zip(fuse(function)(x), function(x), strict=True):
        assert torch.equal(mine, theirs)


THRESHOLDS = "relu relu6 hardtanh leaky_relu elu celu selu hardswish hardsigmoid softshrink"
THRESHOLDS += " hardshrink softplus softsign tanhshrink silu gelu"


@pytest.mark.filterwarnings("ignore::sestina.fuser.FallbackWarning")
@pytest.mark.parametrize("name", THRESHOLDS.split())
def test_gradients_at_thresholds_are_atens(name):
    function = getattr(functional, name)
    # A multiple of the vectors' width, so that ATen has one answer for a number.
    x = torch.tensor([-20, -6, -3, -1, -0.5, 0.0, 0.5, 1, 3, 6, 20]).repeat_interleave(64)
    for mine, theirs in zip(*(gradient(f, x) for f in (fuse(function), function)), strict=True):
        torch.testing.assert_close(mine, theirs)


def gradient(function, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(function(x).sum(), x)


def test_what_is_repeated_may_be_seen_in_a_shape_that_no_loops_share():
    assert_as_eager(
        lambda x, y: (x.sum(1, keepdim=True) / 2).expand(3, 130).mul(1.5).view(130, 3).t() * y,
        filled(3, 130),
        filled(3, 130, seed=1),
    )


def test_views_by_strides_see_what_lies_in_memory():
    def function(x):
        made = x.sum(1, keepdim=True).expand(4, 6).clone()
        return made.as_strided((6,), (1,), 2) * 2, made[1:].as_strided((2, 3), (3, 1), 1) + 1

    assert_as_eager(function, filled(4, 6), allow_aten=True)


@pytest.mark.parametrize("make", [lambda x: x * 2, lambda x: x], ids=["result", "argument"])
def test_what_is_copied_elsewhere_stays_where_it_was(make):
    def function(x):
        made, laid = make(x), torch.empty_strided((2, 34), (1, 2))
        laid.copy_(made)
        seen = laid.as_strided((34,), (2,), 0) + 1
        # Seen at its own place again, and by strides.
        again = made.unsqueeze(1).expand(2, 2, 34)[:, 0]
        return seen, again, made.as_strided((34,), (1,), 0) + 1, laid * 3

    assert_as_eager(function, filled(2, 34), allow_aten=True)
