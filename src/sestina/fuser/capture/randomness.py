"""Dropout by position: masks that forward and backward make again instead of keeping.

One seed is drawn of PyTorch's generator each time the compiled function runs, so that
`torch.manual_seed` reproduces it. Each dropout of the graph has its own stream of that seed; the
partitioner is told to keep the seed and to compute masks again.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx
from torch.utils.checkpoint import CheckpointPolicy

from sestina.fuser.capture.calls import call
from sestina.fuser.random import UNIFORM

__all__ = ["make_regenerable"]

_ATEN = torch.ops.aten
# Their own gradient needs what they give: so what is dropped of it is made again from that.
_KEPT_ANYWAY = frozenset({_ATEN._softmax.default, _ATEN._safe_softmax.default})


def make_regenerable(graph: fx.Graph) -> bool:
    """Replaces the dropouts of a graph, in place; tells whether there were any."""
    drops = [node for node in graph.nodes if _is_dropout(node)]
    if not drops:
        return False
    first = next(node for node in graph.nodes if node.op != "placeholder")
    with graph.inserting_before(first):
        seed = call(
            graph, _ATEN.randint.low, (-(2**63), 2**63 - 1, []), {"dtype": torch.int64}, drops[0]
        )
    seed.meta["recompute"] = CheckpointPolicy.MUST_SAVE
    seed.meta["ac_graph_id"] = 0
    for stream, node in enumerate(drops):
        with graph.inserting_before(node):
            _replace(graph, node, seed, stream)
    graph.eliminate_dead_code()
    return True


def _is_dropout(node: fx.Node) -> bool:
    if node.target is not _ATEN.native_dropout.default:
        return False
    _, probability, is_training = node.args
    source = node.args[0].meta["val"]  # type: ignore[union-attr]
    is_proper = isinstance(probability, float) and 0 < probability < 1
    return is_training is not False and is_proper and source.device.type == "cpu"


def _replace(graph: fx.Graph, node: fx.Node, seed: fx.Node, stream: int) -> None:
    source, probability, _ = node.args
    assert isinstance(source, fx.Node)
    assert isinstance(probability, float)
    value = source.meta["val"]
    sizes = _sizes(graph, source)
    uniform = call(graph, UNIFORM, (seed, sizes, stream), {}, node)
    mask = call(graph, _ATEN.ge.Scalar, (uniform, probability), {}, node)
    for made in (uniform, mask):
        _recompute(made)
    wide = call(graph, _ATEN._to_copy.default, (mask,), {"dtype": value.dtype}, node)
    scaled = call(graph, _ATEN.mul.Tensor, (source, 1 / (1 - probability)), {}, node)
    kept = call(graph, _ATEN.mul.Tensor, (scaled, wide), {}, node)
    if source.target in _KEPT_ANYWAY:
        for made in (wide, scaled, kept):
            _recompute(made)
    for user in list(node.users):
        assert user.target is operator.getitem, user
        user.replace_all_uses_with(kept if user.args[1] == 0 else mask)
        graph.erase_node(user)
    graph.erase_node(node)


def _recompute(node: fx.Node) -> None:
    node.meta["recompute"] = CheckpointPolicy.MUST_RECOMPUTE
    node.meta["ac_graph_id"] = 0


def _sizes(graph: fx.Graph, source: fx.Node) -> list[Any]:
    shape = source.meta["val"].shape
    return [
        size
        if isinstance(size, int)
        else call(graph, _ATEN.sym_size.int, (source, dim), {}, source)
        for dim, size in enumerate(shape)
    ]
