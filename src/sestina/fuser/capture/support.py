"""Which versions of PyTorch this was tested with, and what happens with others.

The interfaces that a compiler captures through change from version to version. Outside of the range
a warning says so once, and a function of many operations is compiled and compared with what ATen
gives; if that fails, PyTorch runs graphs itself.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional

from sestina.fuser.launch.program import assemble
from sestina.fuser.lower.graph import lower

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
    """Whether a function of many operations compiles, and gives what ATen gives."""
    x, w = torch.linspace(-3, 3, 96).reshape(4, 24), torch.linspace(0.5, 2, 24)
    try:
        captured = make_fx(_tested, tracing_mode="fake")(x, w)
        run = compile_(captured) if compile_ is not None else assemble(lower(captured).graph).run
        mine, theirs = run([x, w]), _tested(x, w)
        return all(
            torch.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in zip(mine, theirs, strict=True)
        )
    except Exception:  # noqa: BLE001 - whatever goes wrong with a new version is the answer
        return False


def _tested(x: Tensor, w: Tensor) -> list[Tensor]:
    normal = functional.layer_norm(x, (24,), w)
    bent = functional.gelu(normal @ w.expand(8, 24).t())
    return [bent, x.softmax(-1).sum(0), (x.t() * 2).contiguous(), torch.where(x > 0, x, w)]


def _shown(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
