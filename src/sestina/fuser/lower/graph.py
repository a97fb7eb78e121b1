"""The walk over a captured graph: each call becomes nodes by the table, or an ATen node.

What a lowering gives is compared with what PyTorch's own shape inference said of the call; where
they differ, or a dtype or device is not one for kernels, ATen computes the call as it stands.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import fx
from torch._prims_common import ELEMENTWISE_TYPE_PROMOTION_KIND, elementwise_dtypes
from torch.utils._pytree import tree_flatten, tree_unflatten

from sestina.fuser.ir.extents import Extent, extent_of, extents_of
from sestina.fuser.ir.layouts import Layout
from sestina.fuser.ir.nodes import (
    Builder,
    Graph,
    Node,
    Slot,
    UnknownBroadcast,
    base_of,
    layout_of,
)
from sestina.fuser.ir.operations import STORED, compute_dtype
from sestina.fuser.lower import (  # noqa: F401 - their import fills the table
    batches,
    indexing,
    losses,
    parts,
    pointwise,
    pooling,
    randoms,
    reductions,
    scans,
    transcendental,
    views,
)
from sestina.fuser.lower.expressions import Expression, NotLowered, check_fit
from sestina.fuser.lower.foreach import elementwise_of, single_calls
from sestina.fuser.lower.foreign import Foreign, foreign_of
from sestina.fuser.lower.sharing import Sharing, storage_of
from sestina.fuser.lower.table import ELEMENTWISE, LOWERINGS, Elementwise

__all__ = ["BROKEN", "BY_STRIDES", "LEFT_TO_ATEN", "Lowered", "NotCaptured", "lower"]

_ATEN = torch.ops.aten
LEFT_TO_ATEN = frozenset(
    {
        *("mm", "addmm", "bmm", "baddbmm", "convolution", "convolution_backward"),
        "sestina::addmm_activation",
        # It refuses what is no probability.
        "binary_cross_entropy",
        "max_pool2d_with_indices_backward",
        *("_scaled_dot_product_flash_attention_for_cpu",),
        *("_scaled_dot_product_flash_attention_for_cpu_backward",),
        *("randint", "rand", "randn", "bernoulli", "native_dropout"),
        *("randint_like", "rand_like", "randn_like"),
    }
)
"""Operations that are ATen's by design: nothing is said of them."""
BY_STRIDES = frozenset(
    {_ATEN.as_strided.default, _ATEN.as_strided_copy.default, _ATEN.as_strided_scatter.default}
)
"""Operations whose results depend on where their first operand lies."""
# A kernel's result may lie otherwise than ATen's would, and then these need a copy.
_BY_VIEWING = {_ATEN.view.default, _ATEN._unsafe_view.default}
BROKEN = "its lowering failed"
"""How the reason begins where an operation is left to ATen by a mistake of this compiler."""


class NotCaptured(Exception):  # noqa: N818 - a signal inside the room
    """The graph as a whole is none for this compiler; the message says why."""


@dataclass(slots=True)
class Lowered:
    """A graph, and why ATen computes what it computes."""

    graph: Graph
    reasons: dict[str, str] = field(default_factory=dict)


def lower(captured: fx.GraphModule) -> Lowered:
    """The IR of a graph of functional ATen calls, with shapes in `meta["val"]`.

    Raises:
        NotCaptured: for results that are not dense tensors of the CPU, and calls that write.
    """
    walk = _Walk(captured)
    for node in captured.graph.nodes:
        try:
            walk.visit(node)
        except Exception as error:  # told with the call that it is about, by `_at`
            raise _at(node, error) from error
    graph = Graph(walk.inputs, *walk.outputs(), walk.effects, walk.checks, walk.symbols)
    _check_symbols(graph)
    return Lowered(graph, walk.reasons)


def _check_symbols(graph: Graph) -> None:
    """Refuses sizes that no argument tells: those of results whose shape depends on the data."""
    for node in graph.nodes:
        layout = node.layout.strides if node.layout is not None else ()
        for extent in (*node.shape, *layout):
            if isinstance(extent, int):
                continue
            for symbol in extent.free_symbols:
                if str(symbol) not in graph.symbols:
                    made = node.inputs[0] if node.kind == "item" else node
                    of = made.attributes.get("target", made.kind)
                    raise NotCaptured(f"a size of {of}, {extent}, depends on the data")


def _at(node: fx.Node, error: Exception) -> NotCaptured:
    """Why a graph is none for this compiler, with the name of the call where that was found."""
    reason, name = str(error), str(node.target)
    if not isinstance(error, NotCaptured):
        reason = f"{BROKEN}, {type(error).__name__}: {error}"
    has_name = name in reason or node.target is operator.getitem
    return NotCaptured(reason if has_name else f"{name}: {reason}")


class _Walk:
    def __init__(self, captured: fx.GraphModule) -> None:
        self.captured = captured
        self.builder = Builder()
        self.values: dict[fx.Node, Any] = {}
        self.inputs: list[Node | None] = []
        self.results: Sequence[fx.Node | None] = ()
        self.effects: list[tuple[Node, Node]] = []
        self.checks: list[Node] = []
        self.symbols: dict[str, int] = {}
        # Where arguments begin in their memory, and which memory that is.
        self.starts: dict[Node, Extent] = {}
        self.given_storages: dict[Node, int] = {}
        self.sharing = Sharing(captured.graph)
        # Nodes that others count on to lie where they do.
        self.settled: set[Node] = set()
        self.reasons: dict[str, str] = {}

    def visit(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            self.values[node] = self._input(node)
        elif node.op == "get_attr":
            held = operator.attrgetter(str(node.target))(self.captured)
            is_tensor = isinstance(held, torch.Tensor)  # and not a graph, which is passed on
            self.values[node] = self._given("held", held, tensor=held) if is_tensor else held
        elif node.op == "output":
            (self.results,) = node.args  # type: ignore[assignment]
        elif node.target is operator.getitem:
            self.values[node] = self._chosen(node, *node.args)
        elif node.target is _ATEN.copy_.default:
            target, value = (self.values[argument] for argument in node.args[:2])  # type: ignore[index]
            self._write(target, value)
            self.values[node] = value
        elif isinstance(node.target, torch._ops.HigherOrderOperator):
            self.values[node] = self._foreign(node)
        elif isinstance(node.target, torch._ops.OpOverload) and _only_checks(node.target):
            self.checks.append(self._opaque(node, node.target))
        elif not isinstance(_value_of(node), (torch.Tensor, tuple, list)):
            self.values[node] = self._number(node, node.target)
        else:
            self.values[node] = self._called(node)
        if node.op == "call_function":
            self.values[node] = self.sharing.settled(self.builder, node, self.values.get(node))

    def outputs(self) -> tuple[list[Any], list[Layout | None]]:
        """The results, each a tensor of its own where the captured graph had it so."""
        nodes: list[Any] = []
        layouts: list[Layout | None] = []
        # The memory that PyTorch sees behind what lies in one here.
        behind = dict(self.given_storages)
        for result in self.results:
            if not isinstance(result, fx.Node):
                nodes.append(result)  # a constant
                layouts.append(None)
                continue
            node = self.values[result]
            if not isinstance(node, Node):
                nodes.append(node)  # a size, which the backward pass is to have
                layouts.append(None)
                continue
            layout, storage = _layout_of(_value_of(result)), storage_of(_value_of(result))
            base = base_of(node)
            if behind.get(base, storage) != storage or (
                not node.is_view and not base.is_opaque and not _lies_so(node, layout)
            ):
                node = self.builder.make("copy", (node,), node.shape, node.dtype, layout=layout)
                node = self.builder.renewed(node) if node in behind else node  # another result's
                node.layout = layout
            behind[base_of(node)] = storage
            nodes.append(node)
            layouts.append(layout)
        return nodes, layouts

    def _input(self, node: fx.Node) -> Any:
        value = _value_of(node)
        if isinstance(value, (torch.SymInt, torch.SymFloat)):
            expression = extent_of(value)
            self.symbols.setdefault(str(expression), len(self.inputs))
            self.inputs.append(None)
            return expression
        if isinstance(value, int):
            self.inputs.append(None)
            return value
        if not isinstance(value, torch.Tensor):
            raise NotCaptured(f"the argument {node} is a {type(value).__name__}")
        made = self._given("input", value, index=len(self.inputs))
        self.inputs.append(made)
        return made

    def _number(self, node: fx.Node, source: object) -> Extent:
        value = _value_of(node)
        is_number = isinstance(value, (int, torch.SymInt, torch.SymFloat))
        if not is_number or isinstance(value, bool):
            raise NotCaptured(f"{source} gives a {type(value).__name__}")
        number = extent_of(value)
        symbols = () if isinstance(number, int) else number.free_symbols
        if any(str(symbol) not in self.symbols for symbol in symbols):
            raise NotCaptured(f"{source} gives a number, {number}, that depends on the data")
        return number

    def _chosen(self, node: fx.Node, source: Any, index: Any) -> Any:
        chosen = self.values[source][index]
        is_number = chosen is None and _value_of(node) is not None and node.users
        return self._number(node, source.target) if is_number else chosen

    def _given(self, kind: str, value: torch.Tensor, **attributes: Any) -> Node:
        node = self.builder.make(kind, (), extents_of(value.shape), value.dtype, **attributes)
        if not _is_dense(value):
            return node  # which only ATen reads
        # The offset is part of the pointer that the tensor has when it is called.
        node.layout = Layout(node.shape, extents_of(value.stride()))
        self.starts[node] = extent_of(value.storage_offset())
        self.given_storages[node] = storage_of(value)
        self.sharing.give(node, storage_of(value))
        return node

    def _write(self, target: Any, value: Any) -> None:
        if not isinstance(target, Node) or target.kind != "input" or target.layout is None:
            raise NotCaptured("a copy into a tensor that is no argument of a layout known to it")
        written = self.builder.convert(value, target.dtype)
        self.effects.append((target, self.builder.expand(written, target.shape)))

    def _called(self, node: fx.Node) -> Any:
        target = node.target
        if not isinstance(target, torch._ops.OpOverload):
            raise NotCaptured(f"a call of {target}")
        if target._schema.is_mutable:
            raise NotCaptured(f"{target} writes into its argument")
        if any(0 in extents_of(value.shape) for value in _tensors_of(node)):
            return self._opaque(node, target)
        try:
            return self._lowered(node, target)
        except (NotLowered, UnknownBroadcast) as reason:
            name = target._schema.name.removeprefix("aten::")
            if name not in LEFT_TO_ATEN:
                self.reasons.setdefault(str(target), str(reason))
        except Exception as error:  # noqa: BLE001 - a mistake of ours costs its operation the kernel
            self.reasons[str(target)] = f"{BROKEN}, {type(error).__name__}: {error}"
        return self._opaque(node, target)

    def _lowered(self, node: fx.Node, target: torch._ops.OpOverload[Any, Any]) -> Any:
        values = _value_of(node)
        tensors = [values] if isinstance(values, torch.Tensor) else list(values)
        operands = [_value_of(operand) for operand in node.all_input_nodes]
        for value in (v for v in (*tensors, *operands) if isinstance(v, torch.Tensor)):
            if value.dtype not in STORED or not _is_dense(value):
                raise NotLowered(f"a tensor of {value.dtype}, {value.layout} on {value.device}")
        made: Any
        if target in ELEMENTWISE:
            made = self._elementwise(node, ELEMENTWISE[target])
        elif (entry := elementwise_of(target)) is not None:
            calls = single_calls(target, *self._arguments(node))
            made = [
                self._applied(entry, *call, value)
                for call, value in zip(calls, tensors, strict=True)
            ]
        elif target in LOWERINGS:
            args, kwargs = self._arguments(node)
            made = LOWERINGS[target](self.builder, *args, **kwargs)
        else:
            raise NotLowered("there is no lowering of it")
        made = self._renewed(node, made)
        results = [made] if isinstance(made, Node) else list(made)
        results = [
            self._rounded(result, value) for result, value in zip(results, tensors, strict=True)
        ]
        for result, value in zip(results, tensors, strict=True):
            self._check(target, result, value)
        return results[0] if isinstance(made, Node) else results

    def _check(self, target: object, result: Node | None, value: torch.Tensor | None) -> None:
        """Compares a lowering with PyTorch's own inference, and notes where the result lies.

        What was a result before stays where it was then; copied to elsewhere it is the same node.
        """
        if result is None or value is None:
            return
        expected = extents_of(value.shape), value.dtype
        if (result.shape, result.dtype) != expected:
            raise NotLowered(f"{target} gave {result.shape} {result.dtype}, expected {expected}")
        is_placed = result.is_view or result.is_opaque or result.kind in {"copy", "scatter"}
        if not is_placed and result not in self.settled:
            layout = _layout_of(value)
            result.layout = layout if layout.is_dense else Layout.contiguous(result.shape)
            self.settled.add(result)

    def _rounded(self, result: Node | None, value: torch.Tensor | None) -> Node | None:
        """Statistics come out in half precision where their tensor is."""
        if result is None or value is None or not result.dtype.is_floating_point:
            return result
        return self.builder.convert(result, value.dtype)

    def _renewed(self, node: fx.Node, made: Any) -> Any:
        """A copy that ATen makes is a node of its own: it may be written to, or lie elsewhere."""
        if node.target in {_ATEN.clone.default, _ATEN._to_copy.default}:
            (source, *_) = (self.values[operand] for operand in node.all_input_nodes)
            if made is source:
                layout = _layout_of(_value_of(node))
                made = self.builder.make("copy", (made,), made.shape, made.dtype, layout=layout)
                made.layout = layout if layout.is_dense else None
        return made

    def _arguments(self, node: fx.Node) -> tuple[Any, Any]:
        def value(argument: Any) -> Any:
            if isinstance(argument, fx.Node):
                return self.values[argument]
            return argument

        return fx.map_arg((node.args, node.kwargs), value)

    def _elementwise(self, node: fx.Node, entry: Elementwise) -> Node:
        value = _value_of(node)
        dtype = None
        if entry.rounds_within and compute_dtype(value.dtype) is not value.dtype:
            raise NotLowered(f"it rounds to {value.dtype} on the way to its result")
        if entry.puts_numbers:
            check_fit(value.dtype, *node.args)
        if entry.is_predicate:
            given = [a if not isinstance(a, fx.Node) else _value_of(a) for a in node.args]
            numbers = [a for a in given if isinstance(a, (torch.Tensor, int, float))]
            kind = ELEMENTWISE_TYPE_PROMOTION_KIND.DEFAULT
            dtype, _ = elementwise_dtypes(*numbers, type_promotion_kind=kind)
        return self._applied(entry, *self._arguments(node), value, dtype)

    def _applied(
        self,
        entry: Elementwise,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        value: torch.Tensor,
        dtype: torch.dtype | None = None,
    ) -> Node:
        """A formula on operands of one dtype: the result's own, if no other is given."""
        dtype = dtype or compute_dtype(value.dtype)
        shape = extents_of(value.shape)

        def operand(position: int, argument: Any) -> Any:
            if not isinstance(argument, Node):
                return argument
            if position not in entry.masks:
                argument = Expression(self.builder, argument).convert(dtype).node
            return Expression(self.builder, self.builder.expand(argument, shape))

        operands = [operand(*pair) for pair in enumerate(args)]
        if any(isinstance(argument, torch.dtype) for argument in args):
            raise NotLowered("a dtype among the operands")
        options = {name: operand(-1, argument) for name, argument in kwargs.items()}
        made = entry.formula(*operands, **options)
        return self.builder.expand(self.builder.convert(made.node, value.dtype), shape)

    def _opaque(self, node: fx.Node, target: Callable[..., Any]) -> Any:
        inputs: list[Node] = []

        def slot(argument: Any) -> Any:
            if isinstance(argument, fx.Node):
                value, argument = _value_of(argument), self.values[argument]
                if isinstance(argument, Node) and _is_dense(value):
                    is_strided = target in BY_STRIDES and not inputs
                    is_strided |= isinstance(target, Foreign) and target.is_strided
                    argument = self._lying(argument, value, is_strided)
            if isinstance(argument, Node):
                inputs.append(argument)
                return Slot(len(inputs) - 1)
            return argument

        args, kwargs = fx.map_arg((node.args, node.kwargs), slot)
        target = _ATEN.reshape.default if target in _BY_VIEWING else target
        values = _value_of(node)
        first = values if isinstance(values, torch.Tensor) else None
        made = self.builder.make(
            "aten",
            inputs,
            () if first is None else extents_of(first.shape),
            torch.float32 if first is None else first.dtype,
            target=target,
            args=args,
            kwargs=kwargs,
        )
        if isinstance(target, Foreign):
            # It may do more than give something, so it runs whether that is read or not.
            self.checks.append(made)
        if first is not None:
            made.layout = _layout_of(first)
            return made
        if values is None:
            return made
        leaves, spec = tree_flatten(values) if isinstance(target, Foreign) else (values, None)
        items = [self._item(made, *numbered) for numbered in enumerate(leaves)]
        return items if spec is None else tree_unflatten(items, spec)

    def _foreign(self, node: fx.Node) -> Any:
        """A call of a higher-order operator, which runs as it is."""
        if node.users and not isinstance(_value_of(node), (torch.Tensor, tuple, list)):
            raise NotCaptured("PyTorch tells of no tensor that it gives")
        args, _ = self._arguments(node)
        foreign = foreign_of(node, args)
        self.reasons.setdefault(str(foreign), foreign.reason)
        return self._opaque(node, foreign)

    def _lying(self, node: Node, value: torch.Tensor, is_strided: bool) -> Node:
        """A tensor that lies as PyTorch has it: what ATen or others compute may count on that.

        What is asked for by strides has to begin where PyTorch has it begin, too.
        """
        strides, offset = extents_of(value.stride()), extent_of(value.storage_offset())
        layout = layout_of(node) or Layout.contiguous(node.shape)
        start = layout.offset + self.starts.get(base_of(node), 0)
        if _lie_alike(layout.strides, strides, node.shape) and not (is_strided and start != offset):
            self.settled.add(base_of(node))
            return node
        wanted = Layout(node.shape, strides)
        if is_strided and (offset != 0 or not wanted.is_dense):
            raise NotCaptured(f"a view by strides of {node}, which lies elsewhere")
        if not wanted.is_dense:
            return node
        made = self.builder.make("copy", (node,), node.shape, node.dtype, layout=wanted)
        made.layout = wanted
        return made

    def _item(self, made: Node, index: int, value: Any) -> Node | None:
        if not isinstance(value, torch.Tensor):
            return None
        item = self.builder.make("item", (made,), extents_of(value.shape), value.dtype, index=index)
        item.layout = _layout_of(value)
        return item


def _value_of(node: fx.Node) -> Any:
    return node.meta.get("val")


def _only_checks(target: torch._ops.OpOverload[Any, Any]) -> bool:
    """Whether it is called to fail where something does not hold: it gives and writes nothing."""
    return not target._schema.returns and not target._schema.is_mutable


def _is_dense(value: torch.Tensor) -> bool:
    """Whether its numbers are those in memory, where strides say."""
    is_here = value.layout is torch.strided and value.device.type == "cpu"
    return is_here and not value.is_neg()


def _layout_of(value: torch.Tensor) -> Layout:
    """Of a tensor that is to be made: the offset is 0, as it has storage of its own."""
    if not _is_dense(value):
        seen = "a view of negated numbers" if value.is_neg() else f"a tensor of {value.layout}"
        raise NotCaptured(f"it gives {seen} on {value.device}")
    return Layout(extents_of(value.shape), extents_of(value.stride()))


def _lie_alike(
    strides: Sequence[Extent], others: Sequence[Extent], shape: Sequence[Extent]
) -> bool:
    """Whether strides are the same where there is more than one element."""
    triples = zip(strides, others, shape, strict=True)
    return all(extent == 1 or one == other for one, other, extent in triples)


def _lies_so(node: Node, layout: Layout) -> bool:
    return node.layout is None or node.layout == layout


def _tensors_of(node: fx.Node) -> list[torch.Tensor]:
    """What a call takes and what of its results is used, sizes being numbers or not."""
    values = _value_of(node)
    if isinstance(values, (tuple, list)):  # batch norm gives empty statistics outside of training
        items = [user for user in node.users if user.target is operator.getitem and user.users]
        values = [values[cast("int", item.args[1])] for item in items]
    else:
        values = [values]
    given = [_value_of(operand) for operand in node.all_input_nodes]
    return [value for value in (*values, *given) if isinstance(value, torch.Tensor)]
