"""Functions of the C library, of vectors and lane by lane: which are called, how exact they are."""

import functools
import math
from dataclasses import replace

import mpmath
import numpy as np
import pytest
import torch

from sestina.fuser.compile.native import code_key, machine
from sestina.fuser.ir.operations import OPERATIONS
from sestina.fuser.launch import program as launching
from sestina.fuser.render.kernel import render
from sestina.fuser.render.library import _OF_VECTORS, FEATURE, vector_symbols
from sestina.fuser.schedule.kernel import schedule
from sestina.fuser.segment.groups import segment
from tests.fuser.captured import lowered, run

ALL = machine().features
MACHINES = {
    "vectors": ALL,
    "AVX2": frozenset(name for name in ALL if not name.startswith("avx512")),
    "lane by lane": ALL - {FEATURE},
}
WIDE, NARROW = frozenset({"avx512f", "avx2", FEATURE}), frozenset({"avx2", FEATURE})
FUNCTIONS = [(name, dtype) for dtype, names in _OF_VECTORS.items() for name in sorted(names)]
IDS = [f"{name} {str(dtype)[6:]}" for name, dtype in FUNCTIONS]
EDGES = (0.0, 1.0, 0.5, 2.0, 1.5, 3.0, 100.0, 1e4, 1e5, 1e30, 1e-30, math.inf)
HAS_VECTORS = pytest.mark.skipif(FEATURE not in ALL, reason="this C library has no vectors")


@pytest.fixture(params=MACHINES)
def _machines(request, monkeypatch):
    one = replace(machine(), features=MACHINES[request.param])
    monkeypatch.setattr(launching, "machine", lambda: one)


def rendered(name, dtype, features):
    x = torch.zeros(64, dtype=dtype)
    graph = lowered(getattr(torch, name), *[x] * OPERATIONS[name].arity).graph
    segments = segment(graph)
    (group,) = segments.groups
    return render(schedule(group, segments.stored), features)


@functools.cache
def sampled(name, dtype):
    """Arguments of every size that a function has normal results for, those and the true values."""
    generator = np.random.default_rng(5)
    arity, count = OPERATIONS[name].arity, 700
    sizes = 10.0 ** generator.uniform(-30, 4, (arity, count))
    even = generator.uniform(-5, 5, (arity, 2 * count))
    x = np.concatenate([sizes, -sizes, even, even / 5, even * 50], axis=1)
    if name == "pow":
        x[0, ::2] = np.exp(even[0].repeat(3)[: x[0, ::2].size])
    x = torch.from_numpy(x).to(dtype)
    exact = [_true(name, [float(one) for one in column]) for column in x.T]
    limits = torch.finfo(dtype)
    taken = [at for at, one in enumerate(exact) if one and limits.tiny <= abs(one) <= limits.max]
    assert len(taken) > count
    return x[:, taken].unbind(0), [exact[at] for at in taken]


def _true(name, arguments):
    """The function in many digits; None where it has no real value."""
    name = "power" if name == "pow" else name
    if max(arguments) > 800 and name in {"exp", "expm1", "sinh", "cosh", "power"}:
        return None
    with mpmath.workdps(60):
        try:
            made = getattr(mpmath, name)(*arguments)
        except (ValueError, ZeroDivisionError, OverflowError):
            return None
        return made if isinstance(made, mpmath.mpf) and mpmath.isfinite(made) else None


def largest_error(made, exact):
    """In units of the last place of what is true."""
    number = np.float32 if made.dtype is torch.float32 else np.float64
    errors = []
    for one, true in zip(made.double().tolist(), exact, strict=True):
        unit = float(np.spacing(number(abs(float(true)))))
        errors.append(float(abs(mpmath.mpf(one) - true) / unit))
    return max(errors)


@pytest.mark.usefixtures("_machines")
@pytest.mark.parametrize(("name", "dtype"), FUNCTIONS, ids=IDS)
def test_a_function_errs_little_more_than_atens(name, dtype):
    arguments, exact = sampled(name, dtype)
    function = getattr(torch, name)
    with mpmath.workdps(60):
        eagers = largest_error(function(*arguments), exact)
        (made,) = run(function, *arguments)
        assert largest_error(made, exact) <= 2 * eagers + 2


@pytest.mark.usefixtures("_machines")
@pytest.mark.parametrize(("name", "dtype"), FUNCTIONS, ids=IDS)
def test_special_values_are_as_atens(name, dtype):
    edges = torch.tensor([*EDGES, *(-one for one in EDGES), math.nan], dtype=dtype)
    arity = OPERATIONS[name].arity
    pairs = torch.cartesian_prod(edges, edges).unbind(1)
    arguments = [one.clone() for one in pairs] if arity == 2 else [edges.repeat(8)]
    function = getattr(torch, name)
    (made,), theirs = run(function, *arguments), function(*arguments)
    torch.testing.assert_close(
        made, theirs, rtol=2e-6 if dtype is torch.float32 else 4e-15, atol=0, equal_nan=True
    )
    is_number = ~theirs.isnan()
    assert torch.equal(made[is_number].signbit(), theirs[is_number].signbit())


@pytest.mark.usefixtures("_machines")
@pytest.mark.parametrize(("name", "dtype"), FUNCTIONS, ids=IDS)
def test_the_last_elements_of_a_row_have_the_bits_of_whole_vectors(name, dtype):
    start = 1.0 if name == "acosh" else 0.0
    x = torch.linspace(start + 0.1, start + 0.9, 64, dtype=dtype).repeat(3, 1)
    function = getattr(torch, name)
    arguments = [x] * OPERATIONS[name].arity
    (whole,) = run(function, *arguments)
    for size in (2, 15, 17, 31):
        ends = [one[:, :size] for one in arguments]
        assert torch.equal(run(function, *ends)[0], whole[:, :size])


@pytest.mark.parametrize(
    ("name", "dtype", "features", "symbol", "count"),
    [
        ("sin", torch.float32, WIDE, "_ZGVeN16v_sinf", 1),
        ("sin", torch.float32, NARROW, "_ZGVdN8v_sinf", 2),
        ("exp", torch.float64, WIDE, "_ZGVeN8v_exp", 2),
        ("exp", torch.float64, NARROW, "_ZGVdN4v_exp", 4),
        ("atan2", torch.float32, WIDE, "_ZGVeN16vv_atan2f", 1),
        ("pow", torch.float64, NARROW, "_ZGVdN4vv_pow", 4),
        ("sin", torch.float32, WIDE - {FEATURE}, "sinf", 16),
        ("sin", torch.float64, WIDE, "sin", 16),
        ("tan", torch.float32, WIDE, "tanf", 16),
    ],
)
def test_vectors_are_called_where_they_are_and_exact_enough(name, dtype, features, symbol, count):
    source = rendered(name, dtype, features).source
    calls = [line for line in source.splitlines() if f" @{symbol}(" in line and " call " in line]
    # Two vectors are done at a time, and the rest of them one by one.
    assert len(calls) % count == 0
    assert 0 < len(calls) <= 4 * count
    assert ("_ZGV" in source) == symbol.startswith("_ZGV")


def test_without_long_vectors_no_functions_of_them_are_looked_for():
    assert vector_symbols(frozenset({"neon"})) == frozenset()
    assert {"_ZGVdN8v_sinf", "_ZGVdN4vv_pow"} <= vector_symbols(frozenset({"avx2"}))


@HAS_VECTORS
def test_kernels_that_call_vectors_are_known_apart():
    keys = {code_key(rendered("sin", torch.float32, MACHINES[name])) for name in MACHINES}
    assert len(keys) == len({frozenset(features) for features in MACHINES.values()})
