"""Convolutions of images that lie channels first, computed channels last where that is faster.

oneDNN's convolutions by a CPU's matrix tiles (AMX) want the channels of a pixel side by side. Of
planes it turns each operand and each result, which takes longer than the convolution does. Turned
by kernels where a graph begins, images stay so up to where it ends.
"""

from __future__ import annotations

import operator
from collections import Counter
from typing import Any, cast

import torch
from torch import fx
from torch.utils._pytree import tree_leaves

from sestina.fuser.capture.calls import call, fake_mode, storages
from sestina.fuser.compile.native import machine
from sestina.fuser.lower.graph import BY_STRIDES

__all__ = ["lay_channels_last"]

_ATEN = torch.ops.aten
_FEATURE = "amx-bf16"
_VIEWS = {_ATEN.view.default, _ATEN._unsafe_view.default}
_BY_STRIDES = BY_STRIDES | {_ATEN.view.dtype, _ATEN._reshape_alias.default}
# Their sums are over planes, and of several channels: kernels are slower where these lie apart.
_BY_PLANES = {_ATEN.native_group_norm.default, _ATEN.native_layer_norm.default}
_NAMESPACES = {"aten", "sestina"}


def lay_channels_last(graph: fx.Graph) -> bool:
    """Turns images and filters of bfloat16's convolutions, in place; tells whether there were any.

    What the graph gives lies where it did.
    """
    if _FEATURE not in machine().features:
        return False
    found = [node for node in graph.nodes if _is_by_planes(node)]
    values = _relaid(graph, found) if found else {}
    if not values or not _are_returnable(graph, values):
        return False
    for node, value in values.items():
        node.meta["val"] = value
    for node in found:
        image, filters, *others = cast("tuple[Any, ...]", node.args)
        with graph.inserting_before(node):
            turned = [_turned(graph, one) for one in (image, filters)]
        node.args = (*turned, *others)
    output = graph.output_node()
    with graph.inserting_before(output):
        back = {
            node: _clone(graph, node, torch.contiguous_format)
            for node in output.all_input_nodes
            if node in values
        }
    output.args = fx.map_arg(output.args, lambda node: back.get(node, node))
    return True


def _is_by_planes(node: fx.Node) -> bool:
    if node.target is not _ATEN.convolution.default:
        return False
    image: torch.Tensor = node.all_input_nodes[0].meta["val"]
    is_half = image.dtype is torch.bfloat16 and image.device.type == "cpu"
    is_turned = image.is_contiguous(memory_format=torch.channels_last)
    is_transposing = bool(node.args[6])
    return is_half and image.dim() == 4 and not is_turned and not is_transposing


def _relaid(graph: fx.Graph, found: list[fx.Node]) -> dict[fx.Node, Any]:
    """What nodes give that will lie elsewhere; nothing if one of them may depend on that."""
    values: dict[fx.Node, Any] = {}

    def value(node: fx.Node) -> Any:
        return values.get(node, node.meta.get("val"))

    for node in graph.nodes:
        is_found = node in found
        is_reached = any(one in values for one in node.all_input_nodes)
        if node.op == "output" or not (is_found or is_reached):
            continue
        if not _is_by_elements(node.target):
            return {}
        args, kwargs = fx.map_arg((node.args, node.kwargs), value)
        if node.target in _BY_PLANES and args[0].stride(-1) != 1:
            return {}
        with fake_mode(graph):
            if is_found:
                turned = (one.contiguous(memory_format=torch.channels_last) for one in args[:2])
                args = (*turned, *args[2:])
            target = _ATEN.reshape.default if node.target in _VIEWS else node.target
            try:
                made = target(*args, **kwargs)
            except RuntimeError:  # it views its operand as that lies
                return {}
        if not all(map(_is_strided, tree_leaves(made))):
            return {}
        if not _lies_alike(made, value(node)):
            values[node] = made
    return values


def _is_by_elements(target: Any) -> bool:
    """Whether it gives the same wherever its operands lie, as random numbers don't, say."""
    if target is operator.getitem:
        return True
    return (
        isinstance(target, torch._ops.OpOverload)
        and target.namespace in _NAMESPACES
        and target not in _BY_STRIDES
        and not target._schema.is_mutable
        and torch.Tag.nondeterministic_seeded not in target.tags
    )


def _is_strided(value: Any) -> bool:
    return not isinstance(value, torch.Tensor) or value.layout is torch.strided


def _lies_alike(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return bool(one.stride() == other.stride())
    if isinstance(one, tuple | list):
        return all(_lies_alike(*pair) for pair in zip(one, other, strict=True))
    return True


def _are_returnable(graph: fx.Graph, values: dict[fx.Node, Any]) -> bool:
    """Whether results can be copied back to where they lay: none of them share such memory."""
    results = graph.output_node().all_input_nodes
    shared = Counter(storages(results))
    is_apart = all(shared[memory] <= 1 for memory in storages(values))
    return is_apart and all(node.meta["val"].is_contiguous() for node in results if node in values)


def _turned(graph: fx.Graph, node: fx.Node) -> fx.Node:
    """A tensor with its channels last: itself, if they are."""
    if node.meta["val"].is_contiguous(memory_format=torch.channels_last):
        return node
    return _clone(graph, node, torch.channels_last)


def _clone(graph: fx.Graph, node: fx.Node, memory_format: torch.memory_format) -> fx.Node:
    return call(graph, _ATEN.clone.default, (node,), {"memory_format": memory_format}, node)
