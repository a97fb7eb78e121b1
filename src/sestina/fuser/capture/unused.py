"""Gradients of results that nobody used.

A model gives its loss and the scores that it is of, and only the loss is asked for gradients. As
the model was captured whole, autograd makes zeros for the scores, in fresh memory in each step, and
with many classes no tensor is larger. Here it is told not to, and the backward pass is compiled for
the gradients that there are: when it first runs, as nobody knows before.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from sestina.fuser.memory import empty

__all__ = ["backward_for", "undefined"]

_PLAIN = (Tensor, torch.nn.Parameter)
# A model is asked for gradients of the same results in each step; what more ways there are is
# computed with zeros.
_MOST_COMPILED = 4

Run = Callable[[list[Any]], Any]


def backward_for(
    captured: fx.GraphModule, compile_: Callable[[fx.GraphModule], Run], *, at_once: bool
) -> tuple[Run, bool]:
    """A backward pass that takes None for the gradient of a result that nobody used.

    Args:
        captured: its graph.
        compile_: makes a graph a function of a list of arguments, which it empties.
        at_once: whether all gradients are taken to be there, so that it is compiled now; zeros are
            made of those that are not.

    Returns:
        The function, and whether it takes None: not where sizes may change.
    """
    gradients = {
        index: node.meta["val"]
        for index, node in enumerate(captured.graph.find_nodes(op="placeholder"))
        if "tangents" in str(node.target)  # as AOTAutograd itself tells them apart
    }
    if not gradients or not all(map(_is_plain, gradients.values())):
        return compile_(captured), False
    compiled: dict[tuple[int, ...], Run] = {(): compile_(captured)} if at_once else {}
    lock = threading.Lock()

    def compiled_for(absent: tuple[int, ...], args: list[Any]) -> Run:
        with lock:
            if absent and (at_once or len(compiled) >= _MOST_COMPILED):
                for index in absent:
                    one = gradients[index]
                    args[index] = empty((*one.shape,), one.stride(), one.dtype).zero_()
                absent = ()
            if absent not in compiled:
                compiled[absent] = compile_(_without(captured, absent))
            return compiled[absent]

    def run(args: list[Any]) -> Any:
        absent = tuple([index for index in gradients if args[index] is None])
        return (compiled.get(absent) or compiled_for(absent, args))(args)

    return run, True


def _without(captured: fx.GraphModule, absent: tuple[int, ...]) -> fx.GraphModule:
    """A backward pass in which some of its arguments are zero, whatever is passed."""
    if not absent:
        return captured
    graph = copy.deepcopy(captured.graph)
    placeholders = [*graph.find_nodes(op="placeholder")]
    with graph.inserting_after(placeholders[-1]):
        for index in absent:
            value = placeholders[index].meta["val"]
            options = {"dtype": value.dtype, "device": value.device, "pin_memory": False}
            zeros = graph.call_function(torch.ops.aten.full.default, ([*value.shape], 0), options)
            zeros.meta["val"] = value
            placeholders[index].replace_all_uses_with(zeros)
    return fx.GraphModule(captured, graph)


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


def _is_plain(value: object) -> bool:
    """Whether it is a tensor of known sizes whose elements fill a stretch of memory."""
    if not isinstance(value, Tensor) or value.device.type != "cpu":
        return False
    if not all(isinstance(size, int) for size in (*value.shape, *value.stride())):
        return False
    step = 1
    for stride, extent in sorted(zip(value.stride(), value.shape, strict=True)):
        if extent > 1:
            if stride != step:
                return False
            step *= extent
    return True
