"""Dropout by position: masks that forward and backward make again instead of keeping.

So are uniform, normal and exponential numbers, and coins that are tossed. One seed is drawn of
PyTorch's generator each time the compiled function runs, so that `torch.manual_seed` reproduces it.
Each dropout of the graph has its own stream of that seed; the partitioner is told to keep the seed
and to compute masks again.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch.utils.checkpoint import CheckpointPolicy

from sestina.fuser.capture.calls import call
from sestina.fuser.random import UNIFORM

__all__ = ["make_regenerable"]

_ATEN = torch.ops.aten
_COINS = frozenset({_ATEN.bernoulli.default, _ATEN.bernoulli.p})
# Their own gradient needs what they give: so what is dropped of it is made again from that.
_KEPT_ANYWAY = frozenset({_ATEN._softmax.default, _ATEN._safe_softmax.default})


def make_regenerable(graph: fx.Graph) -> bool:
    """Replaces what draws random numbers, in place; tells whether there was any."""
    draws = [node for node in graph.nodes if _is_dropout(node) or _is_drawn(node)]
    if not draws:
        return False
    first = next(node for node in graph.nodes if node.op != "placeholder")
    with graph.inserting_before(first):
        seed = call(
            graph, _ATEN.randint.low, (-(2**63), 2**63 - 1, []), {"dtype": torch.int64}, draws[0]
        )
    seed.meta["recompute"] = CheckpointPolicy.MUST_SAVE
    seed.meta["ac_graph_id"] = 0
    for stream, node in enumerate(draws):
        replace = _drop if _is_dropout(node) else _draw
        with graph.inserting_before(node):
            replace(graph, node, seed, stream)
    graph.eliminate_dead_code()
    return True


def _is_dropout(node: fx.Node) -> bool:
    if node.target is not _ATEN.native_dropout.default:
        return False
    _, probability, is_training = node.args
    source = node.args[0].meta["val"]  # type: ignore[union-attr]
    is_proper = isinstance(probability, float) and 0 < probability < 1
    return is_training is not False and is_proper and source.device.type == "cpu"


def _is_drawn(node: fx.Node) -> bool:
    is_known = node.target in _COINS or node.target in _NUMBERS
    if not is_known or node.kwargs.get("generator") is not None:
        return False
    value = node.meta["val"]
    # Of other dtypes ATen draws numbers with as many bits as these have.
    is_made = node.target in _COINS or value.dtype is torch.float32
    is_plain = value.layout is torch.strided and value.is_contiguous()
    return is_made and is_plain and value.dtype.is_floating_point and value.device.type == "cpu"


def _draw(graph: fx.Graph, node: fx.Node, seed: fx.Node, stream: int) -> None:
    """Numbers of a distribution, made of uniform ones."""
    source = node.args[0]
    sizes = _sizes(graph, source) if isinstance(source, fx.Node) else source

    def apply(target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        made = call(graph, target, args, kwargs, node)
        _recompute(made)
        return made

    def uniform(number: int = 0) -> fx.Node:
        return apply(UNIFORM, seed, sizes, stream + number * _STREAMS)

    if node.target in _COINS:
        is_given = node.target is _ATEN.bernoulli.p
        below = _ATEN.lt.Scalar if is_given else _ATEN.lt.Tensor
        coins = apply(below, uniform(), node.args[1] if is_given else source)
        made = apply(_ATEN._to_copy.default, coins, dtype=node.meta["val"].dtype)
    else:
        is_filled = node.target in _FILLED
        made = _NUMBERS[node.target](apply, uniform, *(node.args[1:] if is_filled else ()))
    node.replace_all_uses_with(made)
    graph.erase_node(node)


Apply = Callable[..., fx.Node]


def _uniform(apply: Apply, uniform: Apply, low: float = 0.0, high: float = 1.0) -> fx.Node:
    made = uniform()
    if (low, high) == (0.0, 1.0):
        return made
    return apply(_ATEN.add.Scalar, apply(_ATEN.mul.Scalar, made, high - low), low)


def _normal(apply: Apply, uniform: Apply, mean: float = 0.0, deviation: float = 1.0) -> fx.Node:
    """By Box and Muller, "A note on the generation of random normal deviates", 1958."""
    square = apply(_ATEN.mul.Scalar, _exponential(apply, uniform), 2.0)
    angle = apply(_ATEN.mul.Scalar, uniform(1), 2 * math.pi)
    made = apply(
        _ATEN.mul.Tensor, apply(_ATEN.sqrt.default, square), apply(_ATEN.cos.default, angle)
    )
    if (mean, deviation) == (0.0, 1.0):
        return made
    return apply(_ATEN.add.Scalar, apply(_ATEN.mul.Scalar, made, deviation), mean)


def _exponential(apply: Apply, uniform: Apply, rate: float = 1.0) -> fx.Node:
    # Of a number above 0 and up to 1.
    logarithm = apply(_ATEN.log.default, apply(_ATEN.rsub.Scalar, uniform(), 1.0))
    return apply(_ATEN.mul.Scalar, logarithm, -1.0 / rate)


# What fills a tensor, which comes first among its arguments; then come its own.
_FILLED: dict[Any, Callable[..., fx.Node]] = {
    _ATEN.uniform.default: _uniform,
    _ATEN.normal_functional.default: _normal,
    _ATEN.exponential.default: _exponential,
}
_NUMBERS: dict[Any, Callable[..., fx.Node]] = _FILLED | {
    _ATEN.rand.default: _uniform,
    _ATEN.rand_like.default: _uniform,
    _ATEN.randn.default: _normal,
    _ATEN.randn_like.default: _normal,
}
# No graph draws so often: a second number of a draw has a stream that no other one has.
_STREAMS = 1 << 20


def _drop(graph: fx.Graph, node: fx.Node, seed: fx.Node, stream: int) -> None:
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
    found: list[Any] = []
    for dim, size in enumerate(shape):
        known = size if isinstance(size, int) else size.node.maybe_as_int()
        if known is None:
            known = call(graph, _ATEN.sym_size.int, (source, dim), {}, source)
        found.append(known)
    return found
