"""The IR run node by node with PyTorch's operations: slow, obvious, the oracle of the kernels.

Nothing is fused, and tensors lie as the nodes' layouts say; arithmetic is that of the nodes'
dtypes, or float64 throughout where a test wants to know how far either is from the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy
import torch
from torch import Tensor

from sestina.fuser.ir.extents import Extent
from sestina.fuser.ir.nodes import Graph, Node, Slot
from sestina.fuser.ir.operations import OPERATIONS
from sestina.fuser.random import uniforms

__all__ = ["evaluate"]


def evaluate(
    graph: Graph, arguments: Sequence[Any], *, dtype: torch.dtype | None = None
) -> list[Any]:
    """The results of a graph.

    Args:
        graph: of which the effects are carried out on the arguments.
        arguments: tensors, and the numbers of symbols.
        dtype: of all floating-point arithmetic; None for that of the nodes.
    """
    return _Run(graph, arguments, dtype).results()


class _Run:
    def __init__(self, graph: Graph, arguments: Sequence[Any], dtype: torch.dtype | None) -> None:
        self.graph, self.arguments, self.dtype = graph, arguments, dtype
        self.symbols = {name: arguments[index] for name, index in graph.symbols.items()}
        self.values: dict[Node, Any] = {}

    def results(self) -> list[Any]:
        for node in self.graph.nodes:
            self.values[node] = self._laid_out(node, self._value(node))
        for target, value in self.graph.effects:
            self.arguments[target.attributes["index"]].copy_(self.values[value])
        return [self._result(result) for result in self.graph.outputs]

    def _result(self, result: Any) -> Any:
        if isinstance(result, Node):
            return self.values[result]
        return self._size(result) if isinstance(result, sympy.Expr) else result

    def _value(self, node: Node) -> Any:
        operands = [self.values[operand] for operand in node.inputs]
        if node.kind == "copy":
            return operands[0].clone()
        if node.kind in OPERATIONS:
            made = OPERATIONS[node.kind].reference(*operands)
            return made.to(self._dtype(node.dtype))
        return _KINDS[node.kind](self, node, *operands)

    def _laid_out(self, node: Node, value: Any) -> Any:
        """A tensor that lies where a kernel would write it: some of ATen's operations see that."""
        if node.layout is None or node.is_view or node.is_opaque:
            return value
        strides = self._shape(node.layout.strides)
        if value.stride() == strides:
            return value
        return torch.empty_strided(value.shape, strides, dtype=value.dtype).copy_(value)

    def _dtype(self, dtype: torch.dtype) -> torch.dtype:
        return self.dtype if self.dtype is not None and dtype.is_floating_point else dtype

    def _shape(self, extents: Sequence[Extent]) -> tuple[int, ...]:
        return tuple(self._size(extent) for extent in extents)

    def _size(self, extent: Extent) -> int:
        return extent if isinstance(extent, int) else int(extent.subs(self.symbols))

    def _input(self, node: Node) -> Tensor:
        given: Tensor = self.arguments[node.attributes["index"]]
        return given.to(self._dtype(given.dtype))

    def _held(self, node: Node) -> Tensor:
        tensor: Tensor = node.attributes["tensor"]
        return tensor.to(self._dtype(tensor.dtype))

    def _constant(self, node: Node) -> Tensor:
        return torch.tensor(node.attributes["value"], dtype=self._dtype(node.dtype))

    def _number(self, node: Node) -> Tensor:
        value = node.attributes["extent"].subs(self.symbols)
        whole = node.dtype is torch.int64
        return torch.tensor(int(value) if whole else float(value), dtype=self._dtype(node.dtype))

    def _expand(self, node: Node, source: Tensor) -> Tensor:
        return source.expand(self._shape(node.shape))

    def _permute(self, node: Node, source: Tensor) -> Tensor:
        return source.permute(node.attributes["order"])

    def _reshape(self, node: Node, source: Tensor) -> Tensor:
        return source.reshape(self._shape(node.shape))

    def _slice(self, node: Node, source: Tensor) -> Tensor:
        dim, start, step = (node.attributes[name] for name in ("dim", "start", "step"))
        count = self._size(node.shape[dim])
        index = self._size(start) + step * torch.arange(count)
        return source.index_select(dim, index)

    def _reduce(self, node: Node, source: Tensor) -> Tensor:
        how, dims = node.attributes["how"], node.attributes["dims"]
        if how == "sum":
            return source.sum(dims, dtype=self._dtype(node.dtype))
        if how == "prod":
            for dim in reversed(dims):
                source = source.prod(dim, dtype=self._dtype(node.dtype))
            return source
        made: Tensor = getattr(torch, {"max": "amax", "min": "amin"}.get(how, how))(source, dims)
        return made

    def _iota(self, node: Node) -> Tensor:
        dim, shape = node.attributes["dim"], self._shape(node.shape)
        seen = [-1 if at == dim else 1 for at in range(len(shape))]
        return torch.arange(shape[dim]).reshape(seen).expand(shape)

    def _uniform(self, node: Node, seed: Tensor) -> Tensor:
        made = uniforms(int(seed), self._shape(node.shape), node.attributes["stream"])
        return torch.from_numpy(made)

    def _take(self, node: Node, source: Tensor, index: Tensor) -> Tensor:
        return source.gather(node.attributes["dim"], index)

    def _inset(self, node: Node, source: Tensor, around: Tensor) -> Tensor:
        dim, start = node.attributes["dim"], self._size(node.attributes["start"])
        made = around.expand(self._shape(node.shape)).clone()
        made.narrow(dim, start, source.shape[dim]).copy_(source)
        return made

    def _scatter(self, node: Node, into: Tensor, index: Tensor, values: Tensor) -> Tensor:
        dim = node.attributes["dim"]
        if node.attributes["how"] == "sum":
            return into.scatter_add(dim, index, values)
        made = into.clone()
        for at in range(index.shape[dim]):  # one after another: the last one stays
            made.scatter_(dim, index.narrow(dim, at, 1), values.narrow(dim, at, 1))
        return made

    def _scan(self, node: Node, source: Tensor) -> Tensor:
        scan = {"sum": torch.cumsum, "prod": torch.cumprod}[node.attributes["how"]]
        return scan(source, node.attributes["dim"])

    def _aten(self, node: Node, *operands: Tensor) -> Any:
        def given(argument: Any) -> Any:
            if isinstance(argument, Slot):
                return operands[argument.index]
            if isinstance(argument, (list, tuple)):
                items = [given(item) for item in argument]
                return tuple(items) if isinstance(argument, tuple) else items
            return argument

        args = [given(argument) for argument in node.attributes["args"]]
        kwargs: Mapping[str, Any] = node.attributes["kwargs"]
        return node.attributes["target"](*args, **{k: given(v) for k, v in kwargs.items()})

    def _item(self, node: Node, several: Any) -> Tensor:
        item: Tensor = several[node.attributes["index"]]
        return item


_KINDS: dict[str, Callable[..., Any]] = {
    "input": _Run._input,
    "held": _Run._held,
    "constant": _Run._constant,
    "size": _Run._number,
    "expand": _Run._expand,
    "permute": _Run._permute,
    "reshape": _Run._reshape,
    "slice": _Run._slice,
    "reduce": _Run._reduce,
    "iota": _Run._iota,
    "uniform": _Run._uniform,
    "take": _Run._take,
    "inset": _Run._inset,
    "scatter": _Run._scatter,
    "scan": _Run._scan,
    "aten": _Run._aten,
    "item": _Run._item,
}
