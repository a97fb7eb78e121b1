"""A network's kernels as piecewise polynomials of the angle: cost independent of the depth.

On inputs of one norm a kernel is a function K(c) of the cosine c alone. It has a square-root
singularity at c = 1 and at c = −1 (kinked activations), and is analytic in the disc |c| < 1. So a
table in the angle, or in any smooth function of it, converges fast. The variable here is

    u = √(scale·(1 − |c|) + shift) − start,      one half for c ≥ 0, one for c < 0,

proportional to sin(θ/2), which needs a square root and no arc cosine. `shift` is not 0 where the
first layer's biases keep the correlation ρ = (w c + b)/(w + b) away from −1: the singularity then
lies outside [−1, 1] at ρ = −1, and a table in √(1 + c) would converge slowly. Two layouts:

- uniform: `intervals` per half, equally long in u. It suffices for networks of moderate depth.
- graded: intervals shrink towards c = ±1 like 1 − |c| itself. K is bounded by K(1) in the disc
  (its coefficients are not negative), which bounds the error of degree 5 by 6e-8·K(1) there for
  every kernel; only the first interval, 1 − |c| < 2⁻⁴⁰, is left to K's own smoothness.

The uniform layout is taken where its error, measured between the nodes, is small enough.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sestina.ntk.activations.base import ClosedForm
from sestina.ntk.matrices.rectifiers import RectifierNetwork
from sestina.ntk.pairs import Kind

if TYPE_CHECKING:
    from sestina.ntk.architectures import FullyConnected

__all__ = ["KernelTable", "Precision"]

Precision = Literal["float32", "float64"]
"""What the table's values are good for: its degree, intervals and tolerance."""

Floats = NDArray[np.float64]

_DEGREE = {"float32": 5, "float64": 9}
"""As compiled into the C++ kernel: `table_degree`."""
_UNIFORM_INTERVALS = {"float32": 16, "float64": 64}
_TOLERANCE = {"float32": 2e-7, "float64": 2e-13}
_QUADRATURE_TOLERANCE = 1e-9
"""Where kernels come from quadrature, whose noise finer tables would only follow."""
_PER_OCTAVE = {"float32": 8, "float64": 16}
_OCTAVES = 20
_LARGEST_SHIFT = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KernelTable:
    """Kernels of one network between inputs of two given norms, tabulated.

    Example:
        >>> from sestina.ntk.architectures import FullyConnected
        >>> table = KernelTable.build(FullyConnected(activation="relu"), kinds=("ntk",))
        >>> table(torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64))[0].numpy().round(7).tolist()
        [1.0, 0.4711656, 0.1591549]
    """

    kinds: tuple[Kind, ...]
    coefficients: Floats
    """(kind, term, half, interval), highest degree first, in the place −½…½ within the interval."""
    placement: Floats
    """(3, half): scale, shift and start of u."""
    is_graded: bool
    first_scale: float
    """Graded: 1 over the length of the first interval."""
    sizes: tuple[float, ...]
    """Per kind √(K(x, x) K(x', x')), the largest value it can have."""
    error: float
    """Largest difference from the network's own curve between the nodes, relative to `sizes`."""

    @classmethod
    def build(
        cls,
        network: FullyConnected,
        *,
        kinds: tuple[Kind, ...] = ("nngp", "ntk"),
        moments: tuple[float, float] = (1.0, 1.0),
        precision: Precision = "float64",
    ) -> KernelTable:
        """The table of a network's kernels.

        Args:
            network: evaluated in float64, without gradients, at a few hundred cosines.
            kinds: which kernels.
            moments: |x|²/d of the inputs on the left and on the right.
            precision: of the values looked up: 2e-7 (float32) or 2e-13 (float64) of K(1).

        Raises:
            DivergentKernelError: if the tangent kernel is asked for and infinite.
        """
        curve = _Curve(network, kinds, moments)
        table = _tabulate(curve, _uniform_layout(curve.shifts(), precision), precision)
        tolerance = _TOLERANCE[precision]
        if not isinstance(network.activation, ClosedForm):
            tolerance = max(tolerance, _QUADRATURE_TOLERANCE)
        if table.error <= tolerance:
            return table
        graded = _tabulate(curve, _graded_layout(precision), precision)
        return min(table, graded, key=lambda candidate: candidate.error)

    @staticmethod
    def num_places(precision: Precision) -> int:
        """At how many cosines `build` evaluates a network, at least."""
        return 2 * _UNIFORM_INTERVALS[precision] * (2 * _DEGREE[precision] + 1)

    def __call__(self, c: Tensor) -> tuple[Tensor, ...]:
        """The kernels at real cosines, float32 or float64, in the order of `kinds`."""
        defect = 1 - c.abs()
        return self.at_defects(defect.clamp(min=0), c < 0)

    def at_defects(self, defect: Tensor, is_opposite: Tensor) -> tuple[Tensor, ...]:
        """The kernels where 1 − |c| is known better than c.

        Args:
            defect: 1 − |c|, from 0 to 1, any shape, float32 or float64.
            is_opposite: the same shape, true where c < 0.
        """
        half = is_opposite.long()
        placement = torch.as_tensor(self.placement, dtype=defect.dtype, device=defect.device)
        scale, shift, start = placement[:, half]
        u = (torch.sqrt(scale * defect + shift) - start).clamp(min=0)
        interval, place = self._place(u)
        row = half * self.coefficients.shape[-1] + interval
        terms = torch.as_tensor(self.coefficients, dtype=defect.dtype, device=defect.device)
        terms = terms.flatten(start_dim=2)
        values = []
        for kernel in range(len(self.kinds)):
            value = terms[kernel, 0][row]
            for term in terms[kernel, 1:]:
                value = value * place + term[row]
            values.append(value)
        return tuple(values)

    def safe_cosines(self, rounding: float, allowance: float) -> tuple[float, float]:
        """The cosines beyond which a rounding error of c moves a kernel by more than is allowed.

        Args:
            rounding: absolute error of c.
            allowance: the error of a kernel, relative to `sizes`.

        Returns:
            (near_one, near_minus_one), near_minus_one ≤ 0 ≤ near_one: above the one and below the
            other 1 − |c| has to be known with a small relative error.
        """
        slopes = self._slopes() * rounding > allowance
        defects = self._grid_defects()
        limits = [
            float(defects[half][unsafe].max()) if (unsafe := slopes[half]).any() else -1.0
            for half in (0, 1)
        ]
        return 1 - limits[0], limits[1] - 1

    def _place(self, u: Tensor) -> tuple[Tensor, Tensor]:
        last = self.coefficients.shape[-1] - 1
        if not self.is_graded:
            interval = u.long().clamp(max=last)
            return interval, u - interval - 0.5
        per_octave = last // _OCTAVES
        mantissa, exponent = torch.frexp(u.clamp(max=1 - torch.finfo(u.dtype).eps / 2))
        fraction = (2 * mantissa - 1) * per_octave
        step = fraction.long()
        interval = (exponent.long() + _OCTAVES - 1) * per_octave + 1 + step
        is_first = u * self.first_scale < 1
        place = torch.where(is_first, u * self.first_scale, fraction - step) - 0.5
        return torch.where(is_first, 0, interval), place

    def _grid_defects(self) -> Floats:
        """1 − |c| at the upper end of every interval, (half, interval)."""
        ends = _interval_ends(self.coefficients.shape[-1], is_graded=self.is_graded)[1]
        scale, shift, start = self.placement[:, :, None]
        defects: Floats = ((ends + start) ** 2 - shift) / scale
        return defects

    def _slopes(self) -> Floats:
        """The largest |dK/dc| in each interval, relative to the kernel's size, (half, interval)."""
        degree = self.coefficients.shape[1] - 1
        powers = np.arange(degree, 0, -1.0)
        places = np.linspace(-0.5, 0.5, 5)
        powers_of_place = places[:, None] ** (powers - 1)
        slopes = np.einsum("pt,kthi->khip", powers_of_place * powers, self.coefficients[:, :-1])
        begins, ends = _interval_ends(self.coefficients.shape[-1], is_graded=self.is_graded)
        lengths = ends - begins
        u = begins[:, None] + (places + 0.5) * lengths[:, None]
        scale, _, start = self.placement[:, :, None, None]
        root = np.maximum(u + start, 1e-300)
        with np.errstate(over="ignore"):  # infinite where the interval ends at c = ±1
            along_c = np.abs(slopes) / lengths[:, None] * scale / (2 * root)
        sizes = np.maximum(np.asarray(self.sizes), np.finfo(np.float64).tiny)
        return np.asarray((along_c / sizes[:, None, None, None]).max(axis=(0, 3)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    placement: Floats
    is_graded: bool
    intervals: int


class _Curve:
    """The network's kernels at cosines between inputs of the two norms, in float64."""

    def __init__(
        self, network: FullyConnected, kinds: tuple[Kind, ...], moments: tuple[float, float]
    ) -> None:
        self.network = network
        self.kinds = kinds
        self._weight = float(network.sigma_w) ** 2
        self._bias = float(network.sigma_b) ** 2
        self._product = float(np.sqrt(moments[0]) * np.sqrt(moments[1]))
        self._variances = [self._weight * moment + self._bias for moment in moments]
        self._moments = moments
        self._rectifiers = RectifierNetwork.of(network)
        with np.errstate(over="ignore"):
            self.sizes = tuple(float(np.sqrt(a) * np.sqrt(b)) for a, b in self._ends())

    def at_defects(self, defect: Floats) -> Floats:
        """(kind, half, ...) values at c = 1 − defect and defect − 1, from (half, ...) defects."""
        if self._rectifiers is not None:
            t = np.stack([defect[0], 2 - defect[1]])
            x = np.stack([2 - defect[0], defect[1]])
            return self._of_kinds(self._rectifiers.kernels_at(t, x, self._moments))
        c = np.stack([1 - defect[0], defect[1] - 1])
        q1, q2 = torch.tensor(self._variances, dtype=torch.float64)
        k12 = torch.as_tensor(self._weight * self._product * c + self._bias)
        with torch.no_grad():
            if self.kinds == ("nngp",):
                return self.network.nngp_pairwise(q1, q2, k12).numpy()[None]
            kernels = self.network.pairwise(q1, q2, k12)
        return np.stack([getattr(kernels, kind).numpy() for kind in self.kinds])

    def _ends(self) -> list[tuple[float, float]]:
        """K(x, x) and K(x', x') of every kind."""
        values: list[Floats]
        if self._rectifiers is not None:
            values = list(self._of_kinds(self._rectifiers.diagonal(np.asarray(self._moments))))
        else:
            q = torch.tensor(self._variances, dtype=torch.float64)
            with torch.no_grad():
                if self.kinds == ("nngp",):
                    values = [self.network.nngp_diagonal(q).numpy()]
                else:
                    kernels = self.network.diagonal(q)
                    values = [getattr(kernels, kind).numpy() for kind in self.kinds]
        return [(float(value[0]), float(value[1])) for value in values]

    def _of_kinds(self, both: Floats) -> Floats:
        chosen: Floats = both[[("nngp", "ntk").index(kind) for kind in self.kinds]]
        return chosen

    def shifts(self) -> tuple[float, float]:
        """How far beyond c = 1 and c = −1 the first layer's correlation reaches 1 and −1."""
        reach = self._weight * self._product
        if reach == 0:
            return _LARGEST_SHIFT, _LARGEST_SHIFT
        root = float(np.sqrt(self._variances[0]) * np.sqrt(self._variances[1]))
        beyond = ((root - self._bias) / reach - 1, (root + self._bias) / reach - 1)
        # Equal norms make the first exactly 0; what is left is rounding.
        near, far = (0.0 if gap < 1e-14 else min(gap, _LARGEST_SHIFT) for gap in beyond)
        return near, far


def _uniform_layout(shifts: tuple[float, float], precision: Precision) -> _Layout:
    intervals = _UNIFORM_INTERVALS[precision]
    shift = np.asarray(shifts)
    factor = intervals / (np.sqrt(1 + shift) - np.sqrt(shift))
    placement = np.stack([factor**2, shift * factor**2, np.sqrt(shift) * factor])
    return _Layout(placement=placement, is_graded=False, intervals=intervals)


def _graded_layout(precision: Precision) -> _Layout:
    placement = np.asarray([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    intervals = _OCTAVES * _PER_OCTAVE[precision] + 1
    return _Layout(placement=placement, is_graded=True, intervals=intervals)


def _interval_ends(intervals: int, *, is_graded: bool) -> tuple[Floats, Floats]:
    if not is_graded:
        ends = np.arange(intervals + 1.0)
    else:
        per_octave = (intervals - 1) // _OCTAVES
        octave, step = np.divmod(np.arange(intervals - 1.0), per_octave)
        ends = np.concatenate([[0.0], 2.0 ** (octave - _OCTAVES) * (1 + step / per_octave), [1.0]])
    return ends[:-1], ends[1:]


def _tabulate(curve: _Curve, layout: _Layout, precision: Precision) -> KernelTable:
    degree = _DEGREE[precision]
    nodes, to_terms, checks, check_powers = _interpolation(degree)
    begins, ends = _interval_ends(layout.intervals, is_graded=layout.is_graded)
    places = np.concatenate([nodes, checks])
    u = begins[:, None] + (places + 0.5) * (ends - begins)[:, None]
    scale, shift, start = layout.placement[:, :, None, None]
    defect = np.clip(((u + start) ** 2 - shift) / scale, 0, 1)
    at_places = curve.at_defects(defect)
    at_nodes, at_checks = np.split(at_places, [degree + 1], axis=-1)
    # Fitted from the first node's value: the rounding errors are those of what varies.
    first = at_nodes[..., :1]
    coefficients = np.einsum("tp,khip->kthi", to_terms, at_nodes - first)
    coefficients[:, -1] += first[..., 0]
    misses = np.einsum("tp,kthi->khip", check_powers, coefficients) - at_checks
    sizes = np.maximum(np.asarray(curve.sizes), np.finfo(np.float64).tiny)
    return KernelTable(
        kinds=curve.kinds,
        coefficients=np.ascontiguousarray(coefficients),
        placement=np.ascontiguousarray(layout.placement),
        is_graded=layout.is_graded,
        first_scale=float(1 / (ends[0] - begins[0])),
        sizes=curve.sizes,
        error=float((np.abs(misses).max(axis=(1, 2, 3)) / sizes).max()),
    )


@functools.cache
def _interpolation(degree: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Nodes in −½…½, values there to terms (highest first), places between, powers there.

    The nodes are Chebyshev's second kind, ends included: neighbouring intervals agree, and K(1)
    is exact. The conversion is computed in extended precision, so that it adds no error.
    """
    angles = np.pi * np.arange(degree + 1, dtype=np.longdouble) / degree
    nodes = -np.cos(angles) / 2
    between = -np.cos(angles[:-1] + np.longdouble(np.pi) / (2 * degree)) / 2
    powers = np.arange(degree, -1, -1)
    vandermonde = nodes[:, None] ** powers
    # One step of Newton's iteration lifts the float64 inverse to extended precision.
    inverse = np.linalg.inv(vandermonde.astype(np.float64)).astype(np.longdouble)
    inverse = inverse @ (2 * np.eye(degree + 1, dtype=np.longdouble) - vandermonde @ inverse)
    check_powers = (between[:, None] ** powers).T
    return (
        nodes.astype(np.float64),
        inverse.astype(np.float64),
        between.astype(np.float64),
        check_powers.astype(np.float64),
    )
