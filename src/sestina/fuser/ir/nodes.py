"""The graph: nodes that each make one tensor from others, without side effects.

| kind | inputs | attributes |
|---|---|---|
| `input` | – | `index` among the arguments |
| `held` | – | `tensor`, a constant of the captured module |
| `constant` | – | `value`, a number; the shape is () |
| `size` | – | `extent`, as a number; the shape is () |
| a name of `OPERATIONS` | tensors of the node's shape | – |
| `expand`, `permute`, `reshape`, `slice` | the tensor seen | `order`; `dim`, `start`, `step` |
| `reduce` | the tensor | `how`: sum, prod, max, min, any, all; `dims`, which go |
| `iota` | – | `dim`: the element is its index there |
| `uniform` | seed, of shape () | `stream`: float32 in [0, 1), by position |
| `copy` | the tensor | `layout` that the copy is to have |
| `take` | source, index | `dim`: as `torch.gather` |
| `inset` | source, around | `dim`, `start`: around, but the source from there on |
| `scatter` | into, index, values | `dim`; `how`: sum, or last, which stays; in `into`'s memory |
| `scan` | the tensor | `how`: sum, prod; `dim`: each element combined with those before it |
| `aten` | tensors | `target`, `args`, `kwargs` with `Slot` for tensors |
| `item` | an `aten` node | `index`: one of its results |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from sestina.fuser.ir.extents import Extent, product
from sestina.fuser.ir.layouts import Layout
from sestina.fuser.ir.operations import OPERATIONS

__all__ = [
    "VIEWS",
    "Builder",
    "Graph",
    "Node",
    "Slot",
    "UnknownBroadcast",
    "base_of",
    "broadcast",
    "layout_of",
    "reached",
    "topological",
]

VIEWS = frozenset({"expand", "permute", "reshape", "slice"})


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the arguments of an ATen call have a tensor: the index among the node's inputs."""

    index: int


@dataclass(eq=False, slots=True)
class Node:
    """One tensor of the graph and how it is made; see the module's table.

    Attributes:
        number: in the order of capture, which effects and random numbers keep.
        layout: where its elements lie, or are to lie if they have to lie anywhere.
        is_free: whether it reads nothing but numbers, so that each kernel may make it for itself.
    """

    kind: str
    inputs: tuple[Node, ...]
    shape: tuple[Extent, ...]
    dtype: torch.dtype
    attributes: dict[str, Any] = field(default_factory=dict)
    number: int = 0
    layout: Layout | None = None
    is_free: bool = field(init=False)

    def __post_init__(self) -> None:
        """Of what it is made tells whether it is free; asked often, so told once."""
        if self.kind == "uniform":
            self.is_free = self.inputs[0].is_opaque
        else:
            # A copy is asked for where elements are to lie in memory.
            is_simple = (self.is_elementwise and self.kind != "copy") or (
                self.is_view and self.kind != "slice"
            )
            made = is_simple and all(operand.is_free for operand in self.inputs)
            self.is_free = self.kind in {"constant", "size", "iota"} or made

    @property
    def name(self) -> str:
        """How it is called where graphs are printed."""
        return f"v{self.number}"

    @property
    def is_elementwise(self) -> bool:
        """Whether each element depends on those in its place only."""
        return self.kind in OPERATIONS or self.kind == "copy"

    @property
    def is_view(self) -> bool:
        """Whether it shows another tensor's elements."""
        return self.kind in VIEWS

    @property
    def is_opaque(self) -> bool:
        """Whether ATen makes it, or the caller: it lies in memory before any kernel runs."""
        return self.kind in {"input", "held", "aten", "item"}

    @property
    def is_lookup(self) -> bool:
        """Whether its first operand has to lie in memory, as it is used at other places."""
        return self.kind in {"take", "inset", "scatter"}

    @property
    def num_elements(self) -> Extent:
        """How many elements it has."""
        return product(self.shape)

    def __str__(self) -> str:
        operands = [node.name for node in self.inputs]
        shown = [f"{key}={value}" for key, value in self.attributes.items() if key in _SHOWN]
        sizes = ", ".join(map(str, self.shape))
        dtype = str(self.dtype).removeprefix("torch.")
        kind = str(self.attributes["target"]) if self.kind == "aten" else self.kind
        return f"{self.name}: {dtype}[{sizes}] = {kind}({', '.join(operands + shown)})"


_EACH_NEW = frozenset({"input", "held", "aten"})
_SHOWN = ("value", "extent", "order", "dim", "start", "step", "how", "dims", "stream", "index")


class UnknownBroadcast(Exception):  # noqa: N818 - a signal inside the room
    """Two sizes may be the same or not; the message says which."""


@dataclass(slots=True)
class Graph:
    """What a captured function computes.

    Attributes:
        inputs: one node an argument; None where the argument is a number.
        outputs: the results: tensors, sizes that the backward pass is to have, or constants.
        layouts: that the tensors among the outputs are to have.
        effects: pairs of an input and the tensor that is written into it at the end.
        checks: calls that run whether what they give is read or not: those that fail where
            something does not hold, and those of which it isn't known what else they do.
        symbols: for each symbol of a dynamic graph, the argument that holds its value.
    """

    inputs: list[Node | None]
    outputs: list[Any]
    layouts: list[Layout | None]
    effects: list[tuple[Node, Node]] = field(default_factory=list)
    checks: list[Node] = field(default_factory=list)
    symbols: dict[str, int] = field(default_factory=dict)

    @property
    def nodes(self) -> list[Node]:
        """Every node that an output, an effect or a check needs, operands first."""
        return topological([*self.checks, *self.results, *(value for _, value in self.effects)])

    @property
    def results(self) -> list[Node]:
        """The tensors among the outputs."""
        return [result for result in self.outputs if isinstance(result, Node)]

    def __str__(self) -> str:
        nodes = self.nodes
        lines = [str(node) for node in nodes]
        results = ", ".join(
            result.name if isinstance(result, Node) else str(result) for result in self.outputs
        )
        lines += [f"{value.name} is written to {target.name}" for target, value in self.effects]
        return "\n".join([*lines, f"return {results}"])


def topological(roots: Iterable[Node]) -> list[Node]:
    """The nodes that these need and themselves, operands first; without recursion."""
    order: list[Node] = []
    seen: set[int] = set()
    stack = [(node, False) for node in reversed(list(roots))]
    while stack:
        node, is_done = stack.pop()
        if is_done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((operand, False) for operand in reversed(node.inputs))
    return order


def broadcast(shapes: Iterable[Sequence[Extent]]) -> tuple[Extent, ...]:
    """The shape that tensors of these shapes are repeated to."""
    result: list[Extent] = []
    for shape in shapes:
        result = [1] * (len(shape) - len(result)) + result
        start = len(result) - len(shape)
        for dim, extent in enumerate(shape, start):
            if result[dim] == 1:
                result[dim] = extent
    return tuple(result)


def base_of(node: Node) -> Node:
    """The tensor whose elements a view shows in the end; other nodes are their own."""
    while node.kind in VIEWS:
        node = node.inputs[0]
    return node


def reached(operands: Iterable[Node], through: Callable[[Node], bool]) -> list[Node]:
    """The tensors that some nodes show, and what they are made of; each once.

    Args:
        operands: where to begin.
        through: of which tensors what they are made of counts, too.
    """
    seen: dict[Node, None] = {}
    stack = list(operands)
    while stack:
        base = base_of(stack.pop())
        if base not in seen:
            seen[base] = None
            if through(base):
                stack.extend(base.inputs)
    return list(seen)


def layout_of(node: Node) -> Layout | None:
    """Where the elements of a node lie, once its base lies in memory; None where no strides say so.

    A tensor that is still to be made lies as its `layout` says, or row by row.
    """
    if not node.is_view:
        return node.layout or Layout.contiguous(node.shape)
    source = layout_of(node.inputs[0])
    if source is None:
        return None
    if node.kind == "permute":
        return source.permuted(node.attributes["order"])
    if node.kind == "expand":
        return source.expanded(node.shape)
    if node.kind == "reshape":
        return source.reshaped(node.shape)
    dim, start, step = (node.attributes[name] for name in ("dim", "start", "step"))
    return source.sliced(dim, start, node.shape[dim], step)


class Builder:
    """Makes nodes, each different one once, and leaves out what changes nothing."""

    def __init__(self) -> None:
        self._known: dict[Any, Node] = {}
        self._count = 0

    def make(
        self,
        kind: str,
        inputs: Sequence[Node],
        shape: Sequence[Extent],
        dtype: torch.dtype,
        **attributes: Any,
    ) -> Node:
        """A node, or the one made before of the same kind from the same."""
        key = (kind, tuple(map(id, inputs)), tuple(shape), dtype, _frozen(attributes))
        if kind not in _EACH_NEW and key in self._known:
            return self._known[key]
        self._count += 1
        node = Node(kind, tuple(inputs), tuple(shape), dtype, attributes, self._count)
        self._known[key] = node
        return node

    def constant(self, value: float, dtype: torch.dtype) -> Node:
        """A number of a dtype, of shape ()."""
        number = bool(value) if dtype is torch.bool else value
        if dtype.is_floating_point:
            number = float(value)
        elif dtype is not torch.bool:
            number = int(value)
        return self.make("constant", (), (), dtype, value=number)

    def size(self, extent: Extent, dtype: torch.dtype) -> Node:
        """An extent as a number, of shape ()."""
        if isinstance(extent, int):
            return self.constant(extent, dtype)
        # A mean's factor, say, is computed of sizes, and whole no longer.
        own = torch.int64 if extent.is_integer else torch.float64
        return self.convert(self.make("size", (), (), own, extent=extent), dtype)

    def apply(self, name: str, *operands: Node) -> Node:
        """An elementwise operation on tensors, which are repeated to one shape."""
        shape = broadcast([node.shape for node in operands])
        # What is repeated after the operation instead of before it is computed once.
        sources = tuple(n.inputs[0] if n.kind == "expand" else n for n in operands)
        if broadcast([node.shape for node in sources]) != shape:
            return self.expand(self.apply(name, *sources), shape)
        operands = tuple(self._repeated(node, shape) for node in operands)
        operation = OPERATIONS[name]
        dtype = torch.bool if operation.is_predicate else operands[-1].dtype
        made = self.make(name, operands, shape, dtype)
        if made.layout is None:
            made.layout = _inherited(made)
        return made

    def _repeated(self, node: Node, shape: Sequence[Extent]) -> Node:
        """An operand repeated to a shape; what is given in half precision is widened after that.

        So it is where it is used: of a parameter that alone would be a kernel and a tensor more.
        """
        seen = node.inputs[0] if node.kind == "expand" else node
        widened = seen.inputs[0] if seen.kind == "reshape" else seen
        if widened.kind == "convert" and seen.shape != tuple(shape):
            (given,) = widened.inputs
            if _widens(given.dtype, widened.dtype) and base_of(given).kind == "input":
                repeated = self.expand(self.reshape(given, seen.shape), shape)
                return self.convert(repeated, widened.dtype)
        return self.expand(node, shape)

    def convert(self, node: Node, dtype: torch.dtype, *, is_asked: bool = False) -> Node:
        """The tensor in another dtype; to a narrower one and back again is left out.

        What the function itself asks to be rounded is rounded, with `is_asked`.
        """
        if node.dtype is dtype:
            return node
        if node.kind == "convert" and not node.attributes and _widens(node.dtype, dtype):
            # The value before it was rounded: what half precision costs is left out in kernels.
            (source,) = node.inputs
            if source.dtype is dtype:
                return source
        asked = {"is_asked": True} if is_asked and _widens(dtype, node.dtype) else {}
        made = self.make("convert", (node,), node.shape, dtype, **asked)
        if made.layout is None:
            made.layout = _inherited(made)
        return made

    def expand(self, node: Node, shape: Sequence[Extent]) -> Node:
        """The tensor repeated to a shape, as PyTorch broadcasts: aligned at the last dimension.

        Raises:
            UnknownBroadcast: for sizes of which it isn't known whether they are the same.
        """
        if node.shape == tuple(shape):
            return node
        node = self.reshape(node, (*[1] * (len(shape) - len(node.shape)), *node.shape))
        if node.shape == tuple(shape):
            return node
        for old, new in zip(node.shape, shape, strict=True):
            if old not in {1, new}:
                raise UnknownBroadcast(f"a size of {old} where one of {new} is expected")
        return self.make("expand", (node,), shape, node.dtype)

    def reshape(self, node: Node, shape: Sequence[Extent]) -> Node:
        """The same elements in the same order in another shape."""
        while node.kind == "reshape":
            (node,) = node.inputs
        if node.shape == tuple(shape):
            return node
        return self.make("reshape", (node,), shape, node.dtype)

    def permute(self, node: Node, order: Sequence[int]) -> Node:
        """Dimensions in another order."""
        order = tuple(order)
        if node.kind == "permute":
            order = tuple(node.attributes["order"][dim] for dim in order)
            (node,) = node.inputs
        if order == tuple(range(len(order))):
            return node
        shape = tuple(node.shape[dim] for dim in order)
        return self.make("permute", (node,), shape, node.dtype, order=order)

    def slice(self, node: Node, dim: int, start: Extent, extent: Extent, step: int = 1) -> Node:
        """Every step-th element of a dimension from a start on."""
        if start == 0 and step == 1 and extent == node.shape[dim]:
            return node
        shape = (*node.shape[:dim], extent, *node.shape[dim + 1 :])
        if node.kind == "expand" and node.inputs[0].shape[dim] == 1:
            return self.expand(node.inputs[0], shape)
        source = self.settled(node)
        return self.make("slice", (source,), shape, node.dtype, dim=dim, start=start, step=step)

    def settled(self, node: Node) -> Node:
        """The tensor, or a copy of it where no strides say where its elements lie."""
        if layout_of(node) is not None:
            return node
        return self.make("copy", (node,), node.shape, node.dtype)

    def renewed(self, node: Node) -> Node:
        """A copy that nobody else has, to be written into."""
        return self.make("copy", (node,), node.shape, node.dtype, number=self._count)

    def reduce(self, how: str, node: Node, dims: Sequence[int]) -> Node:
        """The tensor without some dimensions, their elements combined."""
        shape = [extent for dim, extent in enumerate(node.shape) if dim not in dims]
        # A dimension of one element has no loop: it would be added once in each turn of others.
        dims = tuple(sorted(dim for dim in dims if node.shape[dim] != 1))
        if dims:
            kept = [extent for dim, extent in enumerate(node.shape) if dim not in dims]
            node = self.make("reduce", (node,), kept, node.dtype, how=how, dims=dims)
        return self.reshape(node, shape)


def _inherited(node: Node) -> Layout | None:
    """The layout that ATen gives a result: its first operand's that isn't repeated."""
    for operand in node.inputs:
        layout = layout_of(operand)
        if layout is not None and layout.is_dense and base_of(operand).kind != "constant":
            return Layout(layout.shape, layout.strides)
    return None


def _widens(narrow: torch.dtype, wide: torch.dtype) -> bool:
    return narrow in {torch.bfloat16, torch.float16} and wide is torch.float32


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((key, _frozen(item)) for key, item in sorted(value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(map(_frozen, value))
    if isinstance(value, float):
        # -0.0 equals 0.0 and NaN nothing, but constants differ by their bits.
        return ("float", math.copysign(1.0, value), repr(value))
    if isinstance(value, bool):
        return ("bool", value)
    return value if value.__hash__ else id(value)
