"""Errors of kernels' own functions, and of products of matrices done by another library.

An error is in units of the last place of the true value, which float64 gives. Arguments are of both
signs, their sizes spaced evenly by their logarithms; where the result is not finite it must be
what it is in float64 or eager. Results below the smallest normal number are stated in the notes:
ATen rounds many of them to 0, which would be the largest of its errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.figures import Value
from benchmarks.fuser.cases import CASES, Case
from benchmarks.harness import Report, at_most, main
from sestina.fuser import fuse, gemm

NUM_ARGUMENTS = 200_000
_SMALLEST, _LARGEST = 1e-30, 1e4
_TINY = 2.0**-126
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": torch.exp,
    "exp2": torch.exp2,
    "expm1": torch.expm1,
    "log": torch.log,
    "log2": torch.log2,
    "log10": torch.log10,
    "log1p": torch.log1p,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "reciprocal": torch.reciprocal,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "asin": torch.asin,
    "acos": torch.acos,
    "atan": torch.atan,
    "atan2 of x and 1.5": lambda x: torch.atan2(x, torch.tensor(1.5, dtype=x.dtype)),
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "asinh": torch.asinh,
    "acosh": torch.acosh,
    "atanh": torch.atanh,
    "hypot of x and 1.5": lambda x: torch.hypot(x, torch.tensor(1.5, dtype=x.dtype)),
    "tanh": torch.tanh,
    "erf": torch.erf,
    "erfc": torch.erfc,
    "lgamma": torch.lgamma,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "GELU": functional.gelu,
    "GELU by tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "softplus": functional.softplus,
    "ELU": functional.elu,
    "hardswish": functional.hardswish,
    "x to the power 2.5": lambda x: x**2.5,
    "1.5 to the power x": lambda x: torch.pow(1.5, x),
}
# Rows, inner extent and columns: of the models' layers, and larger ones.
PRODUCTS = (
    *((1024, 256, 1024), (1024, 1024, 256), (1024, 256, 8192), (1024, 8192, 256)),
    *((256, 1024, 8192), (512, 4096, 512), (2048, 2048, 2048)),
)


def bench(report: Report) -> None:
    """A row for each function and each graph, and one for products."""
    torch.set_num_threads(1)
    sizes = torch.logspace(
        math.log10(_SMALLEST), math.log10(_LARGEST), NUM_ARGUMENTS // 2, dtype=torch.float64
    ).float()
    x = torch.cat([sizes, -sizes])
    for name, function in FUNCTIONS.items():
        with torch.no_grad():
            true, theirs = function(x.double()), function(x)
            # Some of these are one function to TorchDynamo, which compiles it a few times at most.
            torch.compiler.reset()
            mine = fuse(function, strict=True)(x)
        _check(name, mine, theirs, true)
        normal, tiny = true.abs() >= _TINY, true.abs() < _TINY
        # ATen's sinh overflows too early: that is no measure for others.
        ours, eager = _errors(mine, true), _errors(theirs.where(theirs.isfinite(), true), true)
        report.row(
            what=f"error of {name}, the largest",
            workload={"arguments": NUM_ARGUMENTS, "smallest": _SMALLEST, "largest": _LARGEST},
            measured=Value(_largest(ours, normal), "ulp"),
            target=at_most(2 * _largest(eager, normal) + 2),
            notes={
                "argument": float(x[torch.where(normal, ours, -1).argmax()]),
                "eager's": _largest(eager, normal),
                "decades in which it is beyond those of eager in them": _decades(x, ours, eager),
                "of results below 2⁻¹²⁶": _largest(ours, tiny),
                "eager's of those": _largest(eager, tiny),
            },
        )
    for name, case in CASES.items():
        with patch.object(functional, "dropout", lambda x, _: x):
            _report_graph(report, name, case)
    _report_products(report)


def _report_graph(report: Report, name: str, case: Case) -> None:
    """Of a graph's result and gradients, without dropout."""
    torch.manual_seed(0)
    torch.compiler.reset()
    arguments = case.arguments()
    mine = _made_of(torch.compile(case.function, backend="sestina"), arguments)
    theirs = _made_of(case.function, arguments)
    wide = [a.double() if a.is_floating_point() else a for a in arguments]
    worst = []
    for ours, eager, true in zip(mine, theirs, _made_of(case.function, wide), strict=True):
        place = torch.as_tensor(np.spacing(true.float().abs().numpy())).double()
        bound = 2 * (eager.double() - true).abs().max() + 2 * place
        worst.append(float(((ours.double() - true).abs() / bound).max()))
    report.row(
        what=f"error of {name} and its gradients, as a part of what it may be",
        workload={"case": name, "dropout": "none", "seed": 0},
        measured=Value(max(worst)),
        target=at_most(1),
        notes={"result, then gradients": worst},
    )


def _made_of(function: Callable[..., Tensor], arguments: Sequence[Tensor]) -> list[Tensor]:
    """The result, and gradients of those arguments that want them, for one gradient of it."""
    given = [a.detach().requires_grad_(a.requires_grad) for a in arguments]
    result = function(*given)
    weights = torch.randn(result.shape, generator=torch.Generator().manual_seed(1))
    result.backward(weights.to(result.dtype))
    return [result.detach(), *(one.grad for one in given if one.grad is not None)]


def _check(name: str, mine: Tensor, theirs: Tensor, true: Tensor) -> None:
    """Infinite and undefined results are what they are to be."""
    rounded = true.float()
    is_right = (mine == rounded) | (mine == theirs) | (mine.isnan() & rounded.isnan())
    wrong = ~(is_right | rounded.isfinite())
    assert not wrong.any(), f"{name}: {mine[wrong][:4]} where {rounded[wrong][:4]} is true"


def _errors(made: Tensor, true: Tensor) -> Tensor:
    """In ulp of what is true, 0 where that is not finite in float32."""
    rounded = true.float()
    place = torch.from_numpy(np.spacing(rounded.abs().numpy())).double()
    # JSON has no word for the error of a result that is not finite.
    errors = ((made.double() - true).abs() / place).nan_to_num(nan=1e30, posinf=1e30)
    return torch.where(rounded.isfinite(), errors, 0.0)


def _largest(errors: Tensor, among: Tensor) -> float:
    return float(torch.where(among, errors, 0.0).max())


def _decades(x: Tensor, ours: Tensor, eager: Tensor) -> list[str]:
    """Where we'd miss the target if it were set for each decade and sign by itself."""
    decades = x.sign() * 100 + x.abs().log10().floor()
    found = []
    for decade in decades.unique():
        within = (decades == decade) & (x != 0)
        if _largest(ours, within) > 2 * _largest(eager, within) + 2:
            first = x[within].abs().min().item()
            found.append(f"{'-' if decade < 0 else ''}{first:.0e}")
    return found


def _report_products(report: Report) -> None:
    """Of each product of matrices, however they lie: the error's norm beside the product's."""
    torch.manual_seed(0)
    found: list[tuple[float, ...]] = []
    routed = 0
    for rows, inner, columns in PRODUCTS:
        for ways in (("rows", "rows"), ("rows", "columns"), ("columns", "rows")):
            a = _lying(ways[0], torch.randn(rows, inner))
            b = _lying(ways[1], torch.randn(inner, columns))
            true = a.double() @ b.double()
            routed += gemm.is_routed(a, b)
            found.append(tuple(_relative(made, true) for made in (gemm.mm(a, b), a @ b)))
    mine, theirs = (max(errors) for errors in zip(*found, strict=True))
    report.row(
        what="error of products of matrices as routed, the largest relative one",
        workload={"rows, inner, columns": PRODUCTS, "dtype": "float32", "seed": 0},
        measured=Value(mine),
        target=at_most(min(1e-6, 3 * theirs)),
        notes={"eager's": theirs, "by oneDNN": routed, "of": len(found)},
    )


def _lying(way: str, matrix: Tensor) -> Tensor:
    return matrix if way == "rows" else matrix.t().contiguous().t()


def _relative(made: Tensor, true: Tensor) -> float:
    return float((made.double() - true).norm() / true.norm())


if __name__ == "__main__":
    main(bench)
