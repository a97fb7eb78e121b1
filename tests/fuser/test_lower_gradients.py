"""Every entry of the table of lowerings: over dtypes, shapes and strides, and its gradients.

A case is the arguments of a call, after a function that makes it where the shapes decide on them.
Letters stand for tensors:

    x, y, z  of the shape; "+" above 0, "<" between 0 and 1, "?" bool
    w, c     vectors for the last and the second dimension; "C" above 0
    l, v     of the shape without the first dimension, and with 4 of it
    i, r, t  places in the last dimension, in the first; a class of each row
    p        a class of each pixel
    #, o, s  places to gather; a number; a seed
"""

import math

import pytest
import torch

from sestina.fuser.lower.graph import lower
from sestina.fuser.lower.table import ELEMENTWISE, LOWERINGS
from sestina.fuser.random import UNIFORM
from tests.fuser.captured import (
    assert_graph_as_eager,
    assert_no_mistakes,
    gradients_of,
    is_narrower,
    results_of,
    traced,
)

A = torch.ops.aten
ENTRIES = sorted({*LOWERINGS, *ELEMENTWISE}, key=str)


def backward_of_layer_norm(g, x, w):
    _, mean, deviation = A.native_layer_norm.default(x, [x.shape[-1]], w, w, 1e-5)
    wanted = [True, True, True]
    return A.native_layer_norm_backward.default(g, x, [x.shape[-1]], mean, deviation, w, w, wanted)


def group_norm(x, w, b):
    num, channels, *rest = x.shape
    groups = 2 - channels % 2
    return A.native_group_norm.default(x, w, b, num, channels, math.prod(rest), groups, 1e-5)


def backward_of_group_norm(g, x, w):
    _, mean, deviation = group_norm(x, w, w)
    num, channels, *rest = x.shape
    sizes = (num, channels, math.prod(rest), 2 - channels % 2)
    wanted = [True, True, True]
    return A.native_group_norm_backward.default(g, x, mean, deviation, w, *sizes, wanted)


def backward_of_nll_loss(x, t):
    loss, total = A.nll_loss_forward.default(x, t, None, 1, -100)
    return A.nll_loss_backward.default(loss, x, t, None, 1, -100, total)


def backward_of_nll_loss2d(x, p):
    loss, total = A.nll_loss2d_forward.default(x, p, None, 1, 2)
    return A.nll_loss2d_backward.default(loss, x, p, None, 1, 2, total)


def means_of_rows(x):
    return A._adaptive_avg_pool2d.default(x, [x.shape[-2], 1])


def backward_of_rows(x):
    return A._adaptive_avg_pool2d_backward.default(means_of_rows(x), x)


def backward_of_avg_pool2d(x):
    means = A.avg_pool2d.default(x, [2, 2])
    return A.avg_pool2d_backward.default(means, x, [2, 2], [], [0, 0], False, True, None)


def unshuffled(x):
    return A.pixel_unshuffle.default(A.repeat.default(x, [1] * (x.dim() - 2) + [2, 2]), 2) * 2


def backward_of_glu(g, x, y):
    return A.glu_backward.default(g, A.cat.default([x, y], -1), -1)


def shape_of(x, *, dim=-1, more=0):
    sizes = list(x.shape)
    sizes[dim] += more
    return sizes


UNARY = "abs neg relu square floor ceil trunc round sign sgn isnan logical_not bitwise_not"
UNARY += " exp expm1 sin cos tanh erf sigmoid silu gelu hardsigmoid hardswish exp2"
UNARY += " tan atan sinh cosh asinh erfc frac deg2rad rad2deg"
UNARY += " isinf celu mish prod argmax argmin linalg_vector_norm"
UNARY += " max min t clone alias detach lift_fresh_copy log_sigmoid_forward ones_like zeros_like"
POSITIVE = "log log2 log10 log1p sqrt rsqrt reciprocal lgamma"
BINARY = "maximum minimum logical_and logical_or silu_backward hardsigmoid_backward"
BINARY += " hardswish_backward copy mish_backward _prelu_kernel"
BINARY += " mse_loss smooth_l1_loss huber_loss atan2 logaddexp heaviside hypot"
COMPARISONS = "eq ne lt le gt ge copysign"

CASES = {
    **{getattr(A, name).default: [("x",)] for name in UNARY.split()},
    **{getattr(A, name).default: [("+",)] for name in POSITIVE.split()},
    **{getattr(A, name).default: [("x", "y")] for name in BINARY.split()},
    **{getattr(A, name).Tensor: [("x", "y"), ("x", "x")] for name in COMPARISONS.split()},
    **{getattr(A, name).Scalar: [("x", 0.5), ("x", 1)] for name in COMPARISONS.split()},
    A.add.Tensor: [("x", "y", {"alpha": 2}), ("x", "o")],
    A.add.Scalar: [("x", 2)],
    A.addcdiv.default: [("x", "y", "+", {"value": 2})],
    A.addcmul.default: [("x", "y", "z", {"value": 2})],
    A.all.default: [("x",)],
    A.all.dim: [("x", -1), ("x", 0, True)],
    A.all.dims: [("x", [0, -1])],
    A.amax.default: [("x", [-1]), ("x", [0], True)],
    A.amin.default: [("x", [-1]), ("x", [0], True)],
    A.any.default: [("x",)],
    A.any.dim: [("x", -1), ("x", 0, True)],
    A.any.dims: [("x", [0, -1])],
    A.arange.default: [(lambda x: A.arange.default(x.shape[-1]) * x, "x")],
    A.arange.start: [(lambda x: A.arange.start(1, x.shape[-1] + 1) * x, "x")],
    A.arange.start_step: [
        (lambda x, step=step: A.arange.start_step(1, 1 + step * x.shape[-1], step) * x, "x")
        for step in (1, 2)
    ],
    A.avg_pool2d.default: [("x", [2, 2], [2, 1], [1, 1]), ("x", [2, 2]), ("x", [2, 3])],
    A._adaptive_avg_pool2d.default: [(means_of_rows, "x")],
    A._adaptive_avg_pool2d_backward.default: [(backward_of_rows, "x")],
    A.avg_pool2d_backward.default: [(backward_of_avg_pool2d, "x")],
    A.binary_cross_entropy_backward.default: [
        ("x", "<", "<", weight, reduction) for weight, reduction in (("y", 1), (None, 2))
    ]
    + [("x", "<", "<", None, 0)],
    A.binary_cross_entropy_with_logits.default: [
        ("x", "<", weight, positive, reduction)
        for weight, positive, reduction in ((None, None, 1), ("w", None, 2), ("y", "w", 0))
    ],
    A.bitwise_and.Scalar: [("x", 5)],
    A.bitwise_and.Tensor: [("x", "y")],
    A.bitwise_or.Scalar: [("x", 5)],
    A.bitwise_or.Tensor: [("x", "y")],
    A.bitwise_xor.Tensor: [("x", "y")],
    A.cat.default: [(["x", "y"], -1), (["x", "y", "x"], 0)],
    A.celu.default: [("x",), ("x", 0.7)],
    A.clamp.default: [("x", -0.5, 0.7), ("x", None, 1)],
    A.clamp.Tensor: [("x", "y", "z")],
    A.clamp_max.default: [("x", 0.7)],
    A.clamp_max.Tensor: [("x", "y")],
    A.clamp_min.default: [("x", 0.1)],
    A.clamp_min.Tensor: [("x", "y")],
    A.constant_pad_nd.default: [("x", [1, 2], 0.5), ("x", [-1, 2])],
    A.cumprod.default: [("<", 0)],
    A.cumsum.default: [("x", -1), ("x", 0)],
    A.div.Scalar: [("x", 3)],
    A.div.Scalar_mode: [("x", 3, {"rounding_mode": how}) for how in ("trunc", "floor")],
    A.div.Tensor: [("x", "+")],
    A.div.Tensor_mode: [("x", "+", {"rounding_mode": how}) for how in ("trunc", "floor")],
    A.elu.default: [("x", 1.5, 1.2, 0.7)],
    A.elu_backward.default: [("x", 1.5, 1.2, 0.7, is_result, "y") for is_result in (False, True)],
    A.embedding.default: [("x", "r")],
    A.embedding_dense_backward.default: [("v", "r", 7, -1, False), ("v", "r", 7, 2, False)],
    A.expand.default: [(lambda x: A.expand.default(x, [3, *x.shape]) * x, "x")],
    A.fill.Scalar: [("x", 2)],
    A.fill.Tensor: [("x", "o")],
    A.flip.default: [("x", [0]), ("x", [0, -1])],
    A.floor_divide.default: [("x", "+")],
    A.floor_divide.Scalar: [("x", 3), ("x", -1.25)],
    A.fmod.Scalar: [("x", 3), ("x", 1.25)],
    A.fmod.Tensor: [("x", "+")],
    **{getattr(A, name).default: [("<",)] for name in ("asin", "acos", "atanh")},
    A.acosh.default: [(lambda x: A.acosh.default(x + 1), "+")],
    A.count_nonzero.default: [("x",), ("x", -1)],
    A.count_nonzero.dim_IntList: [("x", [0, -1])],
    A.nansum.default: [(lambda x: A.nansum.default(x / x.trunc(), [0]), "x"), ("x", [-1], True)],
    A.logit.default: [("<",), ("<", 0.3), ("<", 0.6)],
    A.full.default: [
        (lambda x: A.full.default(list(x.shape), 3, dtype=x.dtype) * x, "x"),
        (lambda x: A.full.default(list(x.shape), True) & (x > 0), "x"),
        (lambda x: A.full.default(list(x.shape), 3), "x"),
    ],
    A.full_like.default: [("x", 3)],
    A.gather.default: [("x", -1, "#")],
    A.gelu.default: [("x",), ("x", {"approximate": "tanh"})],
    A.gelu_backward.default: [("x", "y"), ("x", "y", {"approximate": "tanh"})],
    A.glu.default: [(lambda x, y: A.glu.default(A.cat.default([x, y], 0), 0), "x", "y")],
    A.glu_backward.default: [(backward_of_glu, "x", "y", "z")],
    A.hardtanh.default: [("x", -0.5, 0.7)],
    A.hardtanh_backward.default: [("x", "y", -0.5, 0.7)],
    A.huber_loss_backward.default: [
        ("x", "y", "z", 0, 0.7),
        ("o", "y", "z", 1, 0.7),
    ],
    A.index.Tensor: [("x", ["r"])],
    A.index_add.default: [("x", 0, "r", "v")],
    A.index_copy.default: [("x", 0, "r", "v")],
    A.index_fill.int_Scalar: [("x", -1, "i", 2)],
    A.index_put.default: [("x", ["r"], "v", True)],
    A.index_select.default: [("x", 0, "r"), ("x", -1, "i")],
    A.leaky_relu.default: [("x", 0.1)],
    A.leaky_relu_backward.default: [("x", "y", 0.1, False)],
    A.lerp.Scalar: [("x", "y", 0.3), ("x", "y", 0.8)],
    A.lerp.Tensor: [("x", "y", "<")],
    A.log_sigmoid_backward.default: [
        (lambda g, x: A.log_sigmoid_backward.default(g, x, (-x.abs()).exp()), "x", "y")
    ],
    A.logsumexp.default: [("x", [-1]), ("x", [0], True), ("x", [0, -1])],
    A.masked_fill.Scalar: [("x", "?", -3)],
    A.masked_fill.Tensor: [("x", "?", "o")],
    A.max_pool2d_with_indices.default: [("x", [2, 2], [2, 1], [1, 1])],
    A.max.dim: [("x", -1), ("x", 0, True)],
    A.mean.default: [("x",)],
    A.mean.dim: [("x", [-1]), ("x", [0], True)],
    A.min.dim: [("x", 0), ("x", -1, True)],
    A.mse_loss_backward.default: [("x", "y", "z", 0), ("o", "y", "z", 1)],
    A.mul.Scalar: [("x", 3)],
    A.mul.Tensor: [("x", "y"), ("x", "o")],
    A.nan_to_num.default: [("x",), ("x", 1.5, 2.5)],
    A.native_batch_norm_backward.default: [
        ("x", "y", "c", "c", "C", "c", "C", is_training, 1e-5, [True, True, True])
        for is_training in (True, False)
    ],
    A.native_dropout_backward.default: [("x", "?", 2.0)],
    A.native_group_norm.default: [(group_norm, "x", "c", "c")],
    A.native_group_norm_backward.default: [(backward_of_group_norm, "x", "y", "c")],
    A.native_layer_norm.default: [
        (lambda x, w, b: A.native_layer_norm.default(x, [x.shape[-1]], w, b, 1e-5), "x", "w", "w")
    ],
    A.native_layer_norm_backward.default: [(backward_of_layer_norm, "x", "y", "w")],
    A.new_zeros.default: [(lambda x: A.new_zeros.default(x, [*x.shape]) + x, "x")],
    A.nll_loss_backward.default: [(backward_of_nll_loss, "x", "t")],
    A.nll_loss2d_backward.default: [(backward_of_nll_loss2d, "x", "p")],
    A.nll_loss2d_forward.default: [
        (
            lambda x, p, how=how: A.nll_loss2d_forward.default(x, p, None, how, -100),
            "x",
            "p",
        )
        for how in range(3)
    ],
    A.nll_loss_forward.default: [("x", "t", None, reduction, -100) for reduction in range(3)],
    A.ones.default: [(lambda x: A.ones.default(list(x.shape), dtype=x.dtype) + x, "x")],
    A.permute.default: [(lambda x: A.permute.default(x, range(x.dim())[::-1]) * 2, "x")],
    A.pixel_shuffle.default: [("x", 2)],
    A.pixel_unshuffle.default: [(unshuffled, "x")],
    A.pow.Scalar: [(1.7, "x")],
    A.pow.Tensor_Scalar: [("+", 1.7), ("x", 2), ("x", 3), ("+", -0.5), ("+", -1)],
    A.pow.Tensor_Tensor: [("+", "y")],
    A.prod.dim_int: [("x", -1), ("x", 0, True)],
    A.remainder.Scalar: [("x", 3), ("x", -1.25)],
    A.remainder.Tensor: [("x", "+")],
    A.repeat.default: [("x", [2, 3]), ("x", [2, 1, 3, 1, 2])],
    A.reshape.default: [("x", [-1])],
    A.roll.default: [("x", [3], [-1]), ("x", [-2, 1], [0, 1]), ("x", [5])],
    A.rsub.Scalar: [("x", 2, 3)],
    A.rsub.Tensor: [("x", "y", {"alpha": 2})],
    A.scalar_tensor.default: [(lambda x: A.scalar_tensor.default(2.5, dtype=x.dtype) * x, "x")],
    A.select.int: [(lambda x: A.select.int(x, -1, 2) * 2, "x")],
    A.select_backward.default: [(lambda g: A.select_backward.default(g, [4, *g.shape], 0, 2), "x")],
    A.scatter.src: [(lambda x, y, i: A.scatter.src(x, -1, i, y.gather(-1, i)), "x", "y", "#")],
    A.scatter.value: [("x", -1, "#", 2)],
    A.scatter_add.default: [
        (lambda x, y, i: A.scatter_add.default(x, -1, i, y.gather(-1, i)), "x", "y", "#")
    ],
    A.select_scatter.default: [("x", "l", 0, -1)],
    A.sigmoid_backward.default: [("x", "<")],
    A.slice.Tensor: [(lambda x: A.slice.Tensor(x, -1, 1, 9, 2) * 2, "x")],
    A.slice_backward.default: [
        (
            lambda g: A.slice_backward.default(g, shape_of(g, more=3), -1, 1, g.shape[-1] + 1, 1),
            "x",
        )
    ],
    A.slice_scatter.default: [(lambda x, y: A.slice_scatter.default(x, y[1:], 0, 1), "x", "y")],
    A.smooth_l1_loss_backward.default: [("x", "y", "z", 0, 1.5), ("o", "y", "z", 1, 1.5)],
    A.softplus.default: [("x", 2.0, 1.0)],
    A.softplus_backward.default: [("x", "y", 2.0, 1.0)],
    A.split.Tensor: [(lambda x: [part * 2 for part in A.split.Tensor(x, 2, -1)], "x")],
    A.split_with_sizes.default: [
        (
            lambda x: [part * 2 for part in A.split_with_sizes.default(x, [1, x.shape[0] - 1])],
            "x",
        )
    ],
    A.squeeze.default: [(lambda x: A.squeeze.default(x[:1].unsqueeze(1)) * 2, "x")],
    A.squeeze.dim: [(lambda x: A.squeeze.dim(x[:1], 0) * 2, "x")],
    A.squeeze.dims: [(lambda x: A.squeeze.dims(x[:1].unsqueeze(1), [0, 1]) * 2, "x")],
    A.stack.default: [(["x", "y"], -1), (["x", "y"], 0)],
    A.std.correction: [("x", [-1], {"correction": 1}), ("x", [0], {"correction": 0})],
    A.std_mean.correction: [("x", [-1], {"correction": 1}), ("x", [0], {"keepdim": True})],
    A.sub.Scalar: [("x", 2)],
    A.sub.Tensor: [("x", "y", {"alpha": 2})],
    A.sum.default: [("x",)],
    A.sum.dim_IntList: [("x", [-1]), ("x", [0], True), ("x", [0, -1], {"dtype": torch.float64})],
    A.tanh_backward.default: [("x", "<")],
    A.threshold.default: [("x", 0.1, 20)],
    A.threshold_backward.default: [("x", "y", 0.1)],
    A.transpose.int: [(lambda x: A.transpose.int(x, 0, -1) * 2, "x")],
    A.tril.default: [("x",), ("x", 2)],
    A.triu.default: [("x",), ("x", -1)],
    A.unbind.int: [(lambda x: [part * 2 for part in A.unbind.int(x)], "x")],
    A.unsqueeze.default: [(lambda x: A.unsqueeze.default(x, 1) * 2, "x")],
    A.var.correction: [("x", [-1], {"correction": 1}), ("x", None, {"correction": 0})],
    A.var_mean.correction: [("x", [-1], {"correction": 1}), ("x", [0], {"keepdim": True})],
    A.view.default: [(lambda x: A.view.default(x, [x.numel()]) * 2, "x")],
    A.where.self: [("?", "x", "y"), ("?", "x", "o")],
    A.xlogy.Scalar_Other: [("x", 2.5)],
    A.xlogy.Scalar_Self: [(2.5, "+")],
    A.xlogy.Tensor: [("x", "+")],
    A.zeros.default: [(lambda x: A.zeros.default(list(x.shape), dtype=x.dtype) + x, "x")],
    A._log_softmax.default: [("x", -1, False), ("x", 0, False)],
    A._log_softmax_backward_data.default: [
        (lambda g, y: A._log_softmax_backward_data.default(g, -y, -1, g.dtype), "x", "+")
    ],
    A._prelu_kernel_backward.default: [("x", "y", "w")],
    A._native_batch_norm_legit.no_stats: [("x", "c", "c", True, 0.1, 1e-5)],
    A._native_batch_norm_legit_functional.default: [
        ("x", "c", "c", "c", "C", is_training, 0.1, 1e-5) for is_training in (True, False)
    ],
    A._native_batch_norm_legit_no_training.default: [("x", "c", "c", "c", "C", 0.1, 1e-5)],
    A._safe_softmax.default: [("x", -1)],
    A._softmax.default: [("x", -1, False), ("x", 0, False)],
    A._softmax_backward_data.default: [
        (lambda g, y: A._softmax_backward_data.default(g, y, -1, g.dtype), "x", "<")
    ],
    A._to_copy.default: [
        ("x", {"dtype": dtype}) for dtype in (torch.float64, torch.bfloat16, torch.int64)
    ],
    A._unsafe_index.Tensor: [("x", [None, "i"])],
    A._unsafe_index_put.default: [("x", ["r"], "v", True)],
    A._unsafe_view.default: [(lambda x: A._unsafe_view.default(x, [x.numel()]) * 2, "x")],
    UNIFORM: [(lambda x, s: UNIFORM(s, list(x.shape), 3) + x, "x", "s")],
    torch.ops.prims.convert_element_type.default: [
        ("x", torch.float64),
        ("x", torch.bfloat16),
        ("x", torch.float16),
    ],
}
if hasattr(torch.ops.prims, "fma"):
    CASES[torch.ops.prims.fma.default] = [("x", "y", "z")]

LAYOUTS = {
    "plain": lambda make, shape: make(shape),
    "transposed": lambda make, shape: make(shape[::-1]).permute(*range(len(shape))[::-1]),
    "sliced": lambda make, shape: make((*shape[:-1], 2 * shape[-1]))[..., ::2],
    "expanded": lambda make, shape: make((1, *shape[1:])).expand(shape),
    "channels last": lambda make, shape: make(shape).contiguous(memory_format=torch.channels_last),
}
SETTINGS = [
    (torch.float32, (7, 19), "transposed"),
    (torch.float32, (2, 4, 5, 3), "channels last"),
    (torch.bfloat16, (7, 35), "sliced"),
    (torch.int64, (7, 19), "sliced"),
    (torch.float16, (7, 19), "plain"),
    (torch.float64, (7, 19), "sliced"),
    (torch.float32, (7, 1), "expanded"),
    (torch.float32, (0, 7), "plain"),
    (torch.float32, (), "plain"),
    (torch.float32, (2, 4, 5, 3), "plain"),
    (torch.bool, (7, 19), "transposed"),
]
# Of no elements ATen ends the process, or what PyTorch traces with divides by their number.
NEED_ELEMENTS = {
    A.huber_loss_backward.default,
    A.mse_loss_backward.default,
    A.smooth_l1_loss_backward.default,
    A.native_batch_norm_backward.default,
    A.native_group_norm.default,
    A.native_group_norm_backward.default,
}
# PyTorch takes these apart before anything is captured, the first only as it is traced here.
TAKEN_APART = {
    A.binary_cross_entropy_with_logits.default,
    *(A.lift_fresh_copy.default, A.reshape.default, A.square.default),
}
# ATen's constant 1/6 is that of float32.
SINGLE_CONSTANTS = {A.hardsigmoid_backward.default, A.hardsigmoid.default}


class Tensors:
    """What the letters of a case stand for."""

    def __init__(self, dtype, shape, layout):
        self.dtype, self.shape, self.layout = dtype, shape, LAYOUTS[layout]
        self.generator = torch.Generator().manual_seed(0)

    def __call__(self, letter):
        shape = self.shape
        vectors = {"w": shape[-1:], "c": shape[1:2], "l": shape[1:], "v": (4, *shape[1:])}
        if letter in {"i", "r", "t", "p", "#"}:
            dim = {"r": 0, "p": 1}.get(letter, -1)
            sizes = {"t": shape[:1], "#": (*shape[:-1], 4), "p": (*shape[:1], *shape[2:])}
            sizes = sizes.get(letter, (4,))
            return torch.randint(shape[dim], sizes, generator=self.generator)
        if letter == "s":
            return torch.tensor(5)
        if letter == "C":
            return self.values(vectors["c"]).abs() + 1
        if letter in vectors or letter == "o":
            return self.values(vectors.get(letter, ()))
        return self.layout(lambda sizes: self.values(sizes, letter), shape)

    def values(self, shape, letter="x"):
        made = torch.randn(shape, generator=self.generator)
        made = {"+": made.abs() + 0.1, "<": made.sigmoid(), "?": made > 0}.get(letter, made)
        if self.dtype is torch.int64 and letter != "?":
            made = made * 5 + (letter == "+")
        return made if letter == "?" else made.to(self.dtype)


def call_of(entry, case, tensors):
    """A function of tensors that makes the call, and the tensors."""
    target, *arguments = case if callable(case[0]) else (entry, *case)
    kwargs = arguments.pop() if isinstance(arguments[-1], dict) else {}
    given = []

    def drawn(argument):
        if isinstance(argument, list):
            return [drawn(one) for one in argument]
        if not isinstance(argument, str):
            return argument
        given.append(tensors(argument))
        return len(given) - 1, "operand"

    def filled(argument, operands):
        if isinstance(argument, list):
            return [filled(one, operands) for one in argument]
        return operands[argument[0]] if isinstance(argument, tuple) else argument

    places = [drawn(argument) for argument in arguments]

    def function(*operands):
        made = target(*(filled(place, operands) for place in places), **kwargs)
        return [one for one in results_of(lambda: made) if isinstance(one, torch.Tensor)]

    return function, given


def is_taken(function, tensors):
    """Whether ATen takes such tensors."""
    try:
        function(*tensors)
    except (RuntimeError, IndexError, ValueError, TypeError):
        return False
    return True


def calls(entry, settings):
    """A call in each setting that it can be made in; an entry's cases take turns."""
    for at, (dtype, shape, layout) in enumerate(settings):
        if 0 in shape and entry in NEED_ELEMENTS:
            continue
        if dtype is torch.float64 and entry in SINGLE_CONSTANTS:
            continue
        if dtype is torch.bool and str(entry).startswith("prims."):
            continue
        case = CASES[entry][at % len(CASES[entry])]
        try:
            function, tensors = call_of(entry, case, Tensors(dtype, shape, layout))
        except (RuntimeError, IndexError):
            continue  # there are no places in what has no elements
        if is_taken(function, tensors):
            yield function, tensors


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_an_entry_gives_what_aten_gives(entry):
    has_kernels = False
    for function, tensors in calls(entry, SETTINGS):
        captured = traced(function, *tensors)
        assert entry in targets_of(captured) or entry in TAKEN_APART
        made = lower(captured)
        assert_no_mistakes(made)
        assert_graph_as_eager(made.graph, function, tensors, as_inferred=True)
        has_kernels |= str(entry) not in made.reasons
    assert has_kernels


def targets_of(captured):
    return {node.target for node in captured.graph.nodes}


TRAINED = [
    (torch.float32, (7, 19), "transposed"),
    (torch.bfloat16, (2, 4, 5, 3), "channels last"),
    (torch.float64, (7, 19), "sliced"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_the_gradients_of_an_entry_are_atens(entry):
    for function, tensors in calls(entry, TRAINED):
        gradients = gradients_of(function)
        if is_narrower(function, tensors) or not is_taken(gradients, tensors):
            continue
        made = lower(traced(gradients, *tensors))
        assert_no_mistakes(made)
        assert_graph_as_eager(made.graph, gradients, tensors, as_inferred=True, of_largest=True)
