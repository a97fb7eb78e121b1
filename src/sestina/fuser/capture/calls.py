"""Calls put into a captured graph, and what its values stand for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import fx

from sestina.fuser.lower.sharing import storage_of

__all__ = ["call", "fake_mode", "storages"]


def call(
    graph: fx.Graph, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], like: fx.Node
) -> fx.Node:
    """A node with the shape of its result in its meta, and the place in the source of another."""
    node = graph.call_function(target, args, kwargs)
    values = fx.map_arg((args, kwargs), lambda argument: argument.meta["val"])
    with fake_mode(graph):
        node.meta["val"] = target(*values[0], **values[1])
    for name in ("stack_trace", "nn_module_stack"):
        if name in like.meta:
            node.meta[name] = like.meta[name]
    return node


def fake_mode(graph: fx.Graph) -> Any:
    """That of the tensors that stand for a graph's values."""
    for node in graph.nodes:
        mode = getattr(node.meta.get("val"), "fake_mode", None)
        if mode is not None:
            return mode
    return torch._subclasses.FakeTensorMode()


def storages(nodes: Iterable[fx.Node]) -> list[int]:
    """The memory of those nodes that are tensors with strides; once for each."""
    values = [node.meta.get("val") for node in nodes]
    return [
        storage_of(value)
        for value in values
        if isinstance(value, torch.Tensor) and value.layout is torch.strided
    ]
