"""Which versions of PyTorch this was tested with, and what happens with others.

The interfaces that a compiler captures through change from version to version. Outside of the range
a warning says so once, and functions of many operations, one with its gradient and dropout, are
compiled and compared with what ATen gives; if that fails, PyTorch runs graphs itself.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
from functorch.compile import aot_function, make_boxed_func
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional

from sestina.fuser.capture.rewrites import partition
from sestina.fuser.launch.program import assemble
from sestina.fuser.lower.graph import lower
from sestina.fuser.options import FuserOptions

__all__ = ["TESTED", "is_supported", "passes_its_test"]

TESTED = ((2, 13), (2, 13))
"""The first and the last version of PyTorch, both included."""


@functools.cache
def is_supported(version: str = torch.__version__) -> bool:
    """Whether graphs are to be compiled with this version of PyTorch."""
    numbers = tuple(int(part) for part in version.partition("+")[0].split(".", maxsplit=2)[:2])
    first, last = TESTED
    if first <= numbers <= last:
        return True
    works = passes_its_test()
    outcome = "graphs are compiled" if works else "PyTorch runs graphs itself"
    warnings.warn(
        f"PyTorch {version} is not one that the compiler was tested with ({_shown(first)} to "
        f"{_shown(last)}); its test of itself {'passes' if works else 'fails'}, so {outcome}",
        UserWarning,
        stacklevel=2,
    )
    return works


def passes_its_test(compile_: Callable[[fx.GraphModule], Any] | None = None) -> bool:
    """Whether functions of many operations compile, and give what ATen gives."""
    compile_ = compile_ or _compiled
    x, w = torch.linspace(-3, 3, 96).reshape(4, 24), torch.linspace(0.5, 2, 24)
    try:
        run = compile_(make_fx(_tested, tracing_mode="fake")(x, w))
        is_right = all(
            torch.allclose(a, b, rtol=1e-5, atol=1e-5)
            for a, b in zip(run([x, w]), _tested(x, w), strict=True)
        )
        return is_right and _trains(compile_, x, w)
    except Exception:  # noqa: BLE001 - whatever goes wrong with a new version is the answer
        return False


def _compiled(captured: fx.GraphModule) -> Any:
    return assemble(lower(captured).graph).run


def _trains(compile_: Callable[[fx.GraphModule], Any], x: Tensor, w: Tensor) -> bool:
    """Whether forward and backward agree on what is dropped, and gradients are those of ATen."""

    def boxed(captured: fx.GraphModule, _: Any) -> Any:
        run = compile_(captured)
        return make_boxed_func(lambda *args: run([*args]))

    x = x.clone().requires_grad_()
    fused = aot_function(
        lambda x, w: (functional.dropout(x, 0.5), functional.layer_norm(x, (24,), w).tanh()),
        fw_compiler=boxed,
        partition_fn=functools.partial(partition, FuserOptions()),
    )
    dropped, bent = fused(x, w)
    (kept,) = torch.autograd.grad(dropped.sum(), x, retain_graph=True)
    (slope,) = torch.autograd.grad(bent.sum(), x)
    (expected,) = torch.autograd.grad(functional.layer_norm(x, (24,), w).tanh().sum(), x)
    is_right = torch.allclose(dropped, kept * x) and torch.allclose(slope, expected, atol=1e-5)
    return is_right and 0 < int(dropped.count_nonzero()) < x.numel()


def _tested(x: Tensor, w: Tensor) -> list[Tensor]:
    normal = functional.layer_norm(x, (24,), w)
    bent = functional.gelu(normal @ w.expand(8, 24).t())
    return [bent, x.softmax(-1).sum(0), (x.t() * 2).contiguous(), torch.where(x > 0, x, w)]


def _shown(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
