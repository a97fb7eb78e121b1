"""Philox4x32 in vectors of 16 counters; see `sestina.fuser.random` for what is made of it."""

from __future__ import annotations

import math

import torch

from sestina.fuser.random import MULTIPLIERS, ROUNDS, WEYL
from sestina.fuser.render.writer import LANES, Value, Writer

__all__ = ["at_least", "block_counters", "to_uniform", "words"]

_WORDS = f"<{LANES} x i32>"
_HALVES = f"<{LANES // 2} x i64>"
_MASK = f"splat (i64 {0xFFFFFFFF})"
_EVEN = ", ".join(f"i32 {2 * (k // 2) + (k % 2) * LANES}" for k in range(LANES))
_ODD = ", ".join(f"i32 {2 * (k // 2) + 1 + (k % 2) * LANES}" for k in range(LANES))


def words(w: Writer, low: str, high: str, seed: str, stream: int) -> list[str]:
    """The four words, vectors of i32, that 16 counters give.

    Args:
        w: where it is written.
        low: vector of i32, the lower word of the counters.
        high: vector of i32, the upper word.
        seed: i64.
        stream: the third word.
    """
    keys = [w.raw(f"trunc i64 {seed} to i32"), ""]
    upper = w.raw(f"lshr i64 {seed}, 32")
    keys[1] = w.raw(f"trunc i64 {upper} to i32")
    x = [low, high, f"splat (i32 {stream})", "zeroinitializer"]
    for _ in range(ROUNDS):
        first, second = _product(w, x[0], MULTIPLIERS[0]), _product(w, x[2], MULTIPLIERS[1])
        spread = [w.splat(Value(key, torch.int32, is_vector=False)).name for key in keys]
        x = [
            _xor(w, second[0], x[1], spread[0]),
            second[1],
            _xor(w, first[0], x[3], spread[1]),
            first[1],
        ]
        keys = [w.raw(f"add i32 {key}, {_signed(by)}") for key, by in zip(keys, WEYL, strict=True)]
    return x


def block_counters(w: Writer, element: str) -> tuple[str, str]:
    """The words of the 16 counters of the block that starts at an element, a multiple of 64."""
    first = w.raw(f"lshr i64 {element}, 2")
    low = w.raw(f"trunc i64 {first} to i32")
    upper = w.raw(f"lshr i64 {first}, 32")
    high = w.raw(f"trunc i64 {upper} to i32")
    lanes = ", ".join(f"i32 {k}" for k in range(LANES))
    spread = w.splat(Value(low, torch.int32, is_vector=False)).name
    # A block's 16 counters start at a multiple of 16: none of them carries into the upper word.
    counters = w.raw(f"or {_WORDS} {spread}, <{lanes}>")
    return counters, w.splat(Value(high, torch.int32, is_vector=False)).name


def to_uniform(w: Writer, word: str) -> Value:
    """A number in [0, 1) from the upper 24 bits of each word."""
    upper = w.raw(f"lshr {_WORDS} {word}, splat (i32 8)")
    value = w.emit(f"uitofp {_WORDS} {upper} to <{LANES} x float>", torch.float32, vector=True)
    scale = w.constant(2.0**-24, torch.float32, vector=True)
    return w.binary("fmul", value, scale)


def at_least(w: Writer, word: str, probability: float) -> Value:
    """Whether the number in [0, 1) of each word is no less than a probability.

    As `to_uniform` and a comparison would tell, in one instruction: numbers are multiples of 2⁻²⁴.
    """
    threshold = min(max(math.ceil(probability * 2**24), 0), 2**24)
    if threshold in {0, 2**24}:
        return w.constant(threshold == 0, torch.bool, vector=True)
    bound = f"splat (i32 {_signed(threshold << 8)})"
    return w.emit(f"icmp uge {_WORDS} {word}, {bound}", torch.bool, vector=True)


def _product(w: Writer, words_: str, multiplier: int) -> tuple[str, str]:
    """Upper and lower words of products with a number: even and odd lanes apart, as CPUs do it."""
    pairs = w.raw(f"bitcast {_WORDS} {words_} to {_HALVES}")
    factor = f"splat (i64 {multiplier})"
    even = w.raw(f"and {_HALVES} {pairs}, {_MASK}")
    even = w.raw(f"mul {_HALVES} {even}, {factor}")
    odd = w.raw(f"lshr {_HALVES} {pairs}, splat (i64 32)")
    odd = w.raw(f"mul {_HALVES} {odd}, {factor}")
    even, odd = (w.raw(f"bitcast {_HALVES} {half} to {_WORDS}") for half in (even, odd))
    both = f"{_WORDS} {even}, {_WORDS} {odd}"
    low = w.raw(f"shufflevector {both}, {_WORDS} <{_EVEN}>")
    high = w.raw(f"shufflevector {both}, {_WORDS} <{_ODD}>")
    return high, low


def _xor(w: Writer, a: str, b: str, c: str) -> str:
    return w.raw(f"xor {_WORDS} {w.raw(f'xor {_WORDS} {a}, {b}')}, {c}")


def _signed(word: int) -> int:
    return word - (1 << 32) if word >> 31 else word
