"""Whether a call would be captured anew, and why: TorchDynamo's guards, asked without a call.

What is asked is what TorchDynamo asks when the function is called: of each capture that it keeps
for the function's code, whether the guards hold for these arguments and for what else they look at:
globals, modules, whether gradients are on. Where a capture ends within the function, what comes
after it is a function of its own, with guards that can't be asked before the first part has run.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from types import CodeType, FunctionType, MethodType
from typing import Any

import torch
from torch._C._dynamo.eval_frame import _debug_get_cache_entry_list

from sestina.core.errors import InvalidValueError
from sestina.fuser.capture.backend import backend

__all__ = ["recompile_reasons"]

# Guards on which function or module it is: a capture of another one says nothing of this one.
_OF_ANOTHER = re.compile(r"___check_(obj_id|type_id)\(L\['(fn|self)'\]")

_NOT_CAPTURED = "nothing is captured: it was not called yet, or has no operation on tensors"


def recompile_reasons(compiled: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[str, ...]:
    """Why a call with these arguments would be captured and compiled; empty if it would not.

    Nothing runs and nothing is compiled. One reason for each capture that is there: the first guard
    that fails. What a guard reads besides the arguments, as the mode of gradients, is as it is now.
    Of a function that is captured in parts, where something could not be, only the first is asked.

    Args:
        compiled: what `torch.compile(..., backend="sestina")` or `fuse` gave.
        args: arguments of the call.
        kwargs: its other arguments.

    Raises:
        InvalidValueError: for a function or module that is not compiled.

    Example:
        >>> import torch
        >>> from sestina.fuser import fuse
        >>> double = fuse(lambda x: x * 2)
        >>> recompile_reasons(double, torch.zeros(3))
        ('nothing is captured: it was not called yet, or has no operation on tensors',)
        >>> double(torch.zeros(3))
        tensor([0., 0., 0.])
        >>> recompile_reasons(double, torch.zeros(3))
        ()
        >>> recompile_reasons(double, torch.zeros(3, dtype=torch.float64))[0][:38]
        "tensor 'L['x']' dtype mismatch. expect"
    """
    found: list[str] = []
    has_captures = False
    for function, bound in _frames(compiled, args, kwargs):
        entries = [e for e in _debug_get_cache_entry_list(function.__code__) if _is_ours(e)]
        failures = [_failure(entry, bound) for entry in entries]
        own = [reason for reason in failures if not _OF_ANOTHER.search(reason)]
        has_captures |= bool(own)
        if own and "" not in own:
            found += own
    return tuple(dict.fromkeys(found)) if has_captures else (_NOT_CAPTURED,)


def _frames(
    compiled: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[tuple[FunctionType, dict[str, Any]]]:
    """The functions that a call enters, by decorators, with what their frames would hold."""
    function = getattr(compiled, "forward", compiled)
    function = getattr(function, "_torchdynamo_orig_callable", None)
    if function is None:
        raise InvalidValueError(
            "compiled",
            compiled,
            expected="what torch.compile or fuse gives",
            remedy='compile it first: torch.compile(function, backend="sestina")',
        )
    if isinstance(function, MethodType):
        args, function = (function.__self__, *args), function.__func__
    while isinstance(function, FunctionType):
        yield function, _locals_of(function, args, kwargs)
        function = getattr(function, "__wrapped__", None)


def _locals_of(
    function: FunctionType, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """What a function's frame holds when it begins."""
    bound = inspect.signature(function, follow_wrapped=False).bind(*args, **kwargs)
    bound.apply_defaults()
    return {**bound.arguments, **_closed_over(function.__code__, function.__closure__ or ())}


def _closed_over(code: CodeType, cells: tuple[Any, ...]) -> dict[str, Any]:
    found = {}
    for name, cell in zip(code.co_freevars, cells, strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not bound yet
            continue
    return found


def _is_ours(entry: Any) -> bool:
    compiler = getattr(entry.backend, "compiler_fn", entry.backend)
    return compiler is backend


def _failure(entry: Any, bound: dict[str, Any]) -> str:
    """The guard of a capture that fails first; empty if all hold."""
    owner = bound.get("self")
    around: AbstractContextManager[Any] = nullcontext()
    if isinstance(owner, torch.optim.Optimizer):
        # PyTorch turns gradients off around the step itself.
        around = torch.set_grad_enabled(bool(owner.defaults.get("differentiable")))
    with around:
        answer = entry.guard_manager.check_verbose(bound)
    if answer.result:
        return ""
    parts = [str(part) for part in answer.verbose_code_parts]
    # What follows the number sign is where in the source the guard comes from.
    return " ".join(part.split("  # ")[0].strip() for part in parts) or "a guard fails"
