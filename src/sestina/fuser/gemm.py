"""Products of matrices by whichever library is faster here: ATen's own choice, or oneDNN.

For float32 PyTorch calls MKL where it has it. On CPUs of other makers than its own that is slower
than oneDNN, which PyTorch has too, and on its maker's some shapes are. Both round alike: 2e-7 to
4e-7 of the result's norm. Which is faster is measured once on a machine for each way that the
second operand may lie, and for sizes of each power of two, the longest shortened. A first operand
that lies by columns, as in gradients of weights, is ATen's: oneDNN turns it first, in memory of its
size.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sestina.fuser.measured import once
from sestina.fuser.memory import empty

__all__ = [
    "ACTIVATIONS",
    "ADDMM_ACTIVATION",
    "ROUTED",
    "activated",
    "addmm",
    "is_routed",
    "mm",
    "prefers_onednn",
]

_ATEN = torch.ops.aten
# Below this many multiplications a call costs as much as what it computes.
_MIN_PRODUCTS = 1 << 22
# What is measured is made shorter until it has no more, nor a matrix more elements.
_MAX_PRODUCTS, _MAX_ELEMENTS = 1 << 26, 1 << 22
_REPEATS = 5


def mm(a: Tensor, b: Tensor) -> Tensor:
    """The product of two matrices."""
    if is_routed(a, b):
        return _onednn(a, b, None)
    return torch.mm(a, b, out=empty((a.shape[0], b.shape[1]), (b.shape[1], 1), a.dtype))


def addmm(bias: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The product of two matrices, plus a vector in each row."""
    if is_routed(a, b, bias):
        return _onednn(a, b, bias)
    made = empty((a.shape[0], b.shape[1]), (b.shape[1], 1), a.dtype)
    return torch.addmm(bias, a, b, out=made)


def activated(bias: Tensor | None, a: Tensor, b: Tensor, name: str, algorithm: str) -> Tensor:
    """A function of each element of a product, computed with it where that is faster.

    Args:
        bias: added to each row first, if given.
        a: the first matrix.
        b: the second one.
        name: a key of `ACTIVATIONS`.
        algorithm: of gelu, `none` or `tanh`.
    """
    if name not in _INEXACT and is_routed(a, b, bias):
        return _onednn(a, b, bias, name, algorithm)
    product = mm(a, b) if bias is None else addmm(bias, a, b)
    return ACTIVATIONS[name](product, algorithm)


ACTIVATIONS: dict[str, Callable[[Tensor, str], Tensor]] = {
    "relu": lambda x, _: x.relu_(),
    "tanh": lambda x, _: x.tanh_(),
    "sigmoid": lambda x, _: x.sigmoid_(),
    "swish": lambda x, _: torch.nn.functional.silu(x, inplace=True),
    "gelu": lambda x, algorithm: torch.nn.functional.gelu(x, approximate=algorithm),
}
"""What oneDNN does on the way, by its names, and the same by PyTorch."""

# oneDNN's ReLU of NaN is 0. PyTorch's, in the product's own memory, costs 5 % of a product of
# (1024, 256) and (256, 1024) more, in one thread; a kernel after it 17 %.
_INEXACT = {"relu"}

_activated = torch.library.custom_op(
    "sestina::addmm_activation",
    activated,
    mutates_args=(),
    schema="(Tensor? bias, Tensor a, Tensor b, str name, str algorithm) -> Tensor",
)


@_activated.register_fake
def _(bias: Tensor | None, a: Tensor, b: Tensor, name: str, algorithm: str) -> Tensor:
    del bias, name, algorithm
    return a.new_empty(a.shape[0], b.shape[1])


ADDMM_ACTIVATION = torch.ops.sestina.addmm_activation.default
ROUTED: dict[Any, Callable[..., Tensor]] = {
    _ATEN.mm.default: mm,
    _ATEN.addmm.default: addmm,
    ADDMM_ACTIVATION: activated,
}
"""Operations of PyTorch that are done here instead."""


def is_routed(a: Tensor, b: Tensor, bias: Tensor | None = None) -> bool:
    """Whether oneDNN multiplies these matrices, or ones that lie so, and adds the bias, if any."""
    if a.dtype is not torch.float32 or a.shape[0] * a.shape[1] * b.shape[1] < _MIN_PRODUCTS:
        return False
    if bias is not None and (bias.ndim > 1 or bias.dtype is not a.dtype):
        return False
    second = _way(b)
    sizes = a.shape[0].bit_length(), a.shape[1].bit_length(), b.shape[1].bit_length()
    is_plain = _way(a) == "rows" and bool(second)
    return is_plain and prefers_onednn(second, sizes, torch.get_num_threads())


def _way(matrix: Tensor) -> str:
    """How a matrix lies: by rows, by columns, or with gaps, which is left to ATen."""
    rows, columns = matrix.stride()
    if columns == 1 and rows == matrix.shape[1]:
        return "rows"
    return "columns" if rows == 1 and columns == matrix.shape[0] else ""


@functools.cache
def prefers_onednn(second: str, sizes: tuple[int, int, int], threads: int) -> bool:
    """Whether oneDNN multiplies a matrix that lies by rows faster with one that lies so.

    Args:
        second: how the second matrix lies, by `rows` or by `columns`.
        sizes: the binary digits of the rows, of what is summed over, and of the columns.
        threads: those of PyTorch, which the answer depends on.
    """
    shape = "x".join(map(str, _measured_sizes(sizes)))
    name = f"products of {shape} with {second}, PyTorch {torch.__version__}, {threads} threads"
    measure = functools.partial(_measured, second, sizes, threads)
    return bool(once(name, measure))


def _measured_sizes(digits: tuple[int, int, int]) -> list[int]:
    """In the middle of those with so many digits; the longest halved while there is too much."""
    sizes = [max(1, 3 << count >> 2) for count in digits]
    while math.prod(sizes) > _MAX_PRODUCTS or sizes[1] * max(sizes) > _MAX_ELEMENTS:
        longest = sizes.index(max(sizes))
        sizes[longest] //= 2
    return sizes


def _measured(second: str, digits: tuple[int, int, int], threads: int) -> bool:
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    # What one thread computes is not delayed by what others do meanwhile.
    now = time.process_time if threads == 1 else time.perf_counter
    rows, inner, columns = _measured_sizes(digits)
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(rows, inner, generator=generator)
    b = torch.rand(inner, columns, generator=generator)
    b = b if second == "rows" else b.t().contiguous().t()
    times: dict[Any, list[float]] = {torch.mm: [], _without_bias: []}
    with torch.no_grad():
        for _ in range(_REPEATS + 1):
            for multiply, spent in times.items():
                start = now()
                multiply(a, b)
                spent.append(now() - start)
    atens, onednns = (min(spent[1:]) for spent in times.values())  # the first is warm-up
    # A tie stays with ATen.
    return onednns < 0.97 * atens


def _without_bias(a: Tensor, b: Tensor) -> Tensor:
    return _onednn(a, b, None)


def _onednn(
    a: Tensor, b: Tensor, bias: Tensor | None, name: str = "none", algorithm: str = ""
) -> Tensor:
    # It asks for no strides: it reads as many numbers as there are columns, one after another.
    if bias is not None and (bias.shape != b.shape[1:] or bias.stride() != (1,)):
        bias = bias.new_empty(b.shape[1]).copy_(bias)
    made: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.t(), bias, name, [], algorithm)
    return made
