"""Results that share memory: what stands behind them is one tensor here, too.

A tensor of a captured graph may be nothing here: a number that is repeated, a view of what it was
computed of, or what another tensor is as well. Where several results show it, it has to be made.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import fx

from sestina.fuser.ir.extents import extents_of
from sestina.fuser.ir.layouts import Layout
from sestina.fuser.ir.nodes import Builder, Node, base_of

__all__ = ["Sharing", "storage_of"]


class Sharing:
    """Which memory stands behind the results of a captured graph, and what it is here."""

    def __init__(self, captured: fx.Graph) -> None:
        results = [node for node in captured.output_node().all_input_nodes if _is_strided(node)]
        counts = Counter(storage_of(node.meta["val"]) for node in results)
        self._shared = {storage for storage, count in counts.items() if count > 1}
        self._made: dict[Node, int] = {}

    def give(self, node: Node, storage: int) -> None:
        """Notes an argument, which is there."""
        self._made[node] = storage
        self._shared.discard(storage)

    def settled(self, builder: Builder, node: fx.Node, made: Any) -> Any:
        """What a call gave, or a copy of it, if it is the first with memory that results share."""
        if not isinstance(made, Node) or not _is_strided(node):
            return made
        storage = storage_of(node.meta["val"])
        if storage not in self._shared:
            return made
        self._shared.discard(storage)
        is_nothing = made.is_view or base_of(made).is_free or made in self._made
        if is_nothing:
            made = builder.renewed(made)
            value = node.meta["val"]
            layout = Layout(made.shape, extents_of(value.stride()))
            made.layout = layout if layout.is_dense else None
        self._made[made] = storage
        return made


def storage_of(value: torch.Tensor) -> int:
    """Which memory stands behind a tensor of the captured graph."""
    number: int = value.untyped_storage()._cdata
    return number


def _is_strided(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.layout is torch.strided
