"""Calls of what is no operation of ATen: higher-order operators, which take graphs or operations.

Such are `torch.cond` and `flex_attention`, and what AOTAutograd makes of an operation that writes
into its arguments. It has made them functional: they give new tensors, and write into none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import fx
from torch._higher_order_ops.auto_functionalize import auto_functionalized, auto_functionalized_v2
from torch._ops import HigherOrderOperator, OperatorBase
from torch.utils._pytree import tree_leaves

__all__ = ["Foreign", "foreign_of"]


@dataclass(frozen=True, slots=True)
class Foreign:
    """What is called, and how it is told.

    Attributes:
        function: what runs.
        name: it and the operation that it runs, if it is given one.
        reason: why there is no kernel for it.
        is_strided: whether where its operands begin in their memory is part of what it is asked.
    """

    # What it draws random numbers of isn't known, nor what else it does: so all keep their order.
    tags: ClassVar[tuple[torch.Tag, ...]] = (torch.Tag.nondeterministic_seeded,)

    function: Callable[..., Any]
    name: str
    reason: str
    is_strided: bool

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As the function's own; several results, also of lists within lists, are one list."""
        made = self.function(*args, **kwargs)
        return made if isinstance(made, torch.Tensor) else tree_leaves(made)

    def __str__(self) -> str:
        return self.name


def foreign_of(node: fx.Node, args: tuple[Any, ...]) -> Foreign:
    """What a call of a higher-order operator is to the compiler.

    Args:
        node: the call.
        args: its arguments, the graphs among them being modules.
    """
    target = node.target
    assert isinstance(target, HigherOrderOperator), target
    operations = [str(argument) for argument in args if isinstance(argument, OperatorBase)]
    reason = "there is no lowering of it"
    if target in {auto_functionalized, auto_functionalized_v2}:
        reason = "it writes into its arguments"
    elif any(isinstance(argument, torch.nn.Module) for argument in args):
        reason = "it runs graphs of its own"
    # Views that are written into are made again of a copy of what they are views of.
    is_strided = target is auto_functionalized_v2
    return Foreign(target, " of ".join([str(target), *operations]), reason, is_strided)
