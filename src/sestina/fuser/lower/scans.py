"""Sums and products of all elements so far."""

from __future__ import annotations

import torch

from sestina.fuser.ir.nodes import Builder, Node
from sestina.fuser.ir.operations import compute_dtype
from sestina.fuser.lower.table import lowering

__all__: list[str] = []

_ATEN = torch.ops.aten


@lowering(_ATEN.cumsum.default)
def _cumsum(b: Builder, node: Node, dim: int, *, dtype: torch.dtype | None = None) -> Node:
    return _scan(b, "sum", node, dim, dtype)


@lowering(_ATEN.cumprod.default)
def _cumprod(b: Builder, node: Node, dim: int, *, dtype: torch.dtype | None = None) -> Node:
    return _scan(b, "prod", node, dim, dtype)


def _scan(b: Builder, how: str, node: Node, dim: int, dtype: torch.dtype | None) -> Node:
    result = dtype or (node.dtype if node.dtype.is_floating_point else torch.int64)
    values = b.convert(node, compute_dtype(result))
    dim %= max(len(node.shape), 1)
    if node.shape and node.shape[dim] != 1:
        values = b.make("scan", (values,), node.shape, values.dtype, how=how, dim=dim)
    return b.convert(values, result)
