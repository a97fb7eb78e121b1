"""Logarithms of probabilities made again of scores, which are kept anyway.

What the backward pass of a cross-entropy needs is as large as the scores that a model gives. As
the scores less two numbers of each row it is computed again of these, and is not kept.
"""

from __future__ import annotations

import torch
from torch import fx
from torch.utils.checkpoint import CheckpointPolicy

from sestina.fuser.capture.calls import call

__all__ = ["split_log_softmax"]

_ATEN = torch.ops.aten


def split_log_softmax(graph: fx.Graph) -> bool:
    """Replaces the logarithms of softmax of a graph, in place; tells whether there were any."""
    found = [node for node in graph.nodes if node.target is _ATEN._log_softmax.default]
    for node in found:
        with graph.inserting_before(node):
            _replace(graph, node)
    return bool(found)


def _replace(graph: fx.Graph, node: fx.Node) -> None:
    scores, dim, _ = node.args
    dtype = node.meta["val"].dtype
    assert isinstance(scores, fx.Node)
    if scores.meta["val"].dtype.itemsize < torch.float32.itemsize:
        scores = call(graph, _ATEN._to_copy.default, (scores,), {"dtype": torch.float32}, node)
    largest = call(graph, _ATEN.amax.default, (scores, [dim], True), {}, node)
    shifted = call(graph, _ATEN.sub.Tensor, (scores, largest), {}, node)
    powers = call(graph, _ATEN.exp.default, (shifted,), {}, node)
    total = call(graph, _ATEN.sum.dim_IntList, (powers, [dim], True), {}, node)
    total = call(graph, _ATEN.log.default, (total,), {}, node)
    result = call(graph, _ATEN.sub.Tensor, (shifted, total), {}, node)
    if result.meta["val"].dtype is not dtype:
        result = call(graph, _ATEN._to_copy.default, (result,), {"dtype": dtype}, node)
    for made in (shifted, result):
        made.meta["recompute"] = CheckpointPolicy.MUST_RECOMPUTE
        made.meta["ac_graph_id"] = 0
    node.replace_all_uses_with(result)
    graph.erase_node(node)
