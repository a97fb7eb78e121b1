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
from torch.optim import Optimizer

__all__ = ["run_once", "unchanged"]


def run_once(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Calls a function, and runs the backward pass of its first result that wants gradients."""
    for tensor in _tensors(function(*args, **kwargs)):
        if tensor.requires_grad:
            tensor.sum().backward(retain_graph=True)
            break


@contextmanager
def unchanged(*roots: Any) -> Iterator[None]:
    """Puts back what calls within the block have changed, also after an error.

    That is, of the modules, optimizers and tensors that can be reached from the roots: gradients,
    buffers and other tensors without gradients, the state of optimizers and what these update; and
    the random numbers of PyTorch and Python. What may be written is copied, so that it takes twice
    the memory within the block.
    """
    reached = list(_reached(roots))
    tensors = [one for one in reached if isinstance(one, Tensor)]
    optimizers = [one for one in reached if isinstance(one, Optimizer)]
    gradients = [(one, one.grad) for one in tensors if one.requires_grad and one.is_leaf]
    written = [one for one in tensors if optimizers or not one.requires_grad]
    written += [gradient for _, gradient in gradients if gradient is not None]
    elements = [(one, one.detach().clone()) for one in written if _is_plain(one)]
    states = [(one, *_contents(one)) for one in optimizers]
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


def _contents(optimizer: Optimizer) -> tuple[dict[Any, Any], list[dict[str, Any]]]:
    """What an optimizer keeps, and its groups; their tensors are reached by themselves."""
    state = {key: dict(value) for key, value in optimizer.state.items()}
    return state, [dict(group) for group in optimizer.param_groups]


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
    stack, seen = list(roots), set[int]()
    while stack:
        one = stack.pop()
        if id(one) not in seen:
            seen.add(id(one))
            if isinstance(one, (Tensor, Optimizer)):
                yield one
            stack += _parts(one)


def _parts(one: Any) -> list[Any]:
    """What an object holds that a call of it may use."""
    if isinstance(one, (Tensor, type, ModuleType)):
        return []
    if isinstance(one, dict):
        return list(one.values())
    if isinstance(one, (list, tuple, set)):
        return list(one)
    if isinstance(one, functools.partial):
        return [one.func, one.args, one.keywords]
    if isinstance(one, MethodType):
        return [one.__self__, one.__func__]
    return _held(one)


def _held(one: Any) -> list[Any]:
    """The attributes of an object, and what the code of a function names."""
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
