"""The loops of a kernel: which dimensions of which tensors run together.

An axis is one loop. A dimension of a tensor is a run of axes, the last one fastest, so that tensors
of shapes (b·s, d) and (b, s, d) share the axes b, s and d. Using a tensor binds its dimensions to
the user's: their runs are unified, and an axis is cut in two where they are cut differently. What
can't be is refused: the diagonal of a tensor, a part of what is still being computed, 6 as 4.

Everything that changes is written down, so that a node that doesn't fit can be taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from sestina.fuser.ir.extents import Extent, divided, product
from sestina.fuser.ir.nodes import Node, base_of, layout_of

__all__ = ["Axis", "Dims", "Domain", "Refusal", "Run"]


class Refusal(Exception):  # noqa: N818 - a signal inside the room
    """Two nodes cannot share loops; the message says why."""


class Axis:
    """One loop; `same` is the axis that it was unified with, `parts` those that it was cut into."""

    __slots__ = ("extent", "number", "parts", "same")

    def __init__(self, extent: Extent, number: int) -> None:
        self.extent = extent
        self.number = number
        self.same: Axis | None = None
        self.parts: tuple[Axis, Axis] | None = None

    def __repr__(self) -> str:
        return f"{self.number}:{self.extent}"


Run: TypeAlias = tuple[Axis, ...]
Dims: TypeAlias = tuple[Run, ...]


class Domain:
    """The axes of one kernel and the dimensions of each of its nodes."""

    def __init__(self) -> None:
        self.dims: dict[Node, Dims] = {}
        # Of the operand of a reduction or scatter, as that one sees it.
        self.operands: dict[Node, Dims] = {}
        # Of tensors in memory, as their first reader sees them.
        self.read: dict[Node, Dims] = {}
        self._journal: list[tuple[Any, Any, Any]] = []
        self._count = 0
        # The axes of nodes that are here already, which a new one seldom changes, and the last of
        # them: what happens to later ones changes none of these.
        self._known: dict[Node, Run] = {}
        self._known_operands: dict[Node, Run] = {}
        self._last_known = 0

    def mark(self) -> int:
        """A point to return to."""
        return len(self._journal)

    def rollback(self, mark: int) -> None:
        """Takes back whatever happened since."""
        if len(self._journal) > mark:
            self._forget()
        while len(self._journal) > mark:
            place, name, old = self._journal.pop()
            if isinstance(place, dict):
                del place[name]
            else:
                setattr(place, name, old)

    def add(self, node: Node) -> None:
        """Takes a node into the kernel.

        Raises:
            Refusal: where its operands' loops are not its own; roll back then.
        """
        dims = tuple(map(self._fresh, node.shape))
        if node.kind == "scatter":
            dim = node.attributes["dim"]
            dims = (*dims[:dim], (), *dims[dim + 1 :])
        self.dims[node] = dims
        self._journal.append((self.dims, node, None))
        used = self._used(node, dims)
        for position, operand in enumerate(node.inputs):
            base = base_of(operand)
            if base in self.dims and ((node.is_lookup and position == 0) or base.kind == "scatter"):
                raise Refusal("it is read at other places before it is complete")
            if not (node.is_lookup and position == 0):
                self.bind(operand, used)
        self._check()
        for operand in node.inputs[node.is_lookup :]:
            if base_of(operand) not in self.dims and not operand.is_free:
                self._read_alike(operand, used)

    def _read_alike(self, operand: Node, dims: Dims) -> None:
        """Lets what two nodes read from memory run alike, if it can: so it is read once."""
        if operand not in self.read:
            self.read[operand] = dims
            self._journal.append((self.read, operand, None))
            return
        mark = self.mark()
        try:
            for mine, other in zip(self.read[operand], dims, strict=True):
                self.unify(mine, other)
            self._check()
        except Refusal:
            self.rollback(mark)

    def bind(self, operand: Node, dims: Dims, seen: set[Any] | None = None) -> None:
        """Says that an operand's dimensions run as these runs do.

        Args:
            operand: of a node.
            dims: its runs, one a dimension.
            seen: what has been bound before of the same node, so that each is once.
        """
        seen = set() if seen is None else seen
        if (operand, dims) in seen:
            return
        seen.add((operand, dims))
        if operand in self.dims:
            for mine, other in zip(self.dims[operand], dims, strict=True):
                self.unify(mine, other)
        elif operand.is_view:
            if base_of(operand) in self.dims or operand.is_free or layout_of(operand) is None:
                self.bind(operand.inputs[0], self.seen(operand, dims), seen)
        elif operand.is_elementwise and operand.is_free:
            for inner in operand.inputs:
                self.bind(inner, dims if inner.shape else (), seen)

    def seen(self, view: Node, dims: Dims) -> Dims:
        """The dimensions of a view's source where the view's are these."""
        (source,) = view.inputs
        if view.kind == "permute":
            order = view.attributes["order"]
            return tuple(dims[order.index(dim)] for dim in range(len(order)))
        if view.kind == "expand":
            return tuple(
                run if old == new else ()
                for run, old, new in zip(dims, source.shape, view.shape, strict=True)
            )
        if view.kind == "reshape":
            return self._regrouped(self.resolve(run for dim in dims for run in dim), source.shape)
        raise Refusal("a part of it is read before it is complete")

    def resolve(self, axes: Iterable[Axis]) -> Run:
        """The axes that these are by now."""
        given = tuple(axes)
        for axis in given:
            if axis.same is not None or axis.parts is not None:
                break
        else:
            return given
        found: list[Axis] = []
        stack = list(given)[::-1]
        while stack:
            axis = stack.pop()
            while axis.same is not None:
                axis = axis.same
            if axis.parts is None:
                found.append(axis)
            else:
                stack.extend(axis.parts[::-1])
        return tuple(found)

    def axes_of(self, node: Node) -> Run:
        """All axes of a node, those of its last dimension last."""
        return self._all(node, self.dims, self._known)

    def unify(self, first: Run, second: Run) -> None:
        """Makes two runs the same."""
        if first == second:
            return
        mine, other = list(self.resolve(first)), list(self.resolve(second))
        while mine and other:
            a, b = mine.pop(), other.pop()
            if a is b:
                continue
            if a.extent == b.extent:
                self._set(b, "same", a)
            elif (outer := divided(a.extent, b.extent)) is not None:
                mine.append(self._cut(a, outer, b))
            elif (outer := divided(b.extent, a.extent)) is not None:
                other.append(self._cut(b, outer, a))
            else:
                raise Refusal(f"loops of {a.extent} and {b.extent} are not the same")
            if not mine and not other:
                return
            mine, other = list(self.resolve(mine)), list(self.resolve(other))
        if mine or other:
            raise Refusal(f"{len(mine) + len(other)} loops are left over")

    def _used(self, node: Node, dims: Dims) -> Dims:
        """The dimensions that a node's operands have where its own are these."""
        if node.kind == "scatter":
            dim = node.attributes["dim"]
            full = (*dims[:dim], self._fresh(node.inputs[-1].shape[dim]), *dims[dim + 1 :])
        elif node.kind == "reduce":
            kept = iter(dims)
            full = tuple(
                self._fresh(extent) if dim in node.attributes["dims"] else next(kept)
                for dim, extent in enumerate(node.inputs[0].shape)
            )
        else:
            return dims
        self.operands[node] = full
        self._journal.append((self.operands, node, None))
        return full

    def operand_axes(self, node: Node) -> Run:
        """All axes that a node runs over, those that it leaves included."""
        if node not in self.operands:
            return self.axes_of(node)
        return self._all(node, self.operands, self._known_operands)

    def _all(self, node: Node, dims: dict[Node, Dims], known: dict[Node, Run]) -> Run:
        if node not in known:
            known[node] = self.resolve([axis for run in dims[node] for axis in run])
            self._last_known = self._count
        return known[node]

    def _fresh(self, extent: Extent) -> Run:
        if extent == 1:
            return ()
        self._count += 1
        return (Axis(extent, self._count),)

    def cut(self, axis: Axis, inner: int) -> Axis:
        """Cuts the inner part off a loop, and gives it; the whole loop if that is all of it."""
        outer = divided(axis.extent, inner)
        assert outer is not None, "a loop is cut into whole parts"
        if outer == 1:
            return axis
        (part,) = self._fresh(inner)
        self._cut(axis, outer, part)
        return part

    def _cut(self, axis: Axis, outer: Extent, inner: Axis) -> Axis:
        """Cuts an axis in two, of which one is there already; gives the other."""
        (rest,) = self._fresh(outer)
        self._set(axis, "parts", (rest, inner))
        return rest

    def _regrouped(self, axes: Run, shape: Sequence[Extent]) -> Dims:
        """Axes dealt out to dimensions of another shape, cut where they have to be."""
        left = list(axes)
        dims: list[Run] = []
        for extent in reversed(shape):
            run: list[Axis] = []
            missing = extent
            while missing != 1:
                if not left:
                    raise Refusal(f"no loops are left for a dimension of {extent}")
                axis = left.pop()
                if (rest := divided(missing, axis.extent)) is not None:
                    run.append(axis)
                    missing = rest
                elif (outer := divided(axis.extent, missing)) is not None:
                    (inner,) = self._fresh(missing)
                    left.append(self._cut(axis, outer, inner))
                    run.append(inner)
                    missing = 1
                else:
                    raise Refusal(f"a loop of {axis.extent} does not fit {extent}")
            dims.append(tuple(run[::-1]))
        if product(axis.extent for axis in left) != 1:
            raise Refusal(f"loops {left} are left over")
        return tuple(dims[::-1])

    def _set(self, axis: Axis, name: str, value: Any) -> None:
        self._journal.append((axis, name, getattr(axis, name)))
        setattr(axis, name, value)
        if axis.number <= self._last_known:
            self._forget()

    def _forget(self) -> None:
        self._known.clear()
        self._known_operands.clear()

    def _check(self) -> None:
        for node in self.dims:
            axes = self.operand_axes(node)
            if len(set(axes)) != len(axes):
                raise Refusal(f"{node.kind} of {node.shape} would run along its own diagonal")
