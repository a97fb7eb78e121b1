"""Operations that a graph has twice, computed once.

PyTorch has such a pass, but in TorchInductor, whose import takes longer than planning a model
does. This one is the same in place: it leaves alone what draws random numbers, what is not told
apart by its arguments, and what is returned, since two results are two tensors.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx

from sestina.fuser.capture.calls import storages

__all__ = ["merge_duplicates"]

_ATEN = torch.ops.aten
_NAMESPACES = frozenset({"aten", "prims", "sestina"})
_UNSET = frozenset(
    {_ATEN.empty, _ATEN.empty_like, _ATEN.empty_strided, _ATEN.new_empty, _ATEN.new_empty_strided}
)


def merge_duplicates(graph: fx.Graph) -> bool:
    """Uses the first of equal operations for all of them, in place; tells whether there were any.

    Operations are equal if what they compute and their arguments are, 0.0 and -0.0 being two, and
    if nothing is written in place between them.
    """
    returned = set(storages(graph.output_node().all_input_nodes))
    first: dict[Any, fx.Node] = {}
    is_changed, writes = False, 0
    for node in graph.nodes:
        if isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable:
            writes += 1
        if not _is_told_by_arguments(node) or not returned.isdisjoint(storages([node])):
            continue
        key = (node.target, writes, _frozen(node.args), _frozen(node.kwargs))
        other = first.setdefault(key, node)
        if other is not node:
            node.replace_all_uses_with(other)
            graph.erase_node(node)
            is_changed = True
    return is_changed


def _is_told_by_arguments(node: fx.Node) -> bool:
    target = node.target
    if target is operator.getitem:
        return True
    return (
        isinstance(target, torch._ops.OpOverload)
        and target.namespace in _NAMESPACES
        and not target._schema.is_mutable
        and torch.Tag.nondeterministic_seeded not in target.tags
        and target.overloadpacket not in _UNSET
        and isinstance(node.meta.get("val"), torch.Tensor | tuple | list)
    )


def _frozen(argument: Any) -> Any:
    """Something to compare that tells 1 from 1.0 and 0.0 from -0.0."""
    if isinstance(argument, tuple | list):
        return tuple(_frozen(one) for one in argument)
    if isinstance(argument, dict):
        return tuple((key, _frozen(one)) for key, one in sorted(argument.items()))
    if isinstance(argument, fx.Node):
        return argument
    return type(argument), repr(argument)
