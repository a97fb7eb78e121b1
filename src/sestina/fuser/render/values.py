"""The elementwise operations as instructions, and values between registers and memory."""

from __future__ import annotations

import torch

from sestina.fuser.ir.operations import FLOATING
from sestina.fuser.render.library import by_library
from sestina.fuser.render.mathematics import function
from sestina.fuser.render.writer import LANES, Value, Writer, llvm_type

__all__ = ["combine", "convert", "identity", "item_type", "operate", "total_of"]

_FLOAT = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "fmod": "frem"}
_INTEGER = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor"}
_INTRINSICS = {"round": "roundeven", "abs": "fabs"} | {
    name: name for name in ("floor", "ceil", "trunc", "maximum", "minimum", "copysign", "sqrt")
}
_COMPARE = {"eq", "ne", "lt", "le", "gt", "ge"}
_FUNCTIONS = {
    *("exp", "expm1", "log", "log1p", "tanh", "erf", "sin", "cos"),
    *("normal_probability", "normal_density"),
}
_COMBINED = {
    "sum": "add",
    "prod": "mul",
    "max": "maximum",
    "min": "minimum",
    "any": "or",
    "all": "and",
}
_UNSIGNED = {torch.uint8, torch.bool}


def operate(w: Writer, name: str, operands: list[Value], dtype: torch.dtype) -> Value:
    """One elementwise operation; vectors where any operand is one."""
    if any(operand.is_vector for operand in operands):
        operands = [w.splat(operand) for operand in operands]
    if name == "convert":
        return convert(w, operands[0], dtype)
    if name == "where":
        return w.select(*operands)
    if name in _COMPARE:
        return w.compare(name, *operands)
    on_numbers = _on_floats if operands[0].dtype in FLOATING else _on_integers
    return on_numbers(w, name, operands)


def _on_floats(w: Writer, name: str, operands: list[Value]) -> Value:
    x = operands[0]
    if name in _FLOAT:
        return w.binary(_FLOAT[name], *operands)
    if name in _FUNCTIONS:
        return function(w, name, x)
    if name in _INTRINSICS:
        return w.call(_INTRINSICS[name], *operands)
    if name == "neg":
        return w.emit(f"fneg {x}", x.dtype, vector=x.is_vector)
    return by_library(w, name, *operands)


def _on_integers(w: Writer, name: str, operands: list[Value]) -> Value:
    x = operands[0]
    is_signed = x.dtype not in _UNSIGNED
    if name in _INTEGER:
        return w.binary(_INTEGER[name], *operands)
    if name in {"maximum", "minimum"}:
        predicate = "gt" if name == "maximum" else "lt"
        return w.select(w.compare(predicate, *operands), *operands)
    if name == "quotient":
        return w.binary("sdiv" if is_signed else "udiv", *operands)
    if name == "not":
        ones = 1 if x.dtype is torch.bool else -1
        return w.binary("xor", x, w.constant(ones, x.dtype, vector=x.is_vector))
    zero = w.constant(0, x.dtype, vector=x.is_vector)
    negative = w.binary("sub", zero, x)
    if name == "abs":
        return w.select(w.compare("lt", x, zero), negative, x) if is_signed else x
    assert name == "neg", name
    return negative


def convert(w: Writer, value: Value, dtype: torch.dtype) -> Value:
    """A value in another dtype, as ATen converts it."""
    if value.dtype is torch.bfloat16 and dtype is not torch.bfloat16:
        value = _from_bfloat(w, value)
    source = value.dtype
    if source is dtype:
        return value
    if dtype is torch.bool:
        return w.compare("ne", value, w.constant(0, source, vector=value.is_vector))
    if dtype is torch.bfloat16:
        return _to_bfloat(w, convert(w, value, torch.float32))
    if source.is_floating_point and not dtype.is_floating_point:
        return _to_integer(w, value, dtype)
    return _by_instruction(w, value, dtype)


def _by_instruction(w: Writer, value: Value, dtype: torch.dtype) -> Value:
    if value.dtype is torch.float64 and dtype is torch.float16:
        # By way of float32, as ATen has it; for a single step there is no function in the process.
        value = convert(w, value, torch.float32)
    if value.dtype is torch.bool and dtype in FLOATING:
        # A choice of two constants is one instruction, where counting 0 and 1 takes three.
        one, zero = (w.constant(bit, dtype, vector=value.is_vector) for bit in (1.0, 0.0))
        return w.select(value, one, zero)
    instruction = _instruction(value.dtype, dtype)
    if instruction is None:
        return Value(value.name, dtype, value.is_vector)
    target = llvm_type(dtype, vector=value.is_vector)
    return w.emit(f"{instruction} {value} to {target}", dtype, vector=value.is_vector)


def _instruction(source: torch.dtype, dtype: torch.dtype) -> str | None:
    """What converts one dtype to another; None where the bits are the same."""
    if dtype.is_floating_point:
        if source.is_floating_point:
            return "fpext" if dtype.itemsize > source.itemsize else "fptrunc"
        return "uitofp" if source in _UNSIGNED else "sitofp"
    if source is torch.bool or dtype.itemsize > source.itemsize:
        return "zext" if source in _UNSIGNED else "sext"
    return "trunc" if dtype.itemsize < source.itemsize else None


def _to_integer(w: Writer, value: Value, dtype: torch.dtype) -> Value:
    # Through int64, so that what doesn't fit wraps as it does in ATen.
    wide = llvm_type(torch.int64, vector=value.is_vector)
    name = f"@llvm.fptosi.sat.{_suffix(wide)}.{_suffix(value.type)}"
    w.declares.add(f"declare {wide} {name}({value.type})")
    whole = w.emit(f"call {wide} {name}({value})", torch.int64, vector=value.is_vector)
    return convert(w, whole, dtype)


def _suffix(type_: str) -> str:
    short = {"float": "f32", "double": "f64", "half": "f16", "i64": "i64"}
    scalar = type_.removeprefix(f"<{LANES} x ").removesuffix(">")
    return short[scalar] if scalar == type_ else f"v{LANES}{short[scalar]}"


def _from_bfloat(w: Writer, value: Value) -> Value:
    wide = w.emit(
        f"zext {value} to {llvm_type(torch.int32, vector=value.is_vector)}",
        torch.int32,
        vector=value.is_vector,
    )
    bits = w.binary("shl", wide, w.constant(16, torch.int32, vector=value.is_vector))
    return w.bitcast(bits, torch.float32)


def _to_bfloat(w: Writer, value: Value) -> Value:
    """Rounded to nearest, ties to even; every NaN is one quiet NaN."""

    def bits_of(number: int) -> Value:
        return w.constant(number, torch.int32, vector=value.is_vector)

    bits = w.bitcast(value, torch.int32)
    odd = w.binary("and", w.binary("lshr", bits, bits_of(16)), bits_of(1))
    rounded = w.binary("add", w.binary("add", bits, bits_of(0x7FFF)), odd)
    is_nan = w.emit(f"fcmp uno {value}, {value.name}", torch.bool, vector=value.is_vector)
    rounded = w.select(is_nan, bits_of(0x7FC00000), rounded)
    upper = w.binary("lshr", rounded, bits_of(16))
    target = llvm_type(torch.bfloat16, vector=value.is_vector)
    return w.emit(f"trunc {upper} to {target}", torch.bfloat16, vector=value.is_vector)


def item_type(dtype: torch.dtype) -> str:
    """The LLVM type of an element in memory."""
    return "i8" if dtype is torch.bool else llvm_type(dtype, vector=False)


def identity(how: str, dtype: torch.dtype) -> float | int | bool:
    """What combining with changes nothing."""
    if how in {"sum", "any"}:
        return 0
    if how in {"prod", "all"}:
        return 1
    if dtype.is_floating_point:
        return float("-inf") if how == "max" else float("inf")
    limits = torch.iinfo(dtype)
    return limits.min if how == "max" else limits.max


def combine(w: Writer, how: str, a: Value, b: Value) -> Value:
    """Two partial results as one."""
    if how in {"max", "min"} and a.dtype in FLOATING:
        # NaN stays, and of a loop only a comparison and a choice wait for what came before, where
        # IEEE's maximum, which also tells the signs of zeros apart, takes five instructions.
        larger = w.select(w.compare("gt" if how == "max" else "lt", b, a), b, a)
        return w.select(w.compare("ne", b, b), b, larger)
    return operate(w, _COMBINED[how], [a, b], a.dtype)


def total_of(w: Writer, how: str, vector: Value) -> Value:
    """The lanes of a vector combined, by halves: always in the same order."""
    width = LANES
    scalar = llvm_type(vector.dtype, vector=False)
    name = vector.name
    while width > 1:
        half = width // 2
        low, high = (", ".join(f"i32 {k + at}" for k in range(half)) for at in (0, half))
        source = f"<{width} x {scalar}> {name}, <{width} x {scalar}> poison"
        parts = [
            w.raw(f"shufflevector {source}, <{half} x i32> <{order}>") for order in (low, high)
        ]
        if half == 1:
            a, b = (w.raw(f"extractelement <1 x {scalar}> {part}, i64 0") for part in parts)
            left, right = (Value(one, vector.dtype, is_vector=False) for one in (a, b))
            return combine(w, how, left, right)
        name = _combined_parts(w, how, parts, f"<{half} x {scalar}>", vector.dtype)
        width = half
    return Value(name, vector.dtype, is_vector=False)


def _combined_parts(w: Writer, how: str, parts: list[str], type_: str, dtype: torch.dtype) -> str:
    a, b = parts
    if how not in {"max", "min"}:
        table = _FLOAT if dtype.is_floating_point else _INTEGER
        return w.raw(f"{table[_COMBINED[how]]} {type_} {a}, {b}")
    if dtype.is_floating_point:
        count = type_[1:].split(" ", maxsplit=1)[0]
        suffix = f"v{count}{'f32' if dtype is torch.float32 else 'f64'}"
        function_ = f"@llvm.{how}imum.{suffix}"
        w.declares.add(f"declare {type_} {function_}({type_}, {type_})")
        return w.raw(f"call {type_} {function_}({type_} {a}, {type_} {b})")
    sign = "u" if dtype in _UNSIGNED else "s"
    mask = w.raw(f"icmp {sign}{'gt' if how == 'max' else 'lt'} {type_} {a}, {b}")
    count = type_[1:].split(" ", maxsplit=1)[0]
    return w.raw(f"select <{count} x i1> {mask}, {type_} {a}, {type_} {b}")
