"""Which loops of a kernel are rows and which are columns.

A kernel runs over rows, in parallel, and in each row passes over the columns, in vectors. A sum
over all columns of a row is there when the row has been passed, for the next pass to use; a sum
over all rows is there when the kernel has ended, for other kernels. So a softmax or a normalisation
has as columns what it sums over, a bias's gradient sums over rows, and a kernel may do both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sestina.fuser.ir.extents import is_known, product
from sestina.fuser.ir.nodes import Node, base_of, layout_of
from sestina.fuser.segment.axes import Axis, Dims, Domain, Refusal, Run

__all__ = ["Roles", "cut_anew", "decide", "fastest"]

# The longest single row that one thread runs over alone, or that a sum is carried along for.
_MAX_ROW = 1 << 14


@dataclass(frozen=True, slots=True)
class Roles:
    """The axes of a kernel, in the order of its largest tensor's dimensions."""

    rows: Run
    columns: Run


def cut_anew(roles: Roles, domain: Domain) -> Roles:
    """The same roles of loops that were cut since."""
    return Roles(domain.resolve(roles.rows), domain.resolve(roles.columns))


def decide(domain: Domain, nodes: Collection[Node]) -> Roles:
    """The roles of the loops of these nodes.

    Raises:
        Refusal: where no choice serves all of them.
    """
    reductions = [node for node in nodes if node.kind == "reduce"]
    inner = [node for node in reductions if _is_consumed(node, nodes)]
    everything = _all_axes(domain, nodes)
    scans = [node for node in nodes if node.kind == "scan"]
    scatters = _scatters(domain, nodes)
    if scatters and (reductions or scans):
        raise Refusal("what is added at computed places is not summed besides")
    if scans:
        candidates = [_scan_columns(domain, scans[0])]
    elif inner:
        columns = _reduced(domain, inner[0])
        if (fast := fastest(inner[0].inputs[0], domain.operands[inner[0]], domain)) not in columns:
            raise Refusal(f"{fast} is no loop of the sums, so reading them would be slow")
        candidates = [columns]
    elif reductions:
        candidates = [choice for node in reductions for choice in _choices(domain, node)]
    elif scatters:
        fast = fastest(scatters[0], domain.dims[scatters[0]], domain)
        candidates = [{fast} if fast is not None else set()]
    else:
        largest = max(nodes, key=lambda node: len(domain.axes_of(node)))
        fast = fastest(largest, domain.dims[largest], domain)
        candidates = [{fast} if fast is not None else set()]
    reason: Refusal | None = None
    for columns in candidates:
        roles = Roles(
            tuple(axis for axis in everything if axis not in columns),
            tuple(axis for axis in everything if axis in columns),
        )
        try:
            _check(domain, nodes, reductions, inner, roles)
        except Refusal as error:
            reason = reason or error
        else:
            return roles
    raise reason or Refusal("nothing runs")


def fastest(node: Node, dims: Dims, domain: Domain) -> Axis | None:
    """The loop along which a tensor's elements lie side by side."""
    layout = layout_of(node)
    strides = layout.strides if layout is not None else [1] * len(dims)
    for run, stride in reversed(list(zip(dims, strides, strict=True))):
        axes = domain.resolve(run)
        if axes and stride == 1:
            return axes[-1]
    left = domain.resolve(axis for run in dims for axis in run)
    return left[-1] if left else None


def _choices(domain: Domain, node: Node) -> list[set[Axis]]:
    """Columns that suit a reduction whose result leaves the kernel, the faster ones first."""
    operand, reduced = set(domain.operand_axes(node)), _reduced(domain, node)
    fast = fastest(node.inputs[0], domain.operands[node], domain)
    if reduced == operand:
        return [{fast}] if fast is not None else [set()]
    kept = operand - reduced
    return [reduced, kept] if fast in reduced else [kept, reduced]


def _check(
    domain: Domain,
    nodes: Collection[Node],
    reductions: Iterable[Node],
    inner: Collection[Node],
    roles: Roles,
) -> None:
    rows, columns = set(roles.rows), set(roles.columns)
    if inner and not rows:
        size = product(axis.extent for axis in columns)
        if not isinstance(size, int) or size > _MAX_ROW:
            raise Refusal("a sum of everything is complete when its kernel has ended")
    for node in nodes:
        if node.kind == "scan" and _scan_columns(domain, node) != columns:
            raise Refusal("scans along different loops")
        if node.kind == "scatter":
            _check_scatter(domain, node, columns)
    for node in reductions:
        if node in inner and _reduced(domain, node) != columns:
            raise Refusal("sums over different loops are used in one kernel")
        _check_sum(domain, node, rows, columns)
    for node in nodes:
        if not set(domain.operand_axes(node)) >= rows:
            raise Refusal(f"{node.kind} of {node.shape} would be computed in each row again")


def _check_scatter(domain: Domain, node: Node, columns: set[Axis]) -> None:
    if _reduced(domain, node) & columns:
        raise Refusal("lanes of a vector would be added at one place")
    if not set(domain.operand_axes(node)) >= columns:
        raise Refusal("a scatter would be repeated for each column")


def _check_sum(domain: Domain, node: Node, rows: set[Axis], columns: set[Axis]) -> None:
    operand, reduced = set(domain.operand_axes(node)), _reduced(domain, node)
    if reduced not in (columns, rows, rows | columns):
        raise Refusal("a sum over some of the rows")
    if not operand >= rows:
        raise Refusal("a sum over rows of what doesn't depend on the row")
    if reduced == rows and operand - rows not in (columns, set()):
        raise Refusal("a sum over rows of some of the columns")


def _scan_columns(domain: Domain, node: Node) -> set[Axis]:
    """The loop of a scan, and that of its vectors, if it is another: each lane has a sum then."""
    run = domain.resolve(domain.dims[node][node.attributes["dim"]])
    if len(run) > 1:
        raise Refusal("a scan along several loops")
    lanes = fastest(node, domain.dims[node], domain)
    if lanes is not None and is_known(lanes.extent) and lanes.extent <= _MAX_ROW:
        return {*run, lanes}
    return {*run}


def _scatters(domain: Domain, nodes: Iterable[Node]) -> list[Node]:
    """What puts elements at computed places, all in one order of those that may be at one place."""
    found = [node for node in nodes if node.kind == "scatter"]
    runs = {domain.resolve(domain.operands[node][node.attributes["dim"]]) for node in found}
    if len(runs) > 1:
        raise Refusal("computed places are run through in different orders")
    return found


def _reduced(domain: Domain, node: Node) -> set[Axis]:
    return set(domain.operand_axes(node)) - set(domain.axes_of(node))


def _is_consumed(node: Node, nodes: Collection[Node]) -> bool:
    return any(
        base_of(operand) is node for user in nodes for operand in user.inputs if user is not node
    )


def _all_axes(domain: Domain, nodes: Collection[Node]) -> Run:
    """Every axis once, as the tensor with most of them has them in order."""
    runs = [domain.axes_of(node) for node in nodes]
    runs += [domain.operand_axes(node) for node in nodes if node in domain.operands]
    runs.sort(key=len, reverse=True)
    return tuple(dict.fromkeys(axis for run in runs for axis in run))
