"""Rewrites after which less need be kept, between forward and backward or within either."""

from __future__ import annotations

import torch
from torch import fx

from sestina.fuser.capture.calls import call

__all__ = ["add_into_tables", "compare_for_thresholds", "see_through_detached"]

_ATEN = torch.ops.aten


def see_through_detached(graph: fx.Graph) -> bool:
    """Uses tensors themselves for what shares their memory, which the partitioner would keep.

    As all rewrites it changes the graph in place, and tells whether there was anything to change.
    """
    returned = set(graph.output_node().all_input_nodes)
    detached = graph.find_nodes(op="call_function", target=_ATEN.detach.default)
    found = [node for node in detached if node not in returned]
    for node in found:
        node.replace_all_uses_with(node.args[0])
        graph.erase_node(node)
    return bool(found)


def compare_for_thresholds(graph: fx.Graph) -> bool:
    """Lets the gradient of a threshold need which elements were above it, and not the elements."""
    found = graph.find_nodes(op="call_function", target=_ATEN.threshold_backward.default)
    for node in found:
        gradient, result, threshold = node.args
        with graph.inserting_before(node):
            below = call(graph, _ATEN.le.Scalar, (result, threshold), {}, node)
            none = call(graph, _ATEN.zeros_like.default, (gradient,), {}, node)
            chosen = call(graph, _ATEN.where.self, (below, none, gradient), {}, node)
        node.replace_all_uses_with(chosen)
        graph.erase_node(node)
    return bool(found)


def add_into_tables(graph: fx.Graph) -> bool:
    """Adds the gradient of a table's rows to another gradient, rather than making a table of it."""
    is_changed = False
    for node in graph.find_nodes(op="call_function", target=_ATEN.add.Tensor):
        pair = node.args
        if len(pair) != 2 or node.kwargs or not all(isinstance(one, fx.Node) for one in pair):
            continue
        for rows, other in (pair, pair[::-1]):
            if _is_of_rows(rows, other):
                _add_rows(graph, node, rows, other)
                is_changed = True
                break
    return is_changed


def _is_of_rows(rows: fx.Node, other: fx.Node) -> bool:
    is_sole = len(rows.users) == 1 and rows is not other
    if rows.target is not _ATEN.embedding_dense_backward.default or not is_sole:
        return False
    _, _, num_rows, _, is_scaled = rows.args
    mine, others = rows.meta["val"], other.meta["val"]
    is_alike = mine.shape == others.shape and mine.dtype is others.dtype
    return is_alike and isinstance(num_rows, int) and not is_scaled


def _add_rows(graph: fx.Graph, node: fx.Node, rows: fx.Node, other: fx.Node) -> None:
    values, index, _, padding, _ = rows.args
    with graph.inserting_before(node):
        if isinstance(padding, int) and padding >= 0:
            seen = call(graph, _ATEN.ne.Scalar, (index, padding), {}, node)
            seen = call(graph, _ATEN.unsqueeze.default, (seen, -1), {}, node)
            none = call(graph, _ATEN.zeros_like.default, (values,), {}, node)
            values = call(graph, _ATEN.where.self, (seen, values, none), {}, node)
        total = call(graph, _ATEN.index_put.default, (other, [index], values, True), {}, node)
    node.replace_all_uses_with(total)
    graph.erase_node(node)
    graph.erase_node(rows)
