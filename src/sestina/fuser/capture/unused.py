"""Gradients of results that nobody used.

A model gives its loss and the scores that it is of, and only the loss is asked for gradients. As
the model was captured whole, autograd makes zeros for the scores, in fresh memory in each step, and
with many classes no tensor is larger. Here it is told not to, and the backward pass makes them
itself, in memory that is used again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch._prims_common import is_non_overlapping_and_dense_or_false

from sestina.fuser.memory import empty

__all__ = ["filling", "undefined"]

_PLAIN = (Tensor, torch.nn.Parameter)


def filling(captured: fx.GraphModule, run: Callable[[list[Any]], Any]) -> Callable[..., Any] | None:
    """A backward pass that takes None for the gradient of a result; None if sizes may change.

    Args:
        captured: its graph.
        run: what takes tensors, in a list that it empties.
    """
    given: list[tuple[int, tuple[tuple[int, ...], tuple[int, ...], torch.dtype]]] = []
    for index, node in enumerate(captured.graph.find_nodes(op="placeholder")):
        if node.name.startswith("tangents"):
            value = node.meta.get("val")
            if not isinstance(value, Tensor) or not _is_plain(value):
                return None
            given.append((index, ((*value.shape,), value.stride(), value.dtype)))

    def filled(args: list[Any]) -> Any:
        for index, layout in given:
            if args[index] is None:
                args[index] = empty(*layout).zero_()
        return run(args)

    filled._boxed_call = True  # type: ignore[attr-defined]
    return filled


def undefined(compiled: Callable[..., Any], takes_none: list[bool]) -> Callable[..., Any]:
    """What AOTAutograd made, whose backward pass is given None for results that nobody used.

    Args:
        compiled: of the graph's arguments.
        takes_none: not empty once that backward pass is compiled and does.
    """
    own: Any = None

    def run(*args: Any) -> Any:
        nonlocal own
        results = compiled(*args)
        if not takes_none:
            return results
        if own is None:
            own = _class_of(results, args)
        for result in results:
            node: Any = getattr(result, "grad_fn", None)
            if type(node) is own:
                node.set_materialize_grads(False)
                break
        return results

    return run


def _class_of(results: Any, args: Any) -> type:
    """That of the node of autograd which these results have of this function, and no other has."""
    nodes = [result.grad_fn for result in results if isinstance(result, Tensor)]
    theirs = [arg.grad_fn for arg in args if isinstance(arg, Tensor) and arg.grad_fn is not None]
    for node in nodes:
        is_ours = type(node).__name__ == "CompiledFunctionBackward" and node not in theirs
        if is_ours and all(type(one) in _PLAIN for one in results if isinstance(one, Tensor)):
            return type(node)
    # No node is of it.
    return Tensor


def _is_plain(value: Tensor) -> bool:
    sizes = (*value.shape, *value.stride())
    is_known = all(isinstance(size, int) for size in sizes) and value.device.type == "cpu"
    return is_known and is_non_overlapping_and_dense_or_false(value)
