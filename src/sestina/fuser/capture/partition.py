"""Forward and backward cut apart so that little is kept between them.

PyTorch's partitioner finds the cut that keeps least. Here the graph is rewritten first, so that it
may keep less: what is made again of what is kept anyway, and masks of a byte for whole tensors.
"""

from __future__ import annotations

from typing import Any

import torch
from functorch.compile import min_cut_rematerialization_partition
from torch import fx
from torch._functorch import config as functorch_config

from sestina.fuser.capture.calls import call
from sestina.fuser.capture.duplicates import merge_duplicates
from sestina.fuser.capture.losses import split_log_softmax
from sestina.fuser.capture.randomness import make_regenerable
from sestina.fuser.options import FuserOptions

__all__ = ["partition"]

_ATEN = torch.ops.aten


def partition(
    options: FuserOptions, joint: fx.GraphModule, joint_inputs: Any, **others: Any
) -> tuple[fx.GraphModule, fx.GraphModule]:
    """The forward and the backward graph of one that does both; what AOTAutograd asks for."""
    graph = joint.graph
    split_log_softmax(graph)
    if options.dropout == "regenerate":
        make_regenerable(graph)
    _see_through_detached(graph)
    _compare_for_thresholds(graph)
    merge_duplicates(graph)
    # The duplicates are gone: PyTorch's own pass would import TorchInductor for them.
    with functorch_config.patch(cse=False):
        parts: tuple[fx.GraphModule, fx.GraphModule] = min_cut_rematerialization_partition(
            joint, joint_inputs, **others
        )
    return parts


def _see_through_detached(graph: fx.Graph) -> None:
    """Uses tensors themselves for what shares their memory, which the partitioner would keep."""
    returned = set(graph.output_node().all_input_nodes)
    for node in graph.find_nodes(op="call_function", target=_ATEN.detach.default):
        if node not in returned:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)


def _compare_for_thresholds(graph: fx.Graph) -> None:
    """Lets the gradient of a threshold need which elements were above it, and not the elements."""
    for node in graph.find_nodes(op="call_function", target=_ATEN.threshold_backward.default):
        gradient, result, threshold = node.args
        with graph.inserting_before(node):
            below = call(graph, _ATEN.le.Scalar, (result, threshold), {}, node)
            none = call(graph, _ATEN.zeros_like.default, (gradient,), {}, node)
            chosen = call(graph, _ATEN.where.self, (below, none, gradient), {}, node)
        node.replace_all_uses_with(chosen)
        graph.erase_node(node)
