"""The table of lowerings, which the files beside this one fill.

A lowering is called with the builder and the call's arguments, tensors as nodes, and gives a node,
or a tuple of them as the operation does. An elementwise one is called with expressions that are of
one shape and one dtype already, and its result is converted to the dtype that ATen gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from torch._ops import OpOverload

__all__ = ["ELEMENTWISE", "LOWERINGS", "Elementwise", "elementwise", "lowering"]


@dataclass(frozen=True, slots=True)
class Elementwise:
    """The formula of an elementwise operation.

    Attributes:
        formula: on expressions and numbers.
        is_predicate: whether the result is bool, so that operands are promoted among themselves
            and not to the result's dtype.
        masks: positions of arguments that stay bool.
        rounds_within: whether ATen rounds half precisions on the way to the result in a manner
            that shows: these it computes itself.
        puts_numbers: whether numbers become elements, and so have to fit their dtype.
    """

    formula: Callable[..., Any]
    is_predicate: bool = False
    masks: tuple[int, ...] = ()
    rounds_within: bool = False
    puts_numbers: bool = False


Function = TypeVar("Function", bound=Callable[..., Any])

LOWERINGS: dict[OpOverload[Any, Any], Callable[..., Any]] = {}
ELEMENTWISE: dict[OpOverload[Any, Any], Elementwise] = {}


def lowering(*targets: OpOverload[Any, Any]) -> Callable[[Function], Function]:
    """Enters a function as the lowering of these operations."""

    def enter(function: Function) -> Function:
        LOWERINGS.update(dict.fromkeys(targets, function))
        return function

    return enter


def elementwise(
    *targets: OpOverload[Any, Any],
    is_predicate: bool = False,
    masks: tuple[int, ...] = (),
    rounds_within: bool = False,
    puts_numbers: bool = False,
) -> Callable[[Function], Function]:
    """Enters a function as the formula of these operations."""

    def enter(function: Function) -> Function:
        entry = Elementwise(function, is_predicate, masks, rounds_within, puts_numbers)
        ELEMENTWISE.update(dict.fromkeys(targets, entry))
        return function

    return enter
