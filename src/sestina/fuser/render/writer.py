"""LLVM IR as text: typed values with names, and functions that grow a line at a time."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

__all__ = ["LANES", "Value", "Writer", "llvm_type", "number"]

LANES = 16
_SCALARS = {
    torch.float32: "float",
    torch.float64: "double",
    torch.float16: "half",
    torch.bfloat16: "i16",
    torch.int64: "i64",
    torch.int32: "i32",
    torch.int16: "i16",
    torch.int8: "i8",
    torch.uint8: "i8",
    torch.bool: "i1",
}
_SUFFIXES = {"float": "f32", "double": "f64", "half": "f16"}


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the generated code: its name or literal, its dtype, and whether it is a vector."""

    name: str
    dtype: torch.dtype
    is_vector: bool

    @property
    def type(self) -> str:
        """The LLVM type."""
        return llvm_type(self.dtype, vector=self.is_vector)

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


def llvm_type(dtype: torch.dtype, *, vector: bool) -> str:
    """The LLVM type of a dtype in registers."""
    scalar = _SCALARS[dtype]
    return f"<{LANES} x {scalar}>" if vector else scalar


def number(value: float, dtype: torch.dtype) -> str:
    """A literal; floats by their bits, so that none is rounded on the way."""
    if not dtype.is_floating_point:
        return str(int(value))
    if dtype is torch.float16:
        return f"0xH{struct.unpack('H', _packed('e', value))[0]:04X}"
    if dtype is torch.bfloat16:
        # Held as its 16 bits: the upper ones of the float, rounded to nearest, ties to even.
        bits: int = struct.unpack("I", _packed("f", value))[0]
        return str(bits + 0x7FFF + (bits >> 16 & 1) >> 16) if not math.isnan(value) else str(0x7FC0)
    if dtype is torch.float32:
        (value,) = struct.unpack("f", _packed("f", value))
    return f"0x{struct.unpack('Q', struct.pack('d', value))[0]:016X}"


def _packed(kind: str, value: float) -> bytes:
    """The bytes of a float of some size; what is too large is infinite."""
    try:
        return struct.pack(kind, value)
    except OverflowError:
        return struct.pack(kind, math.copysign(math.inf, value))


class Writer:
    """Writes one function."""

    def __init__(self, features: frozenset[str]) -> None:
        self.features = features
        self.declares: set[str] = set()
        self.entry: list[str] = []
        self.lines: list[str] = []
        self._count = 0

    def name(self, hint: str = "v") -> str:
        """A new name for a value."""
        self._count += 1
        return f"%{hint}{self._count}"

    def line(self, text: str) -> None:
        """One instruction that gives nothing."""
        self.lines.append(f"  {text}")

    def comment(self, text: str) -> None:
        """A line for readers."""
        self.lines.append(f"  ; {text}")

    def emit(self, text: str, dtype: torch.dtype, *, vector: bool, hint: str = "v") -> Value:
        """One instruction and the value that it gives."""
        name = self.name(hint)
        self.lines.append(f"  {name} = {text}")
        return Value(name, dtype, vector)

    def raw(self, text: str, hint: str = "v") -> str:
        """One instruction whose value has a type of its own: pointers, words of bits."""
        name = self.name(hint)
        self.lines.append(f"  {name} = {text}")
        return name

    def alloca(self, type_: str, count: str = "", hint: str = "slot") -> str:
        """Memory of the function's frame, made when it is entered."""
        name = self.name(hint)
        size = f", i64 {count}" if count else ""
        self.entry.append(f"  {name} = alloca {type_}{size}, align 64")
        return name

    def constant(self, value: float, dtype: torch.dtype, *, vector: bool) -> Value:
        """A literal, in every lane of a vector."""
        literal = number(value, dtype)
        if not vector:
            return Value(literal, dtype, is_vector=False)
        if literal in {"0", "0xH0000", "0x0000000000000000"}:
            return Value("zeroinitializer", dtype, is_vector=True)
        return Value(f"splat ({_SCALARS[dtype]} {literal})", dtype, is_vector=True)

    def splat(self, value: Value) -> Value:
        """A scalar in every lane."""
        if value.is_vector:
            return value
        if not value.name.startswith("%"):
            return Value(f"splat ({value})", value.dtype, is_vector=True)
        vector = llvm_type(value.dtype, vector=True)
        first = self.raw(f"insertelement {vector} poison, {value}, i64 0")
        zeros = f"<{LANES} x i32> zeroinitializer"
        text = f"shufflevector {vector} {first}, {vector} poison, {zeros}"
        return self.emit(text, value.dtype, vector=True)

    def binary(self, instruction: str, a: Value, b: Value) -> Value:
        """An instruction on two values of one type."""
        return self.emit(f"{instruction} {a}, {b.name}", a.dtype, vector=a.is_vector)

    def call(self, intrinsic: str, *operands: Value, dtype: torch.dtype | None = None) -> Value:
        """An intrinsic that is overloaded on the type of its operands."""
        first = operands[0]
        scalar = _SCALARS[first.dtype]
        suffix = _SUFFIXES.get(scalar, scalar)
        suffix = f"v{LANES}{suffix}" if first.is_vector else suffix
        function = f"@llvm.{intrinsic}.{suffix}"
        types = ", ".join(operand.type for operand in operands)
        self.declares.add(f"declare {first.type} {function}({types})")
        arguments = ", ".join(map(str, operands))
        text = f"call {first.type} {function}({arguments})"
        return self.emit(text, dtype or first.dtype, vector=first.is_vector)

    def fma(self, a: Value, b: Value, c: Value | float) -> Value:
        """a·b + c, rounded once."""
        if not isinstance(c, Value):
            c = self.constant(c, a.dtype, vector=a.is_vector)
        return self.call("fma", a, b, c)

    def compare(self, predicate: str, a: Value, b: Value) -> Value:
        """Fcmp or icmp: lt, le, gt, ge, eq and ne as Python has them, NaN unequal to all."""
        if a.dtype.is_floating_point:
            predicate = "une" if predicate == "ne" else f"o{predicate}"
            text = f"fcmp {predicate} {a}, {b.name}"
        else:
            if predicate not in {"eq", "ne"}:
                is_unsigned = a.dtype in {torch.bool, torch.uint8}
                predicate = f"{'u' if is_unsigned else 's'}{predicate}"
            text = f"icmp {predicate} {a}, {b.name}"
        return self.emit(text, torch.bool, vector=a.is_vector)

    def select(self, condition: Value, a: Value, b: Value) -> Value:
        """A where the condition holds, else b."""
        return self.emit(f"select {condition}, {a}, {b}", a.dtype, vector=a.is_vector)

    def bitcast(self, value: Value, dtype: torch.dtype) -> Value:
        """The same bits as another dtype of that size."""
        target = llvm_type(dtype, vector=value.is_vector)
        if target == value.type:
            return Value(value.name, dtype, value.is_vector)
        return self.emit(f"bitcast {value} to {target}", dtype, vector=value.is_vector)

    @contextmanager
    def loop(self, begin: str, end: str, step: int = 1, hint: str = "i") -> Iterator[str]:
        """A loop over begin, begin + step, … below end; gives the name of the counter."""
        slot = self.alloca("i64", hint=hint)
        head, body, tail = (self.name(f"{hint}.{part}")[1:] for part in ("head", "body", "tail"))
        self.line(f"store i64 {begin}, ptr {slot}")
        self.line(f"br label %{head}")
        self.lines.append(f"{head}:")
        here = self.raw(f"load i64, ptr {slot}", hint)
        going = self.raw(f"icmp slt i64 {here}, {end}")
        self.line(f"br i1 {going}, label %{body}, label %{tail}")
        self.lines.append(f"{body}:")
        yield here
        following = self.raw(f"add nsw i64 {here}, {step}")
        self.line(f"store i64 {following}, ptr {slot}")
        self.line(f"br label %{head}")
        self.lines.append(f"{tail}:")

    def function(self, signature: str) -> str:
        """The whole function."""
        body = [*self.entry, *self.lines, "  ret void"]
        return "\n".join([f"define void {signature} {{", "entry:", *body, "}"])

    def integer(self, text: str) -> str:
        """One instruction on i64."""
        return self.raw(text)

    def times(self, a: str, b: str) -> str:
        """a·b of i64, without the instruction where a literal makes it idle."""
        if "0" in {a, b}:
            return "0"
        if a == "1":
            return b
        return a if b == "1" else self.raw(f"mul nsw i64 {a}, {b}")

    def plus(self, a: str, b: str) -> str:
        """A + b of i64, likewise."""
        if a == "0":
            return b
        return a if b == "0" else self.raw(f"add nsw i64 {a}, {b}")
