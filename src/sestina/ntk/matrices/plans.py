"""How a network's kernel matrices are going to be computed: decided once, from the rows' norms.

- "table": a function of the angle alone, looked up in a `KernelTable`. Where all rows have one
  norm, and where norms factor out: K(sx, s'x') = (ss')ʰ K(x, x').
- "rectifier": rectifiers with biases and rows of any norm; the recursion itself, in C++.
- "recursion": any other network and rows of any norm; the recursion in PyTorch and float64.
"""

from __future__ import annotations

import functools
import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from sestina.core.errors import InvalidValueError
from sestina.ntk.activations.base import REGISTRY, Activation
from sestina.ntk.matrices.rectifiers import RectifierNetwork, homogeneous_degree
from sestina.ntk.matrices.tables import KernelTable, Precision
from sestina.ntk.pairs import Kind

if TYPE_CHECKING:
    from sestina.ntk.architectures import FullyConnected

__all__ = ["Plan", "cosine_rounding", "make_plan"]

Floats = NDArray[np.float64]
Form = Literal["table", "rectifier", "recursion"]

_WIDEST_SHELL = 1e-4
"""Moments that differ more are not looked at as one."""
_SAME_KERNEL = {"float32": 6e-7, "float64": 1e-13}
"""Rows have one norm where their kernels differ by no more, relative to K(x, x): about what float32
rows have that were normalised in float32, in any dimension."""
_PROBED_COSINES = np.array([-0.999, -0.9, -0.6, -0.25, 0.0, 0.25, 0.6, 0.9, 0.999])
_ALLOWANCE = {"float32": 1e-6, "float64": 1e-13}
"""How much the rounding error of a cosine may move a kernel, relative to K(1)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """All that is needed to fill any block of the matrices. Crosses to worker processes."""

    network: FullyConnected
    kinds: tuple[Kind, ...]
    precision: Precision
    form: Form
    near: tuple[float, float]
    """Cosines above the first and below the second are computed from |x − y| and |x + y|."""
    diagonal: Floats
    """(kind, row of x1): K(x, x), exact."""
    table: KernelTable | None = None
    rectifiers: RectifierNetwork | None = None
    left_scale: Floats | None = None
    """Factors of the rows of x1, where norms factor out."""
    right_scale: Floats | None = None


def make_plan(
    network: FullyConnected,
    kinds: tuple[Kind, ...],
    precision: Precision,
    moments1: Floats,
    moments2: Floats | None,
    num_columns: int,
) -> Plan:
    """The plan for rows of those second moments |x|²/d.

    Args:
        network: at the inputs' width.
        kinds: which kernels.
        precision: of the values.
        moments1: of the rows of x1.
        moments2: of the rows of x2; None where x2 is x1.
        num_columns: d.

    Raises:
        DivergentKernelError: if the tangent kernel is asked for and infinite.
        InvalidValueError: if a row is zero and the kernel depends on its direction, or values
            leave the range of the precision.
    """
    case = _Case(
        network=network,
        kinds=kinds,
        precision=precision,
        moments=(moments1,) if moments2 is None else (moments1, moments2),
        rounding=cosine_rounding(num_columns, precision),
        rectifiers=RectifierNetwork.of(network),
    )
    if network.layer_norm and network.sigma_b == 0:
        _check_no_zero_row(case)
    spans = _spans(case)
    _check_range(case, spans)
    return _homogeneous_plan(case) or _one_norm_plan(case, spans) or _any_norm_plan(case)


def cosine_rounding(num_columns: int, precision: Precision) -> float:
    """Six standard deviations of the rounding error of a cosine near 1, as the C++ kernel sums it.

    A sum has relative rounding errors of standard deviation 0.42 u in each partial sum, which grow
    linearly to the whole: n terms in a row give √(n/3) of them. Sums run over 32 terms, over 8
    such, and over all those; the operands' own rounding adds √2.
    """
    unit = 2.0**-24 if precision == "float32" else 2.0**-53
    chunks = max(1.0, num_columns / 32)
    blocks = max(1.0, chunks / 8)
    terms = num_columns / chunks
    variance = 2 + terms / 3 / chunks + min(chunks, 8.0) / 3 / blocks + blocks / 3
    return 6 * 0.42 * unit * float(np.sqrt(variance))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """What is to be planned."""

    network: FullyConnected
    kinds: tuple[Kind, ...]
    precision: Precision
    moments: tuple[Floats, ...]
    """Of the rows of x1 and, where there is another, x2."""
    rounding: float
    rectifiers: RectifierNetwork | None

    def diagonal(self, moments: Floats) -> Floats:
        """K(x, x) for rows of those moments, (kind, row)."""
        if self.rectifiers is not None:
            both = self.rectifiers.diagonal(moments)
            chosen: Floats = both[[("nngp", "ntk").index(kind) for kind in self.kinds]]
            return chosen
        with torch.no_grad():
            q = self.network.first_covariance(torch.as_tensor(moments, dtype=torch.float64))
            if self.kinds == ("nngp",):
                return self.network.nngp_diagonal(q).numpy()[None]
            kernels = self.network.diagonal(q)
        return np.stack([getattr(kernels, kind).numpy() for kind in self.kinds])

    def ignores(self, moments: tuple[float, float], at_first: Floats, at_second: Floats) -> bool:
        """Whether the kernel, off the diagonal, too, takes rows of either moment for the same.

        Args:
            moments: of the two.
            at_first: (kind,), K(x, x) there.
            at_second: the same of the other.
        """
        tolerance = _SAME_KERNEL[self.precision]
        if moments[0] == moments[1]:
            return True
        if (np.abs(at_first - at_second) > tolerance * np.abs(at_second)).any():
            return False
        if self.rectifiers is not None:  # nowhere steeper than on the diagonal
            return True
        # K(x, x) may be constant where K(x, x') is not: of sign, of RBF, after a normalisation.
        m1, m2 = torch.tensor([*itertools.product(moments, moments)], dtype=torch.float64).T
        cosines = torch.from_numpy(_PROBED_COSINES)[:, None]
        q1, q2, k12 = (
            self.network.first_covariance(moment)
            for moment in (m1, m2, torch.sqrt(m1 * m2) * cosines)
        )
        with torch.no_grad():
            if self.kinds == ("nngp",):
                values = self.network.nngp_pairwise(q1, q2, k12)[None]
            else:
                both = self.network.pairwise(q1, q2, k12)
                values = torch.stack([getattr(both, kind) for kind in self.kinds])
        spread = (values.amax(-1) - values.amin(-1)).amax(-1).numpy()
        return bool((spread <= tolerance * np.abs(at_second)).all())

    def near(self, *tables: KernelTable) -> tuple[float, float]:
        """The zones of all those tables."""
        allowance = _ALLOWANCE[self.precision]
        zones = [table.safe_cosines(self.rounding, allowance) for table in tables]
        return min(zone[0] for zone in zones), max(zone[1] for zone in zones)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Span:
    """The smallest and largest moment of the rows of one input, 1 between or beside them."""

    moments: tuple[float, float, float]
    """Smallest, largest, 1."""
    diagonal: Floats
    """(kind, 3): K(x, x) there."""

    def common_moment(self, case: _Case) -> float | None:
        """The one moment that stands for all of them, or None if the kernel tells them apart."""
        low, high, one = self.moments
        at_low, at_high, at_one = self.diagonal.T
        if high - low > _WIDEST_SHELL * high or not case.ignores((low, high), at_low, at_high):
            return None
        # Rows normalised in single precision differ from run to run; 1 lets them share a table.
        is_one = (
            abs(high - one) <= _WIDEST_SHELL
            and case.ignores((low, one), at_low, at_one)
            and case.ignores((high, one), at_high, at_one)
        )
        return one if is_one else (low + high) / 2


def _spans(case: _Case) -> list[_Span]:
    ends = [
        (float(rows.min()), float(rows.max()), 1.0) if len(rows) else (1.0, 1.0, 1.0)
        for rows in case.moments
    ]
    diagonals = np.split(case.diagonal(np.asarray(ends).ravel()), len(ends), axis=1)
    return [
        _Span(moments=moments, diagonal=diagonal)
        for moments, diagonal in zip(ends, diagonals, strict=True)
    ]


def _homogeneous_plan(case: _Case) -> Plan | None:
    degree = homogeneous_degree(case.network)
    has_zero_rows = any((rows == 0).any() for rows in case.moments)
    if degree is None or (degree == 0 and has_zero_rows):
        return None
    table = _table(case, (1.0, 1.0))
    scales: list[Floats | None] = [None, None]
    if degree > 0:
        with np.errstate(over="ignore"):
            scales[: len(case.moments)] = [np.sqrt(rows) ** degree for rows in case.moments]
    with np.errstate(over="ignore"):
        diagonal = np.outer(table.sizes, case.moments[0] ** degree)
    return Plan(
        network=case.network,
        kinds=case.kinds,
        precision=case.precision,
        form="table",
        near=case.near(table),
        diagonal=diagonal,
        table=table,
        left_scale=scales[0],
        right_scale=scales[1],
    )


def _one_norm_plan(case: _Case, spans: list[_Span]) -> Plan | None:
    if _is_small(case):
        return None
    common = [span.common_moment(case) for span in spans]
    left, right = common[0], common[-1]
    if left is None or right is None:
        return None
    table = _table(case, (left, right))
    # The moments span so little that the diagonal is linear in them.
    low, high, _ = spans[0].moments
    at_low, at_high, _ = spans[0].diagonal.T
    rise = (at_high - at_low) / max(high - low, float(np.finfo(np.float64).tiny))
    return Plan(
        network=case.network,
        kinds=case.kinds,
        precision=case.precision,
        form="table",
        near=case.near(table),
        diagonal=at_low[:, None] + rise[:, None] * (case.moments[0] - low),
        table=table,
    )


def _is_small(case: _Case) -> bool:
    """Whether quadrature at each pair costs less than making a table that nobody else will use."""
    num_pairs = len(case.moments[0]) * len(case.moments[-1])
    return not _is_known(case.network.activation) and num_pairs <= KernelTable.num_places(
        case.precision
    )


def _any_norm_plan(case: _Case) -> Plan:
    near = (2.0, -2.0)
    if case.rectifiers is not None:
        # Biases matter least for the longest rows: there the kernel is steepest near c = ±1.
        every = np.concatenate(case.moments)
        tables = [
            KernelTable.build(
                case.network, kinds=case.kinds, moments=(size, size), precision=case.precision
            )
            for size in (float(every.max()), float(np.median(every)))
        ]
        near = case.near(*tables)
    return Plan(
        network=case.network,
        kinds=case.kinds,
        precision=case.precision,
        form="recursion" if case.rectifiers is None else "rectifier",
        near=near,
        diagonal=case.diagonal(case.moments[0]),
        rectifiers=case.rectifiers,
    )


def _table(case: _Case, moments: tuple[float, float]) -> KernelTable:
    network = case.network
    if not _is_known(network.activation):
        return KernelTable.build(
            network, kinds=case.kinds, moments=moments, precision=case.precision
        )
    spec = json.dumps(network.spec())
    return _remembered_table(_Asked(spec, case.kinds, case.precision, moments, network))


def _is_known(activation: Activation) -> bool:
    """Whether its spec says all of it."""
    return activation.name in REGISTRY and REGISTRY[activation.name] is type(activation)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A table by what it depends on; the network is there to build it from."""

    spec: str
    kinds: tuple[Kind, ...]
    precision: Precision
    moments: tuple[float, float]
    network: FullyConnected = field(compare=False)


@functools.lru_cache(maxsize=16)
def _remembered_table(asked: _Asked) -> KernelTable:
    return KernelTable.build(
        asked.network, kinds=asked.kinds, moments=asked.moments, precision=asked.precision
    )


def _check_no_zero_row(case: _Case) -> None:
    for name, moments in zip(("x1", "x2"), case.moments, strict=False):
        zero = np.flatnonzero(moments == 0)
        if len(zero):
            raise InvalidValueError(
                f"{name}[{zero[0]}]",
                "a zero row",
                expected="rows that have a direction, which layer normalisation keeps alone",
                remedy=f"leave out the {len(zero)} zero rows, or give the network biases",
            )


def _check_range(case: _Case, spans: list[_Span]) -> None:
    largest = float(np.finfo(case.precision).max)
    for name, moments, span in zip(("x1", "x2"), case.moments, spans, strict=False):
        value = float(span.diagonal[:, :2].max())
        if not value <= largest:
            raise InvalidValueError(
                f"kernel of {name}[{int(moments.argmax())}]",
                value,
                expected=f"a value of at most {largest:.3g}, the largest {case.precision}",
                remedy="scale the inputs down"
                + (", or pass float64" if case.precision == "float32" else ""),
            )
