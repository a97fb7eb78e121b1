"""Other ways in than `torch.compile`: a decorator, and functions captured without Dynamo."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields
from typing import Any, TypeVar, cast

import torch
from functorch.compile import aot_function, aot_module
from torch.utils._pytree import tree_flatten

from sestina.core.options import options_from_mapping
from sestina.fuser.capture.backend import backend, compilers
from sestina.fuser.options import FuserOptions

__all__ = ["fuse", "memory_efficient_fusion"]

Fused = TypeVar("Fused", bound=Callable[..., Any])


def fuse(function: Fused, *, dynamic: bool | None = None, **options: Any) -> Fused:
    """A function or module, compiled when it is first called.

    Args:
        function: anything that `torch.compile` takes.
        dynamic: as there: True for sizes that change from call to call, None to find out.
        options: fields of `FuserOptions`.

    Raises:
        OptionError: for an option that there is none of.
        NotFusedError: from a call, where `strict` is set and ATen would have to compute something;
            from within TorchDynamo's `BackendCompilerFailed`.
        IndexError: from a call, for an index out of range.

    Example:
        >>> import torch
        >>> @fuse
        ... def bent(x):
        ...     return torch.nn.functional.gelu(x) * 2
        >>> bent(torch.zeros(3))
        tensor([0., 0., 0.])
    """
    chosen = options_from_mapping(FuserOptions, options)
    given = {field.name: getattr(chosen, field.name) for field in fields(chosen)}
    compiled: Any = torch.compile(function, backend=backend, dynamic=dynamic, options=given)
    return cast("Fused", compiled)


def memory_efficient_fusion(function: Callable[..., Any], **options: Any) -> Any:
    """A function of tensors, or a module, captured by AOTAutograd alone.

    What `functorch.compile.memory_efficient_fusion` did: without TorchDynamo nothing is known of
    the function's Python, so that it must do the same whenever it is called, and take and give
    tensors only. It is captured once for each way that they lie: shapes, strides, dtypes, devices,
    which of them want gradients, and which are the same; and for each dtype of autocast.

    Args:
        function: a function, or a `torch.nn.Module`.
        options: fields of `FuserOptions`.

    Raises:
        OptionError: for an option that there is none of.
        NotFusedError: from a call, where `strict` is set and ATen would have to compute something.
        IndexError: from a call, for an index out of range.

    Example:
        >>> import torch
        >>> squares = memory_efficient_fusion(lambda x: (x * x).sum())
        >>> squares(torch.arange(3.0))
        tensor(5.)
    """
    chosen = compilers(options_from_mapping(FuserOptions, options))
    if isinstance(function, torch.nn.Module):
        return _Fused(function, chosen)
    return functools.update_wrapper(_Captured(lambda: aot_function(function, **chosen)), function)


class _Captured:
    """What AOTAutograd made of a function, for each way that its arguments have been like."""

    def __init__(self, capture: Callable[[], Callable[..., Any]]) -> None:
        self._capture = capture
        self._known: dict[Hashable, Callable[..., Any]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        key = (_likeness((args, kwargs)), _modes())
        if key not in self._known:
            self._known[key] = self._capture()
        return self._known[key](*args, **kwargs)


class _Fused(torch.nn.Module):
    """A module in the place of another, which it has as its `orig_module`."""

    def __init__(self, module: torch.nn.Module, chosen: Mapping[str, Any]) -> None:
        super().__init__()
        self.orig_module = module
        self._chosen = chosen
        self._captured: dict[Hashable, _Captured] = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As the module's own."""
        state = [*self.orig_module.parameters(), *self.orig_module.buffers()]
        key = (_likeness(state), tuple(module.training for module in self.modules()))
        if key not in self._captured:
            capture = functools.partial(aot_module, self.orig_module, **self._chosen)
            self._captured[key] = _Captured(capture)
        return self._captured[key](*args, **kwargs)


def _modes() -> Hashable:
    """What holds around a call and is captured with it."""
    autocast = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
    return torch.is_grad_enabled(), autocast, torch.get_default_dtype()


def _likeness(arguments: Any) -> Hashable:
    """What a capture holds for: how tensors lie and which are the same, and all else by value."""
    leaves, spec = tree_flatten(arguments)
    seen: dict[int, int] = {}
    found: list[Hashable] = [str(spec)]
    for index, leaf in enumerate(leaves):
        if not isinstance(leaf, torch.Tensor):
            found.append((type(leaf), leaf if isinstance(leaf, Hashable) else repr(leaf)))
            continue
        lies: tuple[Hashable, ...] = (leaf.shape, leaf.dtype, leaf.device, leaf.layout)
        if leaf.layout is torch.strided:
            memory = seen.setdefault(leaf.untyped_storage()._cdata, index)
            lies += (leaf.stride(), memory, leaf.storage_offset() if memory != index else 0)
        found.append((*lies, leaf.requires_grad, seen.setdefault(id(leaf), index)))
    return tuple(found)
