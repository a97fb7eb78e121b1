"""The elementwise operations of the IR: what each takes, gives, and means.

Operands of an operation have one shape and, but for `where` and `convert`, one dtype; broadcasting
and promotion are nodes of their own. Half precisions occur as inputs and results of `convert` only:
arithmetic on them is done in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["FLOATING", "HALVES", "OPERATIONS", "STORED", "Operation", "compute_dtype"]

HALVES = frozenset({torch.bfloat16, torch.float16})
FLOATING = frozenset({torch.float32, torch.float64})
_WHOLE = frozenset({torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64})
_BOOL = frozenset({torch.bool})
_NUMBERS = FLOATING | _WHOLE
STORED = _NUMBERS | HALVES | _BOOL
"""The dtypes of tensors that kernels read and write."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One elementwise operation.

    Attributes:
        arity: number of operands.
        dtypes: those that operands may have.
        reference: the same on tensors, for the interpreter.
        is_predicate: whether the result is bool whatever the operands are.
        cost: multiplications that take as long, roughly; what decides on computing twice.
    """

    arity: int
    dtypes: frozenset[torch.dtype]
    reference: Callable[..., Any]
    is_predicate: bool = False
    cost: int = 1


def _truncated_quotient(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.div(a, b, rounding_mode="trunc")


def _normal_density(x: torch.Tensor) -> torch.Tensor:
    return torch.exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))


def _floats(arity: int, reference: Callable[..., Any], cost: int = 1) -> Operation:
    return Operation(arity, FLOATING, reference, cost=cost)


def _numbers(arity: int, reference: Callable[..., Any]) -> Operation:
    return Operation(arity, _NUMBERS, reference)


def _bits(arity: int, reference: Callable[..., Any]) -> Operation:
    return Operation(arity, _WHOLE | _BOOL, reference)


def _compares(reference: Callable[..., Any]) -> Operation:
    return Operation(2, _NUMBERS | _BOOL, reference, is_predicate=True)


OPERATIONS: dict[str, Operation] = {
    "add": _numbers(2, torch.add),
    "sub": _numbers(2, torch.sub),
    "mul": _numbers(2, torch.mul),
    "neg": _numbers(1, torch.neg),
    "abs": _numbers(1, torch.abs),
    "maximum": _numbers(2, torch.maximum),
    "minimum": _numbers(2, torch.minimum),
    "div": _floats(2, torch.div, cost=4),
    "quotient": Operation(2, _WHOLE, _truncated_quotient, cost=20),
    "fmod": _floats(2, torch.fmod, cost=20),
    "sqrt": _floats(1, torch.sqrt, cost=4),
    "floor": _floats(1, torch.floor),
    "ceil": _floats(1, torch.ceil),
    "trunc": _floats(1, torch.trunc),
    "round": _floats(1, torch.round),
    "exp": _floats(1, torch.exp, cost=10),
    "expm1": _floats(1, torch.expm1, cost=14),
    "log": _floats(1, torch.log, cost=14),
    "log1p": _floats(1, torch.log1p, cost=18),
    "tanh": _floats(1, torch.tanh, cost=14),
    "erf": _floats(1, torch.erf, cost=14),
    "normal_probability": _floats(1, torch.special.ndtr, cost=14),
    "normal_density": _floats(1, _normal_density, cost=14),
    "sin": _floats(1, torch.sin, cost=20),
    "cos": _floats(1, torch.cos, cost=20),
    "pow": _floats(2, torch.pow, cost=60),
    "atan2": _floats(2, torch.atan2, cost=60),
    "hypot": _floats(2, torch.hypot, cost=60),
    "tan": _floats(1, torch.tan, cost=60),
    "asin": _floats(1, torch.asin, cost=60),
    "acos": _floats(1, torch.acos, cost=60),
    "atan": _floats(1, torch.atan, cost=60),
    "sinh": _floats(1, torch.sinh, cost=60),
    "cosh": _floats(1, torch.cosh, cost=60),
    "asinh": _floats(1, torch.asinh, cost=60),
    "acosh": _floats(1, torch.acosh, cost=60),
    "atanh": _floats(1, torch.atanh, cost=60),
    "erfc": _floats(1, torch.erfc, cost=60),
    "lgamma": _floats(1, torch.lgamma, cost=60),
    "copysign": _floats(2, torch.copysign),
    "and": _bits(2, torch.bitwise_and),
    "or": _bits(2, torch.bitwise_or),
    "xor": _bits(2, torch.bitwise_xor),
    "not": _bits(1, torch.bitwise_not),
    "eq": _compares(torch.eq),
    "ne": _compares(torch.ne),
    "lt": _compares(torch.lt),
    "le": _compares(torch.le),
    "gt": _compares(torch.gt),
    "ge": _compares(torch.ge),
    "where": Operation(3, STORED, torch.where),
    "convert": Operation(1, STORED, torch.clone),
}


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype that arithmetic on tensors of a dtype is done in."""
    return torch.float32 if dtype in HALVES else dtype
