"""The four forms that a designed activation takes, as PyTorch modules.

- `TabulatedActivation`: a table of values and slopes, cubic between knots, linear outside.
- `HermiteSeries`: Σ b_k h_k, a polynomial.
- `ReLUSum`: Σ αⱼ relu(z − tⱼ) + offset + slope·z.
- `SinusoidSum`: Σ Aⱼ sin(ωⱼ z + pⱼ) + offset + slope·z.

All are differentiated exactly, as often as one likes, in reverse and forward mode and under
`torch.func`: each knows its derivative of any order (`value_of_order`), and autograd is told so
instead of tracing the arithmetic. Only z is kept for the backward pass.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sestina.core.errors import InvalidValueError, ShapeError
from sestina.ntk.activations.base import REGISTRY, Activation, check_number
from sestina.ntk.designs.form_duals import (
    kinked_coefficients,
    kinked_moments,
    panel_coefficients,
    panel_moments,
    series_duals,
)
from sestina.ntk.designs.packing import pack, unpack
from sestina.ntk.gaussian.duals import Duals

__all__ = ["DesignedActivation", "HermiteSeries", "ReLUSum", "SinusoidSum", "TabulatedActivation"]

Numbers = Sequence[float] | NDArray[np.float64]

_LEAST_STEP = 1e-60
_MAX_TERMS = 4096
"""Of the forms that loop over their terms."""


class DesignedActivation(Activation):
    """An activation that knows its derivatives of every order.

    Its Gaussian expectations are taken by series of `num_terms` Hermite polynomials, unless the
    form has closed ones.
    """

    num_terms: int = 4096

    @abstractmethod
    def value_of_order(self, z: Tensor, order: int) -> Tensor:
        """The derivative of that order at z, elementwise; order 0 is φ itself."""

    def forward(self, z: Tensor) -> Tensor:
        """φ(z)."""
        return _apply(z, self, 0)

    def derivative(self, z: Tensor) -> Tensor:
        """φ'(z)."""
        return _apply(z, self, 1)

    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """See `Activation.duals`; exact to 1e-5 relative, for complex k12, too."""

        def coefficients(q: Tensor, num_terms: int) -> tuple[Tensor, Tensor]:
            return panel_coefficients(self.forward, self.derivative, q, num_terms)

        return series_duals(coefficients, self.num_terms, q1, q2, k12)

    def moments(self, q: Tensor) -> Duals:
        """See `Activation.moments`."""
        return panel_moments(self.forward, self.derivative, q)


class _Derivable(torch.autograd.Function):
    """φ⁽ⁿ⁾, whose derivative is φ⁽ⁿ⁺¹⁾."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, shape: DesignedActivation, order: int) -> Tensor:
        return shape.value_of_order(z, order)

    @staticmethod
    def setup_context(
        ctx: Any,
        inputs: tuple[Tensor, DesignedActivation, int],
        output: Tensor,  # noqa: ARG004
    ) -> None:
        z, ctx.shape, ctx.order = inputs
        ctx.save_for_backward(z)
        ctx.save_for_forward(z)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (z,) = ctx.saved_tensors
        return grads[0] * _apply(z, ctx.shape, ctx.order + 1), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (z,) = ctx.saved_tensors
        slope: Tensor = tangents[0] * _apply(z, ctx.shape, ctx.order + 1)
        return slope


def _apply(z: Tensor, shape: DesignedActivation, order: int) -> Tensor:
    value: Tensor = _Derivable.apply(z, shape, order)  # type: ignore[no-untyped-call]
    return value


class TabulatedActivation(DesignedActivation):
    """A function from equidistant values and slopes: cubic between knots, linear beyond them.

    Args:
        limit: the knots go from −limit to limit.
        values: φ at the knots, at least two; or their `pack`ed text.
        slopes: φ' at the knots.

    The derivative is that of the piecewise cubic itself, not a second table, so that gradients
    are those of the function which `forward` computes.

    Example:
        >>> line = TabulatedActivation(1.0, [-1.0, 0.0, 1.0], [1.0, 1.0, 1.0])
        >>> line(torch.tensor([-3.0, 0.25, 2.0]))
        tensor([-3.0000,  0.2500,  2.0000])
    """

    name: ClassVar[str] = "table"
    arguments: ClassVar[tuple[str, ...]] = ("limit", "values", "slopes")

    def __init__(self, limit: float, values: Numbers | str, slopes: Numbers | str) -> None:
        super().__init__()
        self.limit = check_number("limit", limit, positive=True)
        self.values = _numbers("values", values, at_least=2)
        self.slopes = _numbers("slopes", slopes, at_least=2)
        if self.values.size != self.slopes.size:
            raise ShapeError(
                "slopes",
                self.slopes.shape,
                expected=f"one per value, {self.values.size}",
                remedy="pass value and slope at every knot",
            )
        self.num_cells = self.values.size - 1
        self.step = 2 * self.limit / self.num_cells
        if self.step < _LEAST_STEP:  # derivatives divide by its cube
            raise InvalidValueError(
                "limit",
                limit,
                expected=f"at least {_LEAST_STEP * self.num_cells / 2:.3g}",
                remedy="pass the |z| of the last knot",
            )
        # Knots resolve waves of some 40 steps; a series of N terms has the wave number √N.
        self.num_terms = int(min(max((2 * math.pi / (40 * self.step)) ** 2, 256), 16_384))
        self.cells: Tensor
        cells = torch.from_numpy(_cubics(self.values, self.slopes * self.step))
        self.register_buffer("cells", cells, persistent=False)

    def value_of_order(self, z: Tensor, order: int) -> Tensor:
        """The derivative of that order; zero from the fourth on."""
        if order > 3:
            return torch.zeros_like(z)
        # t = (place in the cell) in units of the step; beyond the knots it is the distance to them.
        t = (z + self.limit) / self.step
        cell = t.clamp(-1, self.num_cells).floor_()
        t = t - cell.clamp(0, self.num_cells)
        row = cell.nan_to_num_(0.0).int().add_(1)
        cubics = torch.nn.functional.embedding(row, self.cells.to(device=z.device, dtype=z.dtype))
        value = torch.zeros_like(t)
        for power in range(3, order - 1, -1):
            factor = math.perm(power, order) / self.step**order
            value = value * t + factor * cubics[..., power]
        return value

    def spec(self) -> dict[str, object]:
        """The table as text; `activation(spec)` makes an equal one."""
        return {
            "name": self.name,
            "limit": self.limit,
            "values": pack(self.values),
            "slopes": pack(self.slopes),
        }

    def extra_repr(self) -> str:
        """The table's size."""
        return f"limit={self.limit:g}, knots={self.values.size}"


class HermiteSeries(DesignedActivation):
    """Σ b_k h_k(z), h_k = He_k/√k! normalised for N(0, 1), continued by its tangent beyond a limit.

    Args:
        coefficients: b_0, b_1, …, at most 4,096; or their `pack`ed text.
        limit: the |z| from which on it is linear; without one it is the polynomial everywhere, and
            explodes there.

    Example:
        >>> HermiteSeries([1.0, 0.5])(torch.tensor([0.0, 3.0]))  # 1 + z/2
        tensor([1.0000, 2.5000])
    """

    name: ClassVar[str] = "hermite_series"
    arguments: ClassVar[tuple[str, ...]] = ("coefficients", "limit")

    def __init__(self, coefficients: Numbers | str, limit: float | None = None) -> None:
        super().__init__()
        self.coefficients = _numbers("coefficients", coefficients, at_least=1, at_most=_MAX_TERMS)
        self.limit = None if limit is None else check_number("limit", limit, positive=True)

    def value_of_order(self, z: Tensor, order: int) -> Tensor:
        """The derivative of that order."""
        if self.limit is None:
            return self._polynomial(z, order)
        inside = z.clamp(-self.limit, self.limit)
        value = self._polynomial(inside, order)
        if order == 0:
            return value + self._polynomial(inside, 1) * (z - inside)
        return value if order == 1 else torch.where(z == inside, value, 0.0)

    def spec(self) -> dict[str, object]:
        """The coefficients as text, and the limit."""
        return {
            "name": self.name,
            "coefficients": pack(self.coefficients),
            "limit": self.limit,
        }

    def extra_repr(self) -> str:
        """The degree and the limit."""
        return f"degree={self.coefficients.size - 1}, limit={self.limit}"

    def _polynomial(self, z: Tensor, order: int) -> Tensor:
        """The series' derivative of that order, by Clenshaw's recursion."""
        b = self.coefficients
        for _ in range(order):  # h_k' = √k h_{k−1}
            b = b[1:] * np.sqrt(np.arange(1, b.size))
        later, now = torch.zeros_like(z), torch.zeros_like(z)
        for k in range(b.size - 1, -1, -1):
            ahead = z * now / math.sqrt(k + 1)
            later, now = now, ahead - math.sqrt((k + 1) / (k + 2)) * later + float(b[k])
        return now


class ReLUSum(DesignedActivation):
    """Σ αⱼ relu(z − tⱼ) + offset + slope·z.

    Args:
        positions: tⱼ, any order; or their `pack`ed text.
        weights: αⱼ.
        offset: the constant.
        slope: of the linear term.

    Example:
        >>> ReLUSum([0.0], [2.0], slope=-1.0)(torch.tensor([-3.0, 3.0]))  # |z|
        tensor([3., 3.])
    """

    name: ClassVar[str] = "relu_sum"
    arguments: ClassVar[tuple[str, ...]] = ("positions", "weights", "offset", "slope")
    num_terms = 16_384

    def __init__(
        self,
        positions: Numbers | str,
        weights: Numbers | str,
        offset: float = 0.0,
        slope: float = 0.0,
    ) -> None:
        super().__init__()
        self.positions = _numbers("positions", positions, at_most=_MAX_TERMS)
        self.weights = _numbers("weights", weights, at_most=_MAX_TERMS)
        _check_same_length("weights", self.weights, self.positions)
        self.offset = check_number("offset", offset)
        self.slope = check_number("slope", slope)
        self.kinks = tuple(sorted({float(t) for t in self.positions}))

    def value_of_order(self, z: Tensor, order: int) -> Tensor:
        """The derivative of that order; at a kink that from the left; zero from the second on."""
        if order > 1:
            return torch.zeros_like(z)
        value = self.offset + self.slope * z if order == 0 else torch.full_like(z, self.slope)
        for position, weight in zip(self.positions.tolist(), self.weights.tolist(), strict=True):
            piece = torch.relu(z - position) if order == 0 else (z > position).to(z.dtype)
            value = value.add(piece, alpha=weight)
        return value

    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """See `Activation.duals`; the coefficients are closed forms."""

        def coefficients(q: Tensor, num_terms: int) -> tuple[Tensor, Tensor]:
            return kinked_coefficients(*self._terms(q), self.offset, self.slope, q, num_terms)

        return series_duals(coefficients, self.num_terms, q1, q2, k12)

    def moments(self, q: Tensor) -> Duals:
        """See `Activation.moments`; exact."""
        return kinked_moments(*self._terms(q), self.offset, self.slope, q)

    def _terms(self, like: Tensor) -> tuple[Tensor, Tensor]:
        return (
            torch.tensor(self.positions, dtype=like.dtype, device=like.device),
            torch.tensor(self.weights, dtype=like.dtype, device=like.device),
        )

    def spec(self) -> dict[str, object]:
        """The terms as text."""
        return {
            "name": self.name,
            "positions": pack(self.positions),
            "weights": pack(self.weights),
            "offset": self.offset,
            "slope": self.slope,
        }

    def extra_repr(self) -> str:
        """The number of terms."""
        return f"terms={self.positions.size}, offset={self.offset:.6g}, slope={self.slope:.6g}"


class SinusoidSum(DesignedActivation):
    """Σ Aⱼ sin(ωⱼ z + pⱼ) + offset + slope·z.

    Args:
        amplitudes: Aⱼ; or their `pack`ed text.
        frequencies: ωⱼ.
        phases: pⱼ, radians.
        offset: the constant.
        slope: of the linear term.

    Example:
        >>> SinusoidSum([0.5], [6.0], [0.0])(torch.tensor([0.0, math.pi / 12]))
        tensor([0.0000, 0.5000])
    """

    name: ClassVar[str] = "sinusoid_sum"
    arguments: ClassVar[tuple[str, ...]] = (
        "amplitudes",
        "frequencies",
        "phases",
        "offset",
        "slope",
    )

    def __init__(
        self,
        amplitudes: Numbers | str,
        frequencies: Numbers | str,
        phases: Numbers | str,
        offset: float = 0.0,
        slope: float = 0.0,
    ) -> None:
        super().__init__()
        self.amplitudes = _numbers("amplitudes", amplitudes, at_most=_MAX_TERMS)
        self.frequencies = _numbers("frequencies", frequencies, at_most=_MAX_TERMS)
        self.phases = _numbers("phases", phases, at_most=_MAX_TERMS)
        _check_same_length("frequencies", self.frequencies, self.amplitudes)
        _check_same_length("phases", self.phases, self.amplitudes)
        self.offset = check_number("offset", offset)
        self.slope = check_number("slope", slope)

    def value_of_order(self, z: Tensor, order: int) -> Tensor:
        """The derivative of that order: each turns the phase by a quarter."""
        value = torch.zeros_like(z)
        if order == 0:
            value = self.offset + self.slope * z
        elif order == 1:
            value = torch.full_like(z, self.slope)
        for amplitude, frequency, phase in self._terms():
            wave = torch.sin(frequency * z + (phase + order * math.pi / 2))
            value = value.add(wave, alpha=amplitude * frequency**order)
        return value

    def duals(self, q1: Tensor, q2: Tensor, k12: Tensor) -> Duals:
        """Closed form: characteristic functions of the Gaussian for every pair of terms."""
        value = self.offset**2 + self.slope**2 * k12 + 0 * (q1 + q2)
        slope = self.slope**2 + 0 * (q1 + q2 + k12)
        for a, w, p in self._terms():
            for b, v, s in self._terms():
                # E cos(wu ∓ vv) = exp(−(w²q1 + v²q2 ∓ 2wv k12)/2)
                apart = torch.exp(-(w**2 * q1 + v**2 * q2 - 2 * w * v * k12) / 2) * math.cos(p - s)
                along = torch.exp(-(w**2 * q1 + v**2 * q2 + 2 * w * v * k12) / 2) * math.cos(p + s)
                value = value + a * b / 2 * (apart - along)
                slope = slope + a * b * w * v / 2 * (apart + along)
            for q in (q1, q2):  # the cross terms with the affine part, once for each side
                wave = a * torch.exp(-(w**2) * q / 2)
                value = value + wave * (
                    self.offset * math.sin(p) + self.slope * w * k12 * math.cos(p)
                )
                slope = slope + wave * self.slope * w * math.cos(p)
        return value, slope

    def moments(self, q: Tensor) -> Duals:
        """(E[φ(u)²], E[φ'(u)²]) for u ~ N(0, q): the duals at ρ = 1, which are exact there."""
        return self.duals(q, q, q)

    def spec(self) -> dict[str, object]:
        """The terms as text."""
        return {
            "name": self.name,
            "amplitudes": pack(self.amplitudes),
            "frequencies": pack(self.frequencies),
            "phases": pack(self.phases),
            "offset": self.offset,
            "slope": self.slope,
        }

    def extra_repr(self) -> str:
        """The terms, if they are few."""
        if self.amplitudes.size > 3:
            return f"terms={self.amplitudes.size}, offset={self.offset:.6g}, slope={self.slope:.6g}"
        terms = [f"{a:.6g}·sin({w:.6g}z{p:+.6g})" for a, w, p in self._terms()]
        return " + ".join([*terms, f"{self.offset:.6g}", f"{self.slope:.6g}z"])

    def _terms(self) -> list[tuple[float, float, float]]:
        columns = (self.amplitudes.tolist(), self.frequencies.tolist(), self.phases.tolist())
        return list(zip(*columns, strict=True))


def _cubics(values: NDArray[np.float64], rises: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cubics c₀ + c₁t + c₂t² + c₃t³ of all cells, with a linear one before and one after them."""
    y0, y1, d0, d1 = values[:-1], values[1:], rises[:-1], rises[1:]
    cells = np.stack([y0, d0, 3 * (y1 - y0) - 2 * d0 - d1, 2 * (y0 - y1) + d0 + d1], axis=1)
    before = [[values[0], rises[0], 0.0, 0.0]]
    after = [[values[-1], rises[-1], 0.0, 0.0]]
    return np.concatenate([before, cells, after])


def _numbers(
    name: str, values: Numbers | str, *, at_least: int = 0, at_most: int = 1 << 20
) -> NDArray[np.float64]:
    """A read-only vector of finite numbers, from numbers or packed text."""
    try:
        vector = unpack(name, values) if isinstance(values, str) else np.array(values, np.float64)
    except (OverflowError, TypeError, ValueError) as error:
        if isinstance(error, InvalidValueError):
            raise
        raise InvalidValueError(
            name,
            values,
            expected="a list of numbers",
            remedy=f"pass {name} as a list of numbers",
        ) from error
    if vector.ndim != 1 or not at_least <= vector.size <= at_most:
        raise ShapeError(
            name,
            vector.shape,
            expected=f"one axis of {at_least} to {at_most} numbers",
            remedy=f"pass {name} as a list of numbers",
        )
    if not np.isfinite(vector).all():
        bad = int(np.flatnonzero(~np.isfinite(vector))[0])
        raise InvalidValueError(
            f"{name}[{bad}]",
            float(vector[bad]),
            expected="a finite number",
            remedy=f"look for NaN or infinity where {name} was computed",
        )
    vector.flags.writeable = False
    return vector


def _check_same_length(
    name: str, vector: NDArray[np.float64], reference: NDArray[np.float64]
) -> None:
    if vector.size != reference.size:
        raise ShapeError(
            name,
            vector.shape,
            expected=f"{reference.size} numbers, one per term",
            remedy=f"pass as many {name} as there are terms",
        )


for _form in (HermiteSeries, ReLUSum, SinusoidSum, TabulatedActivation):
    REGISTRY.add(_form.name, _form)
