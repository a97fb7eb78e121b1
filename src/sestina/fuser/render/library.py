"""Functions of the C library: of whole vectors where it has them, else of one lane after another.

Vectors are those of glibc's libmvec (x86-64, 2.35 or later), in parts as large as a register.
A function is used if it errs by at most twice what ATen's does and 2 units of the last place, with
NaN, infinities and signs of zeros as ATen has them. tan in both dtypes and sin and cos in float64
err by up to 3.5, and are libm's lane by lane. The largest errors of the others in units of the last
place of the true value, with AVX-512 and with AVX2, as glibc 2.36 has them (every fifth float32
between 2⁻¹² and 2⁷, a million of other sizes from 1e-30 to 1e4, and some millions in float64):

| function | float32 | float64 | function | float32 | float64 |
|---|---|---|---|---|---|
| sin | 1.9, 1.9 | | cos | 2.0, 2.0 | |
| asin | 3.1, 2.7 | 2.6, 2.6 | acos | 2.1, 2.2 | 1.8, 1.7 |
| atan | 2.3, 2.4 | 2.6, 2.6 | atan2 | 3.4, 3.3 | 2.4, 2.4 |
| sinh | 1.9, 1.9 | 1.9, 1.9 | cosh | 2.4, 2.1 | 2.0, 1.7 |
| asinh | 1.1, 2.2 | 1.4, 2.3 | acosh | 1.2, 2.9 | 1.7, 3.1 |
| atanh | 1.9, 2.1 | 1.4, 2.2 | erfc | 1.6, 1.7 | 1.7, 1.9 |
| pow | 0.7, 0.7 | 1.1, 1.1 | hypot | 1.2, 1.2 | 1.3, 1.3 |
| exp | | 3.2, 3.2 | log | | 1.6, 1.6 |
| expm1 | | 2.1, 3.0 | log1p | | 1.9, 1.6 |
| tanh | | 1.2, 2.2 | erf | | 2.6, 2.5 |
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sestina.fuser.ir.operations import OPERATIONS
from sestina.fuser.render.writer import LANES, Value, Writer, llvm_type

__all__ = ["FEATURE", "by_library", "vector_symbols"]

FEATURE = "libmvec"
"""Stands among a machine's features if functions of vectors can be called there."""

_IN_BOTH = frozenset(
    {
        *("asin", "acos", "atan", "atan2", "sinh", "cosh", "asinh", "acosh", "atanh"),
        *("erfc", "pow", "hypot"),
    }
)
_OF_VECTORS = {
    torch.float32: _IN_BOTH | {"sin", "cos"},
    torch.float64: _IN_BOTH | {"exp", "expm1", "log", "log1p", "tanh", "erf"},
}


def by_library(w: Writer, name: str, *operands: Value) -> Value:
    """A function of the C library.

    Of one number it is that of numbers, whose last bits may be others than a vector's: which of the
    two is called follows from the kernel, never from the data or the number of threads.
    """
    first = operands[0]
    if not first.is_vector:
        made = _called(w, _symbol(name, first.dtype), first.type, [one.name for one in operands])
    elif FEATURE in w.features and name in _OF_VECTORS[first.dtype]:
        made = _by_parts(w, name, operands)
    else:
        made = _by_lane(w, name, operands)
    return Value(made, first.dtype, first.is_vector)


def vector_symbols(features: frozenset[str]) -> frozenset[str]:
    """The functions that must be there for `FEATURE`; none where a CPU's vectors are too short."""
    if "avx2" not in features:
        return frozenset()
    return frozenset(
        _vector_symbol(name, dtype, features)
        for dtype, names in _OF_VECTORS.items()
        for name in names
    )


def _by_parts(w: Writer, name: str, operands: Sequence[Value]) -> str:
    """Vectors cut to the width of a register; the lanes of an end hold zeros, which do no harm."""
    dtype = operands[0].dtype
    width = _width(dtype, w.features)
    type_ = f"<{width} x {llvm_type(dtype, vector=False)}>"
    symbol = _vector_symbol(name, dtype, w.features)
    parts = []
    for begin in range(0, LANES, width):
        taken = [_part(w, operand, begin, width) for operand in operands]
        parts.append(_called(w, symbol, type_, taken))
    while len(parts) > 1:
        parts = [
            _joined(w, a, b, dtype, LANES // len(parts))
            for a, b in zip(parts[::2], parts[1::2], strict=True)
        ]
    return parts[0]


def _part(w: Writer, operand: Value, begin: int, width: int) -> str:
    """Some lanes of a vector side by side."""
    if width == LANES:
        return operand.name
    order = ", ".join(f"i32 {lane}" for lane in range(begin, begin + width))
    return w.raw(f"shufflevector {operand}, {operand.type} poison, <{width} x i32> <{order}>")


def _joined(w: Writer, a: str, b: str, dtype: torch.dtype, width: int) -> str:
    """Two vectors of some width as one."""
    type_ = f"<{width} x {llvm_type(dtype, vector=False)}>"
    order = ", ".join(f"i32 {lane}" for lane in range(2 * width))
    return w.raw(f"shufflevector {type_} {a}, {type_} {b}, <{2 * width} x i32> <{order}>")


def _by_lane(w: Writer, name: str, operands: Sequence[Value]) -> str:
    first = operands[0]
    scalar = llvm_type(first.dtype, vector=False)
    symbol = _symbol(name, first.dtype)
    result = "poison"
    for lane in range(LANES):
        taken = [w.raw(f"extractelement {operand}, i64 {lane}") for operand in operands]
        one = _called(w, symbol, scalar, taken)
        result = w.raw(f"insertelement {first.type} {result}, {scalar} {one}, i64 {lane}")
    return result


def _called(w: Writer, symbol: str, type_: str, arguments: Sequence[str]) -> str:
    """What a function gives whose arguments and result are of one type."""
    parameters = ", ".join(type_ for _ in arguments)
    w.declares.add(f"declare {type_} @{symbol}({parameters}) nounwind memory(none)")
    given = ", ".join(f"{type_} {argument}" for argument in arguments)
    return w.raw(f"call {type_} @{symbol}({given})")


def _symbol(name: str, dtype: torch.dtype) -> str:
    return f"{name}f" if dtype is torch.float32 else name


def _vector_symbol(name: str, dtype: torch.dtype, features: frozenset[str]) -> str:
    """The name by the vector ABI of x86-64: registers, no mask, lanes, and a v for each operand."""
    registers = "e" if "avx512f" in features else "d"
    operands = "v" * OPERATIONS[name].arity
    return f"_ZGV{registers}N{_width(dtype, features)}{operands}_{_symbol(name, dtype)}"


def _width(dtype: torch.dtype, features: frozenset[str]) -> int:
    """Lanes of a register."""
    size_bytes = 64 if "avx512f" in features else 32
    return size_bytes // dtype.itemsize
