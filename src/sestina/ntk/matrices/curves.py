"""Kernel matrices on inputs of any norms, quickly.

A mixture of twenty deep kernels, or a series of 16,000 terms, costs a second and more per million
entries. On the sphere each is a function of the angle alone, smooth on [0, π] even where K(c) has a
square-root singularity at c = ±1: a cubic spline in the angle costs a tenth of a second. A single
network's kernel goes to the compiled kernel of `sestina.ntk.matrices.tiled`.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from sestina.core.errors import InvalidValueError
from sestina.ntk.architectures import FullyConnected, NetworkCurve
from sestina.ntk.arrays import check_not_negative
from sestina.ntk.kernels.directions import check_range, polar
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.kernels.expressions import Expression, Series
from sestina.ntk.pairs import Kind, check_kind
from sestina.tensors.checks import check_matrix

__all__ = ["InputForm", "input_matrix", "tabulated"]

InputForm: TypeAlias = Literal["radial", "normalise", "strict", "network"]
"""What becomes of the inputs' norms: as in `DotProductKernel.matrix`, or "network" for a
`FullyConnected`'s own kernel at unequal norms."""

_NUM_KNOTS = (8193, 65_537)
"""Errors of the first: 1e-10·K(1) for ReLU networks of depth 20, 5e-7 for c to the 16,000th."""
_TOLERANCE = 1e-6
_SHORT_SERIES = 64


def input_matrix(
    kernel: DotProductKernel | FullyConnected,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    form: InputForm = "radial",
    bias: float = 0.0,
    kind: Kind = "ntk",
) -> Tensor:
    """The kernel of the rows of x1 with the rows of x2, whatever their norms; without gradients.

    Args:
        kernel: a function of the cosine, or a network.
        x1: (n, d), float32 or float64.
        x2: (m, d); default x1, when the diagonal is exact.
        form: "radial", "normalise", "strict" (see `DotProductKernel.matrix`) or "network"; rows of
            zeros have kernel 0 with all others in the first two.
        bias: append the constant input bias·√d to every row, so that norms matter: of the same size
            as the rest of a standardised row if 1.
        kind: which kernel of a network is meant.

    Returns:
        (n, m), right to 1e-6 of K(1) or better.

    Raises:
        InvalidValueError: if the form is "network" and the kernel is not a network's.
        OffSphereError: if the form is "strict" and a norm is not √d.

    Example:
        >>> x = torch.tensor([[4.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
        >>> input_matrix(DotProductKernel.from_coefficients([0, 1]), x).round().tolist()  # x·x'/d
        [[8.0, 0.0], [0.0, 0.0]]
    """
    check_kind(kind)
    check_not_negative("bias", bias)
    check_matrix("x1", x1)
    if x2 is not None:
        check_matrix("x2", x2, num_columns=x1.shape[1])
    if bias:
        x1, x2 = _with_bias(x1, bias), None if x2 is None else _with_bias(x2, bias)
    with torch.no_grad():
        if form == "network":
            if not isinstance(kernel, FullyConnected):
                raise InvalidValueError(
                    "form",
                    form,
                    expected="'radial', 'normalise' or 'strict' for a function of the cosine",
                    remedy="pass a FullyConnected network as kernel, or another form",
                )
            return _of_network(kernel, kind, x1, x2)
        if isinstance(kernel, FullyConnected):
            kernel = kernel.dot_product(kind)
        if form not in ("radial", "normalise"):  # checked there
            return tabulated(kernel).matrix(x1, x2, form=form)
        return _off_sphere(kernel, x1, x2, scale=form == "radial")


def tabulated(kernel: DotProductKernel) -> DotProductKernel:
    """The same kernel by cubic interpolation in the angle: for real cosines, without gradients.

    A kernel too sharp to be interpolated to 1e-6 of its size comes back as it is.

    Example:
        >>> kernel = DotProductKernel(lambda c: np.exp(9 * (c - 1)))
        >>> c = np.linspace(-1, 1, 1001)
        >>> bool(np.abs(tabulated(kernel)(c) - kernel(c)).max() < 1e-10)
        True
    """
    for num_knots in _NUM_KNOTS:
        table = _AngleTable(kernel, num_knots)
        # Between knots: all places near c = ±1, where kernels are sharp, and some elsewhere.
        places = np.unique(
            [*range(256), *range(0, num_knots - 1, 32), *range(num_knots - 257, num_knots - 1)]
        )
        c = np.cos((places + 0.5) * (math.pi / (num_knots - 1)))
        exact = kernel(c)
        error = np.abs(table.evaluate(torch.from_numpy(c)).numpy() - exact).max()
        if error <= _TOLERANCE * np.abs(exact).max():
            return DotProductKernel(table)
    return kernel


class _AngleTable(Expression):
    """A spline through a kernel's values at evenly spaced angles."""

    is_analytic = False

    def __init__(self, kernel: DotProductKernel, num_knots: int) -> None:
        angles = np.linspace(0.0, math.pi, num_knots)
        self._kernel = kernel
        self._spline = CubicSpline(angles, kernel(np.cos(angles)))

    def evaluate(self, c: Tensor) -> Tensor:
        """The kernel at real cosines in [−1, 1]."""
        angles = np.arccos(c.detach().cpu().numpy())
        return torch.as_tensor(self._spline(angles), device=c.device)

    def spec(self) -> dict[str, object]:
        """That of the kernel in the table."""
        return self._kernel.spec()


def _off_sphere(kernel: DotProductKernel, x1: Tensor, x2: Tensor | None, *, scale: bool) -> Tensor:
    """K(c) times both radii, or times both indicators of a direction."""
    rows1, radii1 = _polar(x1, scale=scale)
    rows2, radii2 = (None, radii1) if x2 is None else _polar(x2, scale=scale)
    curve = kernel.expression
    if isinstance(curve, NetworkCurve):
        matrix = _of_network(curve.network, curve.kind, rows1, rows2)
    elif isinstance(curve, Series) and len(curve.coefficients) <= _SHORT_SERIES:
        matrix = kernel.matrix(rows1, rows2, form="normalise")
    else:
        matrix = tabulated(kernel).matrix(rows1, rows2, form="normalise")
    if scale:
        check_range("x1", radii1, "x1" if x2 is None else "x2", radii2, kernel.total, x1.dtype)
    return (matrix * radii1[:, None] * radii2).to(x1.dtype)


def _polar(x: Tensor, *, scale: bool) -> tuple[Tensor, Tensor]:
    """Rows of norm √d, and |x|/√d or 1; a row of zeros takes any direction, and 0."""
    directions, radii = polar("x", x, "radial")
    is_zero = radii == 0
    rows = torch.where(is_zero[:, None], 1.0, directions * math.sqrt(x.shape[1]))
    return rows, radii if scale else torch.where(is_zero, 0.0, 1.0).to(radii)


def _with_bias(x: Tensor, bias: float) -> Tensor:
    column = x.new_full((len(x), 1), bias * math.sqrt(x.shape[1]))
    return torch.cat([x, column], dim=1)


def _of_network(network: FullyConnected, kind: Kind, x1: Tensor, x2: Tensor | None) -> Tensor:
    return network.nngp(x1, x2) if kind == "nngp" else network.ntk(x1, x2)
