"""The dtype that ATen gives the statistics of a normalisation, where captured graphs err.

Of a tensor in half precision with parameters in float32 ATen keeps mean and deviation in float32,
and captured graphs have them in the tensor's precision. Rounded to it they would make gradients of
weights wrong by as much as a percent, and a kernel would misread what ATen made.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from sestina.fuser.ir.operations import HALVES

__all__ = ["widen_statistics"]

_ATEN = torch.ops.aten
_NORMALISATIONS = {
    _ATEN._native_batch_norm_legit_functional.default,
    _ATEN._native_batch_norm_legit.no_stats,
    _ATEN.native_group_norm.default,
}
_SAME = {_ATEN.detach.default, _ATEN.alias.default}


def widen_statistics(graph: fx.Graph) -> bool:
    """Notes mean and deviation as float32, in place; tells whether there were any."""
    found = [node for node in graph.nodes if node.target in _NORMALISATIONS and _is_mixed(node)]
    for node in found:
        result, mean, deviation, *others = node.meta["val"]
        node.meta["val"] = (result, mean.float(), deviation.float(), *others)
        for item in node.users:
            if item.args[1] in {1, 2}:
                _note(item, node.meta["val"][item.args[1]])
    return bool(found)


def _is_mixed(node: fx.Node) -> bool:
    tensor, *parameters = (_dtype_of(argument) for argument in node.args)
    return tensor in HALVES and torch.float32 in parameters


def _dtype_of(argument: Any) -> torch.dtype | None:
    value = argument.meta["val"] if isinstance(argument, fx.Node) else None
    return value.dtype if isinstance(value, torch.Tensor) else None


def _note(node: fx.Node, value: torch.Tensor) -> None:
    """What a node gives, and those that give the same."""
    node.meta["val"] = value
    for user in node.users:
        if user.target in _SAME:
            _note(user, value)
