"""The nodes of a group as steps: views become addresses, what is free is made where it is used."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from sestina.fuser.ir.extents import Extent, contiguous_strides
from sestina.fuser.ir.nodes import Node, base_of, layout_of
from sestina.fuser.schedule.steps import Place, Step
from sestina.fuser.segment.axes import Axis, Dims, Domain
from sestina.fuser.segment.groups import Group

__all__ = ["flatten"]


def flatten(group: Group, stored: Iterable[Node]) -> list[Step]:
    """The stores and totals of a kernel; what they need hangs on them as operands."""
    flat = _Flattening(group)
    roots = [node for node in group.nodes if node in set(stored)]
    return [flat.root(node) for node in roots]


class _Flattening:
    def __init__(self, group: Group) -> None:
        self.group = group
        self.domain: Domain = group.domain
        self.columns = frozenset(group.roles.columns)
        self.members = frozenset(group.nodes)
        self.made: dict[tuple[Node, tuple[tuple[Axis, ...], ...]], Step] = {}

    def root(self, node: Node) -> Step:
        """The step that leaves a node's elements in memory."""
        dims = self.domain.dims[node]
        place = self._place(node, dims)
        if node.kind == "scatter":
            return self._scattered(node, place)
        if node.kind == "reduce" and not self._is_inner(node):
            value = self.value(node.inputs[0], self.domain.operands[node])
            axes = frozenset(self.domain.axes_of(node))
            over = frozenset(self.domain.operand_axes(node)) - axes
            attributes = {"how": node.attributes["how"], "place": place, "over": over}
            return Step("total", (value,), node.dtype, axes, attributes, value.level)
        value = self.value(node, dims)
        axes = frozenset(self.domain.axes_of(node))
        return Step("store", (value,), node.dtype, axes, {"place": place}, value.level)

    def value(self, node: Node, dims: Dims) -> Step:
        """The step that makes a node's elements where its dimensions run as these runs do."""
        key = (node, tuple(map(self.domain.resolve, dims)))
        if key not in self.made:
            self.made[key] = self._made(node, dims)
        return self.made[key]

    def _made(self, node: Node, dims: Dims) -> Step:
        if base_of(node) not in self.members and not node.is_free:
            place = self._place(node, dims)
            return Step("load", (), node.dtype, frozenset(place.strides), {"place": place})
        if node.is_view:
            return self.value(node.inputs[0], self.domain.seen(node, dims))
        if node.kind == "reduce":
            return self._reduced(node)
        make = {
            "take": self._take,
            "inset": self._inset,
            "scan": self._scan,
            "constant": _constant,
            "size": _constant,
            "iota": self._numbered,
            "uniform": self._numbered,
        }
        return make.get(node.kind, self._elementwise)(node, dims)

    def _elementwise(self, node: Node, dims: Dims) -> Step:
        operands = tuple(
            self.value(operand, dims if operand.shape else ()) for operand in node.inputs
        )
        if node.kind == "copy":
            return operands[0]
        axes = frozenset().union(*(operand.axes for operand in operands))
        level = max(operand.level for operand in operands)
        return Step(node.kind, operands, node.dtype, axes, {}, level)

    def _reduced(self, node: Node) -> Step:
        value = self.value(node.inputs[0], self.domain.operands[node])
        axes = frozenset(self.domain.axes_of(node))
        attributes = {"how": node.attributes["how"]}
        return Step("reduce", (value,), node.dtype, axes, attributes, value.level + 1)

    def _is_inner(self, node: Node) -> bool:
        reduced = set(self.domain.operand_axes(node)) - set(self.domain.axes_of(node))
        return reduced == self.columns

    def _take(self, node: Node, dims: Dims) -> Step:
        source, index = node.inputs
        dim = node.attributes["dim"]
        layout = layout_of(source)
        assert layout is not None, "a source that lies in memory has strides"
        place = self._place(source, (*dims[:dim], (), *dims[dim + 1 :]))
        found = self.value(index, dims)
        attributes = {
            "place": place,
            "stride": layout.strides[dim],
            "extent": source.shape[dim],
        }
        axes = frozenset(place.strides) | found.axes
        return Step("take", (found,), node.dtype, axes, attributes, found.level)

    def _inset(self, node: Node, dims: Dims) -> Step:
        source, around = node.inputs
        dim, start = node.attributes["dim"], node.attributes["start"]
        place = self._place(source, dims)
        index = self._index(dims, dim)
        outside = self.value(around, dims if around.shape else ())
        layout = layout_of(source)
        assert layout is not None, "a source that lies in memory has strides"
        place = Place(place.base, place.offset - start * layout.strides[dim], place.strides)
        attributes = {"place": place, "start": start, "extent": source.shape[dim]}
        axes = frozenset(place.strides) | index.axes | outside.axes
        return Step("inset", (index, outside), node.dtype, axes, attributes, outside.level)

    def _scan(self, node: Node, dims: Dims) -> Step:
        value = self.value(node.inputs[0], dims)
        along = frozenset(self.domain.resolve(dims[node.attributes["dim"]]))
        axes = value.axes | along
        attributes = {"how": node.attributes["how"], "along": along}
        return Step("scan", (value,), node.dtype, axes, attributes, value.level)

    def _scattered(self, node: Node, place: Place) -> Step:
        _, index, values = node.inputs
        dims = self.domain.operands[node]
        layout = layout_of(node)
        assert layout is not None, "what is written to lies in memory"
        dim = node.attributes["dim"]
        attributes = {
            "how": node.attributes["how"],
            "place": place,
            "along": self.domain.resolve(dims[dim]),
            "stride": layout.strides[dim],
            "extent": node.shape[dim],
        }
        operands = (self.value(values, dims), self.value(index, dims))
        axes = frozenset(self.domain.operand_axes(node))
        level = max(operand.level for operand in operands)
        return Step("scatter", operands, node.dtype, axes, attributes, level)

    def _index(self, dims: Dims, dim: int) -> Step:
        strides = [int(at == dim) for at in range(len(dims))]
        place = Place(None, 0, self._strides(dims, strides))
        return Step("index", (), torch.int64, frozenset(place.strides), {"place": place})

    def _numbered(self, node: Node, dims: Dims) -> Step:
        """An element's index in one dimension, or the random number of its place among all."""
        if node.kind == "iota":
            return self._index(dims, node.attributes["dim"])
        operands = tuple(self.value(seed, ()) for seed in node.inputs)
        place = Place(None, 0, self._strides(dims, contiguous_strides(node.shape)))
        attributes = {"place": place, "stream": node.attributes["stream"]}
        return Step("uniform", operands, node.dtype, frozenset(place.strides), attributes)

    def _place(self, node: Node, dims: Dims) -> Place:
        """The addresses of a tensor that lies in memory, or is to."""
        layout = layout_of(node)
        if layout is None:
            return self._place(node.inputs[0], self.domain.seen(node, dims))
        return Place(base_of(node), layout.offset, self._strides(dims, layout.strides))

    def _strides(self, dims: Dims, strides: Iterable[Extent]) -> dict[Axis, Extent]:
        found: dict[Axis, Extent] = {}
        for run, stride in zip(dims, strides, strict=True):
            step = stride
            for axis in reversed(self.domain.resolve(run)):
                if step != 0:
                    found[axis] = step
                step = step * axis.extent
        return found


def _constant(node: Node, _dims: Dims) -> Step:
    return Step(node.kind, (), node.dtype, frozenset(), dict(node.attributes))
