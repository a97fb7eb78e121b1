"""Calls that are made to be looked at: what they change is put back."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node
from torch.optim import Optimizer

__all__ = ["has_graph", "is_compiled", "run_once", "unchanged"]

# TorchDynamo writes on tensors which of their sizes were dynamic; `reset` doesn't take that back.
_MARK = "_dynamo_propagated_dynamic_indices"


def is_compiled(function: Callable[..., Any]) -> bool:
    """Whether `torch.compile` made it, with options of its own that another one would drop."""
    return hasattr(function, "_torchdynamo_orig_callable")


def has_graph(*roots: Any) -> bool:
    """Whether a tensor that can be reached from some objects was computed, and has gradients.

    Each backward pass goes through that one graph again.
    """
    return any(isinstance(one, Tensor) and one.grad_fn is not None for one in _reached(roots))


def run_once(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    keeps: bool = False,
) -> None:
    """Calls a function, and runs the backward pass of its first result that wants gradients.

    As in training the pass frees what was kept for it, unless it is to keep the graph: for what has
    one already. Such a pass is refused where AOTAutograd lets passes write over what they are given
    ("donated buffers"), of which kernels here make no use.
    """
    donates = torch._functorch.config.donated_buffer and not keeps
    with torch._functorch.config.patch(donated_buffer=donates):
        for tensor in _tensors(function(*args, **kwargs)):
            if tensor.requires_grad:
                tensor.sum().backward(retain_graph=keeps)
                break


@contextmanager
def unchanged(*roots: Any) -> Iterator[None]:
    """Puts back what calls within the block have changed, also after an error.

    That is, of the modules, optimizers and tensors that can be reached from the roots, and of the
    parameters that these were computed of: gradients, buffers and other tensors without gradients,
    the state of optimizers and what these update; and the random numbers of PyTorch and Python.
    What may be written is copied, so that it takes twice the memory within the block.
    """
    reached = list(_reached(roots))
    tensors = [one for one in reached if isinstance(one, Tensor)]
    optimizers = [one for one in reached if isinstance(one, Optimizer)]
    gradients = [(one, one.grad) for one in tensors if one.requires_grad and one.is_leaf]
    written = [one for one in tensors if optimizers or not one.requires_grad]
    written += [gradient for _, gradient in gradients if gradient is not None]
    elements = [(one, one.detach().clone()) for one in written if _is_plain(one)]
    states = [(one, *_contents(one)) for one in optimizers]
    marks = [(one, set(getattr(one, _MARK, ()))) for one in tensors]
    numbers = random.getstate()
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(gpus):
            yield
    finally:
        random.setstate(numbers)
        for optimizer, state, groups in states:
            optimizer.state.clear()
            optimizer.state.update(state)
            for group, contents in zip(optimizer.param_groups, groups, strict=False):
                group.update(contents)
        for tensor, before in elements:
            if not torch.equal(tensor, before):
                with torch.inference_mode(tensor.is_inference()), torch.no_grad():
                    tensor.copy_(before)
        for tensor, gradient in gradients:
            tensor.grad = gradient
        for tensor, dimensions in marks:
            _mark(tensor, dimensions)


def _contents(optimizer: Optimizer) -> tuple[dict[Any, Any], list[dict[str, Any]]]:
    """What an optimizer keeps, and its groups; their tensors are reached by themselves."""
    state = {key: dict(value) for key, value in optimizer.state.items()}
    return state, [dict(group) for group in optimizer.param_groups]


def _mark(tensor: Tensor, dimensions: set[int]) -> None:
    if dimensions:
        setattr(tensor, _MARK, dimensions)
    elif hasattr(tensor, _MARK):
        delattr(tensor, _MARK)


def _is_plain(tensor: Tensor) -> bool:
    """Whether its elements can be copied and written back, each being at a place of its own."""
    is_own = type(tensor) in {Tensor, torch.nn.Parameter}
    is_strided = is_own and tensor.layout is torch.strided and not tensor.is_quantized
    overlaps = is_strided and torch._debug_has_internal_overlap(tensor) == 1
    return is_strided and not tensor.is_meta and not overlaps


def _tensors(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (list, tuple)):
        return [tensor for item in result for tensor in _tensors(item)]
    return []


def _reached(roots: Iterable[Any]) -> Iterator[Any]:
    """Tensors and optimizers that can be reached from some objects, each once."""
    stack, seen = list(roots), dict[int, Any]()
    while stack:
        one = stack.pop()
        if id(one) not in seen:
            seen[id(one)] = one  # kept, so that no other one gets its number
            if isinstance(one, (Tensor, Optimizer)):
                yield one
            stack += _parts(one)


def _parts(one: Any) -> list[Any]:
    """What an object holds that a call of it may use."""
    if isinstance(one, (Tensor, Node)):
        return _computed_of(one)
    if isinstance(one, (type, ModuleType)):
        return []
    if isinstance(one, dict):
        return list(one.values())
    if isinstance(one, (list, tuple, set)):
        return list(one)
    return _held(one)


def _computed_of(one: Tensor | Node) -> list[Any]:
    """The graph of a tensor, or the next of its nodes, and a parameter where it ends."""
    if isinstance(one, Tensor):
        return [one.grad_fn]
    return [getattr(one, "variable", None), *(node for node, _ in one.next_functions)]


def _held(one: Any) -> list[Any]:
    """The attributes of an object, and what the code of a function names."""
    if isinstance(one, functools.partial):
        return [one.func, one.args, one.keywords]
    if isinstance(one, MethodType):
        return [one.__self__, one.__func__]
    is_known = isinstance(one, (torch.nn.Module, Optimizer))
    if not is_known and str(getattr(one, "__module__", "")).partition(".")[0] == "torch":
        return []  # PyTorch's own functions and tables lead everywhere
    held = list(getattr(one, "__dict__", {}).values())
    if isinstance(one, FunctionType):
        names = one.__globals__.keys() & one.__code__.co_names
        held += [one.__globals__[name] for name in names]
        held += [one.__defaults__, one.__kwdefaults__]
        for cell in one.__closure__ or ():
            with suppress(ValueError):  # what is named later is not there yet
                held.append(cell.cell_contents)
    return held
