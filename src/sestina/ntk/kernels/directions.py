"""Rows of inputs as directions and norms, for kernels of the cosine."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from sestina.core.errors import InvalidValueError, OffSphereError

__all__ = ["Form", "check_range", "cosines", "polar"]

Form: TypeAlias = Literal["radial", "normalise", "strict"]
"""What a kernel of cosines makes of inputs off the sphere."""

_SPHERE_TOLERANCE = 1e-6
_PARALLEL_ULPS = 8.0
_EXTREME_NORMS = (1e-140, 1e140)
"""Squares of norms outside leave float64, or lose digits in it."""


def polar(name: str, x: Tensor, form: Form) -> tuple[Tensor, Tensor]:
    """Unit rows (n, d), a zero row staying zero, and norms |x|/√d (n,), in float64.

    Raises:
        OffSphereError: if `form` does not take a row as it is.
    """
    if form not in ("radial", "normalise", "strict"):
        raise InvalidValueError(
            "form", form, expected="'radial', 'normalise' or 'strict'", remedy="pass one of them"
        )
    wide = x.to(torch.float64)
    is_zero = (wide == 0).all(1)
    wide = torch.where(is_zero[:, None], 1.0, wide)
    sizes = torch.amax(wide.detach().abs(), 1) if x.shape[1] else torch.ones_like(wide.sum(1))
    is_extreme = (sizes < _EXTREME_NORMS[0]) | (sizes > _EXTREME_NORMS[1])
    sizes = torch.where(is_extreme, sizes, 1.0)
    wide = wide / sizes[:, None]
    norms = torch.linalg.vector_norm(wide, dim=1)
    radii = torch.where(is_zero, 0.0, norms / math.sqrt(x.shape[1]) * sizes)
    is_off = is_zero if form == "normalise" else (radii - 1).abs() > _SPHERE_TOLERANCE
    if form != "radial" and bool(is_off.any()):
        row = int(is_off.nonzero()[0])
        raise OffSphereError(
            name,
            f"of norm {float(radii[row].detach() * math.sqrt(x.shape[1])):.6g} in row {row}",
            expected="a norm above 0"
            if form == "normalise"
            else f"the norm √d = {math.sqrt(x.shape[1]):.6g}",
            remedy="remove it, or use form='radial'"
            if form == "normalise"
            else "use form='normalise' or form='radial'",
        )
    return torch.where(is_zero[:, None], 0.0, wide / norms[:, None]), radii


def check_range(
    name1: str, radii1: Tensor, name2: str, radii2: Tensor, total: float, dtype: torch.dtype
) -> None:
    """Refuses norms whose kernel leaves the type of the result.

    Raises:
        InvalidValueError: naming the row and its kernel.
    """
    if radii1.numel() == 0 or radii2.numel() == 0:
        return
    largest = float(radii1.detach().max()) * float(radii2.detach().max()) * abs(total)
    if not largest <= torch.finfo(dtype).max:
        name, radii = (name1, radii1) if radii1.max() >= radii2.max() else (name2, radii2)
        raise InvalidValueError(
            f"kernel of {name}[{int(radii.argmax())}]",
            largest,
            expected=f"at most {torch.finfo(dtype).max:.3g}, the largest {dtype}",
            remedy="scale the inputs down",
        )


def cosines(directions1: Tensor, directions2: Tensor, *, same: bool) -> Tensor:
    """Inner products of unit rows, (n, m), exact where rows are equal or opposite.

    Args:
        directions1: (n, d).
        directions2: (m, d).
        same: whether both are the same rows, so that the diagonal is 1.
    """
    products = directions1 @ directions2.T
    # Equal and opposite rows: K may have a square-root singularity there, which would turn the
    # product's rounding error of 1e-16 into one of 1e-8.
    is_parallel = 1 - products.abs() <= _PARALLEL_ULPS * torch.finfo(products.dtype).eps
    products = torch.where(is_parallel, products.detach().sign(), products)
    if not same:
        return products
    is_diagonal = torch.eye(len(products), dtype=torch.bool, device=products.device)
    return torch.where(is_diagonal, 1.0, products)
