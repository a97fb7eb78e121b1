"""Other ways in than `torch.compile`: a decorator, and functions captured without Dynamo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar, cast

import torch
from functorch.compile import aot_function, aot_module

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

    What `functorch.compile.memory_efficient_fusion` did: without TorchDynamo there are no guards,
    so that the function must do the same whenever it is called, and take and give tensors only.

    Args:
        function: a function, or a `torch.nn.Module`.
        options: fields of `FuserOptions`.

    Example:
        >>> import torch
        >>> squares = memory_efficient_fusion(lambda x: (x * x).sum())
        >>> squares(torch.arange(3.0))
        tensor(5.)
    """
    chosen = compilers(options_from_mapping(FuserOptions, options))
    if isinstance(function, torch.nn.Module):
        return aot_module(function, **chosen)
    return aot_function(function, **chosen)
