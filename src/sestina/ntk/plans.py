"""How a network's kernel matrices are going to be computed: decided once, from the rows' norms.

- "table": a function of the angle alone, looked up in a `KernelTable`. Where all rows have one
  norm, and where norms factor out: K(sx, s'x') = (ss')ʰ K(x, x').
- "rectifier": rectifiers with biases and rows of any norm; the recursion itself, in C++.
- "recursion": any other network and rows of any norm; the recursion in PyTorch and float64.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from sestina.core.errors import InvalidValueError
from sestina.ntk.activations.base import REGISTRY
from sestina.ntk.pairs import Kind
from sestina.ntk.rectifiers import RectifierNetwork, homogeneous_degree
from sestina.ntk.tables import KernelTable, Precision

if TYPE_CHECKING:
    from sestina.ntk.architectures import FullyConnected

__all__ = ["Plan", "cosine_rounding", "make_plan"]

Floats = NDArray[np.float64]
Form = Literal["table", "rectifier", "recursion"]

_WIDEST_SHELL = 1e-4
"""Moments that differ more are not looked at as one."""
_SAME_KERNEL = {"float32": 6e-7, "float64": 1e-13}
"""Rows have one norm where their diagonal values differ by no more, relatively: about what float32
rows have that were normalised in float32, in any dimension."""
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
    rounding = cosine_rounding(num_columns, precision)
    both = [moments1] if moments2 is None else [moments1, moments2]
    _check_range(network, kinds, precision, both)
    return (
        _homogeneous_plan(network, kinds, precision, both, rounding)
        or _one_norm_plan(network, kinds, precision, both, rounding)
        or _any_norm_plan(network, kinds, precision, both, rounding)
    )


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


def _homogeneous_plan(
    network: FullyConnected,
    kinds: tuple[Kind, ...],
    precision: Precision,
    moments: list[Floats],
    rounding: float,
) -> Plan | None:
    degree = homogeneous_degree(network)
    if degree is None:
        return None
    table = _table(network, kinds, precision, (1.0, 1.0))
    scales: list[Floats | None] = [None, None]
    if degree == 0:
        for name, of_rows in zip(("x1", "x2"), moments, strict=False):
            _check_no_zero_row(name, of_rows)
    else:
        with np.errstate(over="ignore"):
            scales[: len(moments)] = [np.sqrt(of_rows) ** degree for of_rows in moments]
    with np.errstate(over="ignore"):
        diagonal = np.outer(table.sizes, moments[0] ** degree)
    return Plan(
        network=network,
        kinds=kinds,
        precision=precision,
        form="table",
        near=table.safe_cosines(rounding, _ALLOWANCE[precision]),
        diagonal=diagonal,
        table=table,
        left_scale=scales[0],
        right_scale=scales[1],
    )


def _one_norm_plan(
    network: FullyConnected,
    kinds: tuple[Kind, ...],
    precision: Precision,
    moments: list[Floats],
    rounding: float,
) -> Plan | None:
    common = [_common_moment(network, kinds, precision, of_rows) for of_rows in moments]
    if any(moment is None for moment in common):
        return None
    left, right = common[0], common[-1]
    assert left is not None
    assert right is not None
    table = _table(network, kinds, precision, (left, right))
    # The rows' moments span so little that the diagonal is linear in them.
    ends = np.asarray([moments[0].min(initial=left), moments[0].max(initial=left)])
    low, high = _diagonal(network, kinds, ends).T
    span = max(float(ends[1] - ends[0]), float(np.finfo(np.float64).tiny))
    diagonal = low[:, None] + (high - low)[:, None] * ((moments[0] - ends[0]) / span)
    return Plan(
        network=network,
        kinds=kinds,
        precision=precision,
        form="table",
        near=table.safe_cosines(rounding, _ALLOWANCE[precision]),
        diagonal=diagonal,
        table=table,
    )


def _any_norm_plan(
    network: FullyConnected,
    kinds: tuple[Kind, ...],
    precision: Precision,
    moments: list[Floats],
    rounding: float,
) -> Plan:
    rectifiers = RectifierNetwork.of(network)
    near = (2.0, -2.0)
    if rectifiers is not None:
        # Biases matter least for the longest rows: there the kernel is steepest near c = ±1.
        every = np.concatenate(moments)
        tables = [
            KernelTable.build(network, kinds=kinds, moments=(size, size), precision=precision)
            for size in (float(every.max()), float(np.median(every)))
        ]
        limits = [table.safe_cosines(rounding, _ALLOWANCE[precision]) for table in tables]
        near = min(limit[0] for limit in limits), max(limit[1] for limit in limits)
    return Plan(
        network=network,
        kinds=kinds,
        precision=precision,
        form="recursion" if rectifiers is None else "rectifier",
        near=near,
        diagonal=_diagonal(network, kinds, moments[0]),
        rectifiers=rectifiers,
    )


def _common_moment(
    network: FullyConnected, kinds: tuple[Kind, ...], precision: Precision, moments: Floats
) -> float | None:
    """The one moment that stands for all of them, or None."""
    if len(moments) == 0:
        return 1.0
    low, high = float(moments.min()), float(moments.max())
    # Rows normalised in single precision differ from run to run; 1 lets them share a table.
    if _is_one_norm(network, kinds, precision, (min(low, 1.0), max(high, 1.0))):
        return 1.0
    return (low + high) / 2 if _is_one_norm(network, kinds, precision, (low, high)) else None


def _is_one_norm(
    network: FullyConnected,
    kinds: tuple[Kind, ...],
    precision: Precision,
    moments: tuple[float, float],
) -> bool:
    """Whether the kernel on the diagonal hardly differs between the two moments."""
    if moments[1] - moments[0] > _WIDEST_SHELL * moments[1]:
        return False
    low, high = _diagonal(network, kinds, np.asarray(moments)).T
    return bool((np.abs(high - low) <= _SAME_KERNEL[precision] * np.abs(high)).all())


def _diagonal(network: FullyConnected, kinds: tuple[Kind, ...], moments: Floats) -> Floats:
    """K(x, x) for rows of those moments, (kind, row)."""
    rectifiers = RectifierNetwork.of(network)
    if rectifiers is not None:
        both = rectifiers.diagonal(moments)
        return both[[("nngp", "ntk").index(kind) for kind in kinds]]
    with torch.no_grad():
        q = network.first_covariance(torch.as_tensor(moments, dtype=torch.float64))
        if kinds == ("nngp",):
            return network.nngp_diagonal(q).numpy()[None]
        kernels = network.diagonal(q)
    return np.stack([getattr(kernels, kind).numpy() for kind in kinds])


def _table(
    network: FullyConnected,
    kinds: tuple[Kind, ...],
    precision: Precision,
    moments: tuple[float, float],
) -> KernelTable:
    activation = network.activation
    is_known = activation.name in REGISTRY and REGISTRY[activation.name] is type(activation)
    if not is_known:  # its spec may not say all of it
        return KernelTable.build(network, kinds=kinds, moments=moments, precision=precision)
    return _remembered_table(
        type(network).from_spec, json.dumps(network.spec()), kinds, precision, moments
    )


@functools.lru_cache(maxsize=16)
def _remembered_table(
    read: Callable[[Mapping[str, Any]], FullyConnected],
    spec: str,
    kinds: tuple[Kind, ...],
    precision: Precision,
    moments: tuple[float, float],
) -> KernelTable:
    return KernelTable.build(
        read(json.loads(spec)), kinds=kinds, moments=moments, precision=precision
    )


def _check_no_zero_row(name: str, moments: Floats) -> None:
    zero = np.flatnonzero(moments == 0)
    if len(zero):
        raise InvalidValueError(
            f"{name}[{zero[0]}]",
            "a zero row",
            expected="rows of a direction: the kernel of this network depends on nothing else",
            remedy=f"leave out the {len(zero)} zero rows, or give the network biases",
        )


def _check_range(
    network: FullyConnected,
    kinds: tuple[Kind, ...],
    precision: Precision,
    moments: list[Floats],
) -> None:
    largest = float(np.finfo(precision).max)
    for name, of_rows in zip(("x1", "x2"), moments, strict=False):
        if len(of_rows) == 0:
            continue
        row = int(of_rows.argmax())
        value = float(_diagonal(network, kinds, of_rows[row : row + 1]).max())
        if not value <= largest:
            raise InvalidValueError(
                f"kernel of {name}[{row}]",
                value,
                expected=f"a value of at most {largest:.3g}, the largest {precision}",
                remedy="scale the inputs down"
                + (", or pass float64" if precision == "float32" else ""),
            )
