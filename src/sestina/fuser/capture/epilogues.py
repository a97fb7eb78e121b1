"""Activations computed within the products before them, where nobody wants what they are of.

That is so in inference: training keeps it for the backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from sestina.fuser.capture.calls import call
from sestina.fuser.gemm import ADDMM_ACTIVATION, is_routed

__all__ = ["move_into_products"]

_ATEN = torch.ops.aten
_NAMES = {
    _ATEN.relu.default: "relu",
    _ATEN.tanh.default: "tanh",
    _ATEN.sigmoid.default: "sigmoid",
    _ATEN.silu.default: "swish",
    _ATEN.gelu.default: "gelu",
}
_VIEWS = {_ATEN.view.default, _ATEN._unsafe_view.default, _ATEN.reshape.default}
_PRODUCTS = {_ATEN.mm.default, _ATEN.addmm.default}


def move_into_products(graph: fx.Graph) -> bool:
    """Replaces activations of products in a graph, in place; tells whether there were any."""
    found = [node for node in graph.nodes if node.target in _NAMES and _product_of(node)]
    for node in found:
        product = _product_of(node)
        assert product is not None
        *bias, a, b = product.args
        algorithm = node.kwargs.get("approximate", "none") if len(node.args) == 1 else node.args[1]
        given = (bias[0] if bias else None, a, b, _NAMES[node.target], algorithm)
        with graph.inserting_before(product):
            made = call(graph, ADDMM_ACTIVATION, given, {}, product)
        product.replace_all_uses_with(made)
        node.replace_all_uses_with(node.args[0])
        graph.erase_node(node)
        graph.erase_node(product)
    return bool(found)


def _product_of(node: fx.Node) -> fx.Node | None:
    """The product that an activation is of, if nothing else is, and oneDNN computes it."""
    source: Any = node.args[0]
    while source.target in _VIEWS and len(source.users) == 1:
        source = source.args[0]
    if source.target not in _PRODUCTS or len(source.users) > 1 or source.kwargs:
        return None
    *bias, a, b = (argument.meta["val"] for argument in source.args)
    sizes = [*a.shape, *b.shape, *a.stride(), *b.stride()]
    is_plain = all(isinstance(size, int) for size in sizes) and a.device.type == "cpu"
    return source if is_plain and is_routed(a, b, *bias) else None
