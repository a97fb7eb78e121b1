"""Functions that are rare in networks: the C library computes them."""

from __future__ import annotations

import math
from typing import Any

import torch

from sestina.fuser.lower.expressions import Expression, Number
from sestina.fuser.lower.table import elementwise

__all__: list[str] = []

_ATEN = torch.ops.aten
_NAMES = (
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "asinh",
    "acosh",
    "atanh",
    "erfc",
    "lgamma",
)
_FORMULAS: dict[Any, Any] = {
    _ATEN.hypot.default: lambda x, y: x.apply("hypot", y),
    _ATEN.copysign.Tensor: lambda x, y: x.apply("copysign", y),
    _ATEN.copysign.Scalar: lambda x, y: x.apply("copysign", y),
    _ATEN.frac.default: lambda x: x - x.apply("trunc"),
    _ATEN.deg2rad.default: lambda x: x * (math.pi / 180),
    _ATEN.rad2deg.default: lambda x: x * (180 / math.pi),
    _ATEN.heaviside.default: lambda x, y: (x == 0).where(y, (x > 0).convert(x.dtype)),
}
for _name in _NAMES:
    elementwise(getattr(_ATEN, _name).default)(lambda x, name=_name: x.apply(name))
for _target, _formula in _FORMULAS.items():
    elementwise(_target)(_formula)


@elementwise(_ATEN.logit.default)
def _logit(x: Expression, eps: Number | None = None) -> Expression:
    if eps is not None:
        x = (x < eps).where(eps, (x > 1 - eps).where(1 - eps, x))
    return (x / (1 - x)).log()
