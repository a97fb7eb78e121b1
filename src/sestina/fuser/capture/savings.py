"""Rewrites after which less need be kept between forward and backward."""

from __future__ import annotations

import torch
from torch import fx

from sestina.fuser.capture.calls import call

__all__ = ["compare_for_thresholds", "see_through_detached"]

_ATEN = torch.ops.aten


def see_through_detached(graph: fx.Graph) -> None:
    """Uses tensors themselves for what shares their memory, which the partitioner would keep."""
    returned = set(graph.output_node().all_input_nodes)
    for node in graph.find_nodes(op="call_function", target=_ATEN.detach.default):
        if node not in returned:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)


def compare_for_thresholds(graph: fx.Graph) -> None:
    """Lets the gradient of a threshold need which elements were above it, and not the elements."""
    for node in graph.find_nodes(op="call_function", target=_ATEN.threshold_backward.default):
        gradient, result, threshold = node.args
        with graph.inserting_before(node):
            below = call(graph, _ATEN.le.Scalar, (result, threshold), {}, node)
            none = call(graph, _ATEN.zeros_like.default, (gradient,), {}, node)
            chosen = call(graph, _ATEN.where.self, (below, none, gradient), {}, node)
        node.replace_all_uses_with(chosen)
        graph.erase_node(node)
