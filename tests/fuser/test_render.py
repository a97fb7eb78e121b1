import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from sestina.fuser.compile.native import machine
from sestina.fuser.random import UNIFORM, uniforms
from sestina.fuser.render.kernel import render
from sestina.fuser.schedule.kernel import schedule
from sestina.fuser.segment.groups import segment
from tests.fuser.captured import lowered, run


def source_of(function, *arguments, features=frozenset()):
    """The source of a function's kernels, one after another, for a CPU with these features."""
    segments = segment(lowered(function, *arguments).graph)
    kernels = [schedule(group, segments.stored) for group in segments.groups]
    return "".join(render(kernel, features).source for kernel in kernels)


# Errors in units of the last place of the true value; the table in render/mathematics.py.
LIMITS = {"exp": 1.0, "log": 0.9, "log1p": 2.3, "expm1": 2.6, "tanh": 1.4, "erf": 2.4}


def everything(name):
    """Floats of every size that a function has finite, normal results for."""
    generator = np.random.default_rng(5)
    sizes = 10.0 ** generator.uniform(-30, 4, 200_000)
    x = np.concatenate([sizes, -sizes, generator.uniform(-5, 5, 200_000)]).astype(np.float32)
    if name == "exp":
        return x[np.abs(x) < 87]
    if name == "expm1":
        return x[x < 88]
    if name in {"log", "log1p"}:
        return np.concatenate([np.abs(x), (10.0 ** generator.uniform(4, 38.5, 10_000))]).astype(
            "f4"
        )
    return x


@pytest.mark.parametrize("name", LIMITS)
def test_a_function_is_as_exact_as_the_table_says(name):
    x = everything(name)
    function = torch.special.expm1 if name == "expm1" else getattr(torch, name)
    (mine,) = run(function, torch.from_numpy(x))
    true = function(torch.from_numpy(x).double()).numpy()
    unit = np.spacing(np.abs(true.astype(np.float32))).astype(np.float64)
    error = np.abs(mine.double().numpy() - true) / unit
    assert error.max() <= LIMITS[name], (x[error.argmax()], error.max())


@pytest.mark.parametrize("is_plain", [False, True], ids=["machine", "plain"])
@pytest.mark.parametrize("backward", [False, True], ids=["gelu", "its gradient"])
def test_the_normal_distribution_is_as_exact_as_the_table_says(is_plain, backward, monkeypatch):
    if is_plain:
        plain = replace(machine(), features=frozenset())
        monkeypatch.setattr("sestina.fuser.launch.program.machine", lambda: plain)
    x = torch.cat([torch.linspace(-9, 9, 400_001), torch.tensor([-1e4, -0.0, 1e-30, 1e4])])

    def function(x):
        one = torch.ones_like(x)
        return torch.ops.aten.gelu_backward(one, x) if backward else functional.gelu(x) / x

    (mine,) = run(function, x)
    error = (mine.double() - function(x.double())).abs().nan_to_num()
    assert error.max() <= 2e-7, x[error.argmax()]


@pytest.mark.parametrize("is_plain", [False, True], ids=["machine", "plain"])
def test_what_is_left_of_gelu_far_below_is_as_exact_as_eagers(is_plain, monkeypatch):
    if is_plain:
        plain = replace(machine(), features=frozenset())
        monkeypatch.setattr("sestina.fuser.launch.program.machine", lambda: plain)
    x = torch.linspace(-9, 0, 400_001)
    true = functional.gelu(x.double())
    unit = torch.from_numpy(np.spacing(true.abs().float().numpy())).double()
    (mine,) = run(functional.gelu, x)
    ours, eagers = ((made - true).abs() / unit for made in (mine, functional.gelu(x)))
    assert ours.max() <= 2 * eagers.max() + 2, x[ours.argmax()]


def test_far_below_nothing_is_left_of_gelu():
    x = torch.tensor([-5.8, -6.0, -7.25, -9.0, -1e4]).repeat_interleave(16)
    (mine,) = run(functional.gelu, x)
    assert torch.equal(mine, torch.zeros_like(x))
    (mine,) = run(functional.gelu, -x)
    assert torch.equal(mine, -x)


@pytest.mark.parametrize("shape", [(64,), (63,), (5, 64), (5, 70), (3, 4, 128), (1, 1)])
def test_random_numbers_are_those_of_the_formula_whatever_the_loops(shape):
    seed = torch.tensor(-(2**40) + 17)
    (mine,) = run(lambda s: UNIFORM(s, list(shape), 2) + 0, seed)
    assert np.array_equal(mine.numpy(), uniforms(int(seed), shape, 2))


def test_random_numbers_follow_the_element_and_not_the_loop():
    seed = torch.tensor(99)
    (mine,) = run(lambda s: UNIFORM(s, [40, 30], 0).t().contiguous(), seed)
    assert np.array_equal(mine.numpy(), uniforms(99, (40, 30), 0).T)


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 63, 64, 65, 1000])
def test_every_remainder_of_a_vector_is_done(size):
    x = torch.arange(3.0 * size).reshape(3, size)
    made = run(lambda x: (x * 2, x.sum(1), x.sum(0), x.amax(1), x - x.mean(1, keepdim=True)), x)
    expected = (x * 2, x.sum(1), x.sum(0), x.amax(1), x - x.mean(1, keepdim=True))
    for mine, theirs in zip(made, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-3)


def test_nothing_beyond_the_last_element_is_written():
    storage = torch.full((100,), -1.0)

    def function(x):
        return (x + 1,)

    x = torch.zeros(37)
    program_result = run(function, x)[0]
    assert program_result.shape == (37,)
    assert program_result.untyped_storage().nbytes() == 37 * 4
    assert bool((storage == -1).all())


def dropped(x, seed, share=0.25):
    """Dropout as it is captured, its mask made of a seed."""
    return x * (1 / (1 - share)) * (UNIFORM(seed, list(x.shape), 0) >= share)


def cross_entropies(x, classes):
    return functional.cross_entropy(x, classes, reduction="none")


def zeros(*shape):
    return torch.zeros(shape, dtype=torch.int64)


GOLDEN = Path(__file__).parent / "golden"
# Without features and with few columns: whole vectors where ends are not what is to be seen.
SOURCES = {
    "double": (lambda x: x * 2, torch.zeros(64)),
    "softmax": (lambda x: x.softmax(-1), torch.zeros(8, 48)),
    "sums": (lambda x: (x.sum(0), x.sum()), torch.zeros(8, 16)),
    "columns": (lambda x: x.sum(0), torch.zeros(8, 24)),
    "cross_entropy": (cross_entropies, torch.zeros(4, 16), zeros(4)),
    "cumsum": (lambda x: x.cumsum(1), torch.zeros(4, 16)),
    # What is added has one row for all, so that there is a loop over rows of whole blocks.
    "dropout": (lambda x, y, s: dropped(x + y, s), torch.zeros(2, 64), torch.zeros(64), zeros()),
    "scatter_add": (
        lambda i, x: x.new_zeros(4, 16).scatter_add(0, i, x),
        zeros(8, 16),
        torch.zeros(8, 16),
    ),
    # The smallest that is turned in tiles, each of them one block.
    "tiles": (lambda x: x.mT.contiguous(), torch.zeros(16, 16, 16)),
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_source_of_a_kernel_reads_as_before(name):
    function, *arguments = SOURCES[name]
    path, source = GOLDEN / f"{name}.ll", source_of(function, *arguments)
    if os.environ.get("SESTINA_UPDATE_GOLDEN"):
        path.write_text(source)
    assert source == path.read_text(), "SESTINA_UPDATE_GOLDEN=1 pytest tests/fuser/test_render.py"


def test_the_features_of_the_machine_choose_instructions():
    plain = source_of(torch.exp, torch.zeros(64))
    wide = source_of(torch.exp, torch.zeros(64), features=frozenset({"avx512f"}))
    assert "scalef" not in plain
    assert "scalef" in wide


@pytest.mark.parametrize("features", [frozenset(), machine().features], ids=["plain", "machine"])
def test_exponentials_are_the_same_either_way(features, monkeypatch):
    from sestina.fuser.launch import program as launching  # noqa: PLC0415

    found = machine()
    monkeypatch.setattr(
        launching, "machine", lambda: type(found)(found.cpu, features, found.openmp)
    )
    x = torch.tensor([-200.0, -103.0, -88.0, -1.0, 0.0, 1.0, 88.0, 88.7, 89.0, math.inf, math.nan])
    (mine,) = run(torch.exp, x.repeat(4))
    torch.testing.assert_close(mine, x.repeat(4).exp(), rtol=3e-7, atol=1e-44, equal_nan=True)


def streamed(function, *arguments, features=frozenset({"avx2"}), keep=lambda _: True):
    """Whether a kernel writes past the caches what lies in memory of its own."""
    segments = segment(lowered(function, *arguments).graph)
    (group,) = segments.groups
    aligned = {node for node in segments.stored if keep(node)}
    source = render(schedule(group, segments.stored), features, aligned=aligned).source
    return "!nontemporal" in source


def test_large_tensors_are_written_past_the_caches():
    def function(x):
        return x * 2

    large = torch.empty(2048, 1024)
    assert streamed(function, large)
    assert streamed(lambda x: x - x.mean(1, keepdim=True), large)
    assert not streamed(function, torch.empty(1024, 1024))
    assert not streamed(function, large, keep=lambda _: False), "memory of others may lie anywhere"
    assert not streamed(function, large, features=frozenset())
    assert not streamed(lambda x: x - x.mean(1, keepdim=True), torch.empty(2048, 1032))
    assert not streamed(lambda x: x.t() * 1, torch.empty(2048, 1024).t()[:, :-8])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.int64])
@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_written_past_the_caches_is_there(dtype, threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    x = torch.arange(5 << 20).reshape(1024, 5120).remainder(97).to(dtype)
    y = x[:, :1].clone()
    torch.testing.assert_close(run(lambda x, y: x + y, x, y), [x + y])
    torch.testing.assert_close(
        run(lambda x: x + x.amax(1, keepdim=True), x), [x + x.amax(1, keepdim=True)]
    )


@pytest.mark.parametrize("size", [(56, 56), (23, 57)])
def test_sums_over_planes_are_as_exact_as_two_roundings(size):
    x = torch.randn(16, 8, *size, generator=torch.Generator().manual_seed(0))

    def function(x):
        # The sums are used in the same kernel, where no one adds parts up in float64.
        return x.exp().sum((0, 2, 3), keepdim=True) * x.sign()

    (made,), true = run(function, x), function(x.double())
    assert (made - true).abs().max() <= 2 * 2.0**-24 * true.abs().max()
