"""Calls put into a captured graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

__all__ = ["call", "fake_mode"]


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
