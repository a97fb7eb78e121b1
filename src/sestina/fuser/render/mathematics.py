"""Elementary functions in float32, in vectors or on one number; the C library has all others.

Polynomials are minimax fits of recipes/fuser_polynomials.py; errors are in units of the last place
of the true value, the largest seen over all of float32's magnitudes.

| function | how | error, ulp |
|---|---|---|
| exp | 2ⁿ·p(r), r within ±ln 2 / 2 | 1.0 |
| log | n·ln 2 + log1p(f), f in [√½ − 1, √2 − 1] | 0.9 |
| log1p | log(1 + x) corrected by what the sum lost | 2.2 |
| expm1 | eˣ − 1 corrected by what eˣ lost | 2.5 |
| tanh | odd polynomial below 0.625, from eˣ above | 1.3 |
| erf | odd polynomial below 1, 1 − polynomial above | 2.0 |
| erf with AVX-512 | x·p(t), one of 16 polynomials by a permutation of registers | 2.3 |

Of the normal distribution's probability Φ and density φ the error is absolute, as that of
½(1 + erf) is below 0: 2e-7. With AVX-512 they are ½ + x·p(t) and p(t), likewise of 16 polynomials,
and the same t serves both.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import torch

from sestina.fuser.render.library import by_library
from sestina.fuser.render.writer import Value, Writer, llvm_type, number

__all__ = ["FUNCTIONS", "function"]

_EXP = (
    *(0.5000000078427058, 0.16666666836438976, 0.04166626880069732, 0.00833326965700837),
    *(0.001394613203089409, 0.00019915606576818146),
)
_EXP_IS_0 = -104.0
_LOG = (
    *(0.33333312598819553, -0.25000009615065766, 0.20002118961716936, -0.1666799517683609),
    *(0.14219546456676346, -0.12405597759033411, 0.11888211037865519, -0.11675615765272292),
    0.06746492019043572,
)
_TANH = (
    *(-3.8919471e-09, -0.33333260697035605, 0.13331129985236417, -0.05372121150917658),
    *(0.020591355769897957, -0.005660331013018848),
)
_ERF = (
    *(0.1283791671, -0.37612626, 0.112835854, -0.02685382, 0.005188342, -0.00080103095),
    7.854215e-05,
)
# From the end on, what is missing to 1 is less than half of the last place.
_ERFC_CENTRE, _ERF_END = 2.475, 3.92
_ERFC = (
    *(0.00046491894340008595, -0.002466618545561465, 0.006106533178395114),
    *(-0.009253881383429767, 0.00940426055485267, -0.006532952369401607),
    *(0.0029141442366929318, -0.0005069744491967319, -0.0003524796666274562),
    *(0.000293771844193608, -5.5027066220870245e-05, -2.380712922883482e-05),
    9.006841251565105e-06,
)
# Of a table: centres 0, 1, … 15 times the spacing.
_SEGMENTS = 16
# ln 2 in two pieces; a whole number below 2⁸ times the first is exact.
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4


def function(w: Writer, name: str, x: Value) -> Value:
    """The function of a value."""
    if name in _NORMAL:
        return _NORMAL[name](w, x)
    if x.dtype is torch.float32 and name in FUNCTIONS:
        return FUNCTIONS[name](w, x)
    return by_library(w, name, x)


def _exp(w: Writer, x: Value) -> Value:
    # Beyond these the result is 0 or infinite; a comparison with NaN fails, so that NaN stays.
    is_zero = w.compare("lt", x, _number(w, x, _EXP_IS_0))
    x = _bounded(w, x, _EXP_IS_0, 89.0)
    n = w.call("roundeven", _scaled(w, x, 1 / math.log(2)))
    r = w.fma(n, _number(w, x, -_LN2_LOW), w.fma(n, _number(w, x, -_LN2_HIGH), x))
    p = w.fma(w.binary("fmul", r, r), _polynomial(w, r, _EXP), r)
    # Rounded down to 0 it would take CPUs some hundred cycles, and what masks hide is there.
    value = w.select(is_zero, _number(w, x, 0.0), w.binary("fadd", p, _number(w, x, 1.0)))
    return _times_power(w, value, n)


def _times_power(w: Writer, value: Value, n: Value) -> Value:
    """value·2ⁿ, subnormal results included."""
    if "avx512f" in w.features and value.is_vector:
        function = "@llvm.x86.avx512.mask.scalef.ps.512"
        vector = value.type
        w.declares.add(f"declare {vector} {function}({vector}, {vector}, {vector}, i16, i32)")
        text = f"call {vector} {function}({value}, {n}, {vector} zeroinitializer, i16 -1, i32 4)"
        return w.emit(text, value.dtype, vector=True)
    whole = _to_integer(w, n)
    half = w.binary("ashr", whole, w.constant(1, torch.int32, vector=n.is_vector))
    for part in (half, w.binary("sub", whole, half)):
        value = w.binary("fmul", value, _power(w, part))
    return value


def _power(w: Writer, n: Value) -> Value:
    """2ⁿ of whole numbers."""
    biased = w.binary("add", n, w.constant(127, torch.int32, vector=n.is_vector))
    bits = w.binary("shl", biased, w.constant(23, torch.int32, vector=n.is_vector))
    return w.bitcast(bits, torch.float32)


def _log(w: Writer, x: Value) -> Value:
    is_small = w.compare("lt", x, _number(w, x, 2.0**-126))
    scaled = w.select(is_small, _scaled(w, x, 2.0**25), x)
    bits = w.bitcast(scaled, torch.int32)

    def whole(value: int) -> Value:
        return w.constant(value, torch.int32, vector=x.is_vector)

    # The exponent so that the mantissa is within √½ and √2.
    shifted = w.binary("sub", bits, whole(0x3F3504F3))
    n = w.binary("ashr", shifted, whole(23))
    mantissa = w.bitcast(w.binary("sub", bits, w.binary("shl", n, whole(23))), torch.float32)
    n = w.binary("sub", n, w.select(is_small, whole(25), whole(0)))
    power = _to_float(w, n)
    f = w.binary("fsub", mantissa, _number(w, x, 1.0))
    square = w.binary("fmul", f, f)
    p = w.binary("fmul", w.binary("fmul", f, square), _polynomial(w, f, _LOG))
    low = w.fma(power, _number(w, x, _LN2_LOW), w.fma(square, _number(w, x, -0.5), p))
    result = w.fma(power, _number(w, x, _LN2_HIGH), w.binary("fadd", f, low))
    infinite = _number(w, x, math.inf)
    result = w.select(w.compare("lt", x, infinite), result, x)  # infinity and NaN are their own
    result = w.select(w.compare("lt", x, _number(w, x, 0.0)), _number(w, x, math.nan), result)
    return w.select(w.compare("eq", x, _number(w, x, 0.0)), _number(w, x, -math.inf), result)


def _log1p(w: Writer, x: Value) -> Value:
    one = _number(w, x, 1.0)
    whole = w.binary("fadd", x, one)
    difference = w.binary("fsub", whole, one)
    exact = w.binary("fmul", _log(w, whole), w.binary("fdiv", x, difference))
    result = w.select(w.compare("eq", difference, _number(w, x, 0.0)), x, exact)
    is_infinite = w.compare("eq", whole, _number(w, x, math.inf))
    result = w.select(is_infinite, x, result)
    lowest = w.compare("eq", whole, _number(w, x, 0.0))
    return w.select(lowest, _number(w, x, -math.inf), result)


def _expm1(w: Writer, x: Value) -> Value:
    one = _number(w, x, 1.0)
    power = _exp(w, x)
    less = w.binary("fsub", power, one)
    exact = w.binary("fdiv", w.binary("fmul", less, x), _log(w, power))
    is_small = w.compare("eq", less, _number(w, x, 0.0))
    result = w.select(is_small, x, exact)
    is_large = w.compare("gt", w.call("fabs", x), _number(w, x, 17.0))
    return w.select(is_large, less, result)


def _tanh(w: Writer, x: Value) -> Value:
    size = w.call("fabs", x)
    square = w.binary("fmul", x, x)
    near = w.fma(x, _polynomial(w, square, _TANH), x)
    one = _number(w, x, 1.0)
    power = _exp(w, w.binary("fadd", size, size))
    far = w.binary("fdiv", _number(w, x, 2.0), w.binary("fadd", power, one))
    far = w.binary("fsub", one, far)
    # The polynomial makes +0 of −0.
    made = w.select(w.compare("lt", size, _number(w, x, 0.625)), near, far)
    return w.call("copysign", made, x)


def _erf(w: Writer, x: Value) -> Value:
    if _has_tables(w, x):
        return _erf_by_table(w, x)
    size = w.call("fabs", x)
    near = w.fma(x, _polynomial(w, w.binary("fmul", x, x), _ERF), x)
    bounded = _bounded(w, size, 0.0, _ERF_END)
    rest = _polynomial(w, w.binary("fsub", bounded, _number(w, x, _ERFC_CENTRE)), _ERFC)
    one = _number(w, x, 1.0)
    far = w.select(w.compare("lt", size, _number(w, x, _ERF_END)), w.binary("fsub", one, rest), one)
    far = w.call("copysign", far, x)
    far = w.select(w.compare("eq", x, x), far, x)
    return w.select(w.compare("lt", size, one), near, far)


def _has_tables(w: Writer, x: Value) -> bool:
    return "avx512f" in w.features and x.is_vector and x.dtype is torch.float32


def _erf_by_table(w: Writer, x: Value) -> Value:
    """Of x a multiple, so that it is exact near 0 as well."""
    value = _by_table(w, x, "erf")
    # Beyond the last segment the product grows past 1, and NaN stays NaN.
    return _bounded(w, w.binary("fmul", x, value), -1.0, 1.0)


def _normal_probability(w: Writer, x: Value) -> Value:
    half = _number(w, x, 0.5)
    if _has_tables(w, x):
        return _bounded(w, w.fma(x, _by_table(w, x, "probability"), half), 0.0, 1.0)
    error = function(w, "erf", _scaled(w, x, math.sqrt(0.5)))
    return w.binary("fmul", half, w.binary("fadd", error, _number(w, x, 1.0)))


def _normal_density(w: Writer, x: Value) -> Value:
    if _has_tables(w, x):
        return _by_table(w, x, "density")
    power = function(w, "exp", _scaled(w, w.binary("fmul", x, x), -0.5))
    return _scaled(w, power, _DENSITY_AT_0)


_NORMAL: dict[str, Callable[[Writer, Value], Value]] = {
    "normal_probability": _normal_probability,
    "normal_density": _normal_density,
}
_ROUNDED_AWAY = 5.25
_DENSITY_AT_0 = 1 / math.sqrt(2 * math.pi)


def _by_table(w: Writer, x: Value, name: str) -> Value:
    """An even function by a polynomial around the nearest multiple of a power of two."""
    spacing, _, _ = _TABLES[name]
    size = _bounded_above(w, w.call("fabs", x), (_SEGMENTS - 0.51) * spacing)
    # Beside so large a number there are only multiples of the spacing, counted by the last bits.
    large = _number(w, x, 1.5 * 2**23 * spacing)
    moved = w.binary("fadd", size, large)
    segment = w.bitcast(moved, torch.int32)
    t = w.binary("fsub", size, w.binary("fsub", moved, large))
    rows = [_looked_up(w, row, segment) for row in _table(name)]
    value = rows[-1]
    for row in reversed(rows[:-1]):
        value = w.fma(value, t, row)
    return value


def _erf_quotient(x: float) -> float:
    return math.erf(x) / x


def _probability_quotient(x: float) -> float:
    # Far out rounding leaves more than there is. So a little is added, and more and more of it: the
    # probability, being bounded, ends at 0 and 1 exactly.
    return (math.erf(x * math.sqrt(0.5)) / 2 + max(0.0, x - _ROUNDED_AWAY) * 2.0**-23) / x


def _density(x: float) -> float:
    # 0 in the last segment, where it is below 3e-12: so it is 0 for every larger x.
    return _DENSITY_AT_0 * math.exp(-x * x / 2) if x < (_SEGMENTS - 1.5) / 2 else 0.0


# Even functions: the spacing of the centres, the coefficients of a polynomial, and the function.
_TABLES: dict[str, tuple[float, int, Callable[[float], float]]] = {
    "erf": (0.25, 6, _erf_quotient),
    "probability": (0.5, 6, _probability_quotient),
    "density": (0.5, 7, _density),
}


@functools.cache
def _table(name: str) -> tuple[tuple[float, ...], ...]:
    """Coefficients of rising powers of t = |x| − k·spacing, through the points of Chebyshev.

    A row for each power, a column for each k.
    """
    spacing, count, value_at = _TABLES[name]
    columns = []
    for k in range(_SEGMENTS):
        points = [spacing / 2 * math.cos(math.pi * (i + 0.5) / count) for i in range(count)]
        values = [value_at(abs(k * spacing + t)) for t in points]
        columns.append(_interpolated(points, values))
    return tuple(zip(*columns, strict=True))


def _interpolated(points: Sequence[float], values: Sequence[float]) -> list[float]:
    """The coefficients of the polynomial through some points: Newton's form, multiplied out."""
    differences = list(values)
    for order in range(1, len(points)):
        for i in range(len(points) - 1, order - 1, -1):
            step = points[i] - points[i - order]
            differences[i] = (differences[i] - differences[i - 1]) / step
    coefficients = [0.0] * len(points)
    for point, difference in zip(reversed(points), reversed(differences), strict=True):
        shifted = [0.0, *coefficients[:-1]]
        coefficients = [s - point * c for s, c in zip(shifted, coefficients, strict=True)]
        coefficients[0] += difference
    return coefficients


def _looked_up(w: Writer, row: Sequence[float], index: Value) -> Value:
    """The element of a row of 16 that each lane asks for."""
    table = ", ".join(f"float {number(value, torch.float32)}" for value in row)
    function = "@llvm.x86.avx512.permvar.sf.512"
    vector = llvm_type(torch.float32, vector=True)
    w.declares.add(f"declare {vector} {function}({vector}, {index.type})")
    return w.emit(
        f"call {vector} {function}({vector} <{table}>, {index})", torch.float32, vector=True
    )


FUNCTIONS: dict[str, Callable[[Writer, Value], Value]] = {
    "exp": _exp,
    "log": _log,
    "log1p": _log1p,
    "expm1": _expm1,
    "tanh": _tanh,
    "erf": _erf,
}


def _polynomial(w: Writer, x: Value, coefficients: Sequence[float]) -> Value:
    """Coefficients of rising powers, by Horner's rule."""
    *rest, last = coefficients
    value = _number(w, x, last)
    for coefficient in reversed(rest):
        value = w.fma(value, x, coefficient)
    return value


def _bounded_above(w: Writer, x: Value, high: float) -> Value:
    limit = _number(w, x, high)
    return w.select(w.compare("gt", x, limit), limit, x)


def _bounded(w: Writer, x: Value, low: float, high: float) -> Value:
    for predicate, bound in (("lt", low), ("gt", high)):
        limit = _number(w, x, bound)
        x = w.select(w.compare(predicate, x, limit), limit, x)
    return x


def _number(w: Writer, like: Value, value: float) -> Value:
    return w.constant(value, like.dtype, vector=like.is_vector)


def _scaled(w: Writer, x: Value, by: float) -> Value:
    return w.binary("fmul", x, _number(w, x, by))


def _to_integer(w: Writer, x: Value) -> Value:
    target = llvm_type(torch.int32, vector=x.is_vector)
    # NaN has no whole number; freezing makes it any number, and NaN times that is NaN.
    made = w.emit(f"fptosi {x} to {target}", torch.int32, vector=x.is_vector)
    return w.emit(f"freeze {made}", torch.int32, vector=x.is_vector)


def _to_float(w: Writer, n: Value) -> Value:
    target = llvm_type(torch.float32, vector=n.is_vector)
    return w.emit(f"sitofp {n} to {target}", torch.float32, vector=n.is_vector)
