"""Kernels for other CPUs: plain vectors where there is no x86, and sources without AVX-512."""

from dataclasses import replace

import llvmlite.binding as llvm
import pytest
import torch
from torch.nn import functional

from sestina.fuser.compile.native import machine
from sestina.fuser.launch import program as launching
from sestina.fuser.random import UNIFORM
from sestina.fuser.render.kernel import render
from sestina.fuser.schedule.kernel import schedule
from sestina.fuser.segment.groups import segment
from tests.fuser.captured import assert_as_eager, gradients_of, lowered

# The machine's instructions, but those that only AVX-512 has.
AVX2 = frozenset(name for name in machine().features if not name.startswith("avx512"))
IDS = torch.arange(40) % 7


def normed(x, w):
    return (functional.layer_norm(x, (48,), w),)


def numbers(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


KERNELS = {
    "exp, erf and tanh": (lambda x: x.exp() + x.erf() + x.tanh(), numbers(8, 50)),
    "gelu": (functional.gelu, numbers(8, 50)),
    "gradient of gelu": (gradients_of(lambda x: (functional.gelu(x),)), numbers(8, 50)),
    "log1p and expm1": (lambda x: x.abs().log1p() + x.expm1(), numbers(8, 50)),
    "softmax": (lambda x: x.softmax(-1), numbers(8, 50)),
    "layer norm": (normed, numbers(40, 48), numbers(48)),
    "gradient of layer norm": (gradients_of(normed), numbers(40, 48), numbers(48)),
    "gather": (lambda x, i: functional.embedding(i, x), numbers(7, 48), IDS),
    "scatter": (lambda x, i: x.new_zeros(7, 48).index_add(0, i, x), numbers(40, 48), IDS),
    "transpose": (lambda x: x.t().contiguous() * 2, numbers(64, 48)),
    "sums": (lambda x: (x.sum(0), x.sum(), x.amax(1)), numbers(64, 50)),
    "bfloat16": (lambda x: (x * 2 + 1).softmax(-1), numbers(8, 48).bfloat16()),
    "float16": (lambda x: (x * 2 + 1).tanh(), numbers(8, 50).half()),
    "large": (lambda x: x * 2, torch.zeros(2048, 1024)),
}


def sources(function, *arguments, features):
    """The IR of each kernel of a function, as if what it stores were its own."""
    segments = segment(lowered(function, *arguments).graph)
    groups = [group for group in segments.groups if not group.is_opaque]
    aligned = segments.stored
    return [render(schedule(g, segments.stored), features, aligned=aligned).source for g in groups]


def random(seed):
    return UNIFORM(seed, [8, 48], 0) + 0


@pytest.fixture(scope="module")
def aarch64():
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple("aarch64-unknown-linux-gnu")
    return target.create_target_machine(cpu="generic", opt=1)


@pytest.mark.parametrize("name", [*KERNELS, "dropout"])
def test_kernels_without_features_are_code_of_another_cpu(name, aarch64):
    function, *arguments = {**KERNELS, "dropout": (random, torch.tensor(5))}[name]
    made = sources(function, *arguments, features=frozenset({"neon", "fp-armv8"}))
    assert made
    for source in made:
        assert "llvm.x86" not in source
        module = llvm.parse_assembly(source)
        module.triple, module.data_layout = aarch64.triple, str(aarch64.target_data)
        module.verify()
        assert "rows:" in aarch64.emit_assembly(module)


@pytest.mark.parametrize("name", KERNELS)
def test_with_avx2_alone_results_are_as_exact(name, monkeypatch):
    narrow = replace(machine(), features=AVX2)
    monkeypatch.setattr(launching, "machine", lambda: narrow)
    function, *arguments = KERNELS[name]
    assert not any("avx512" in s for s in sources(function, *arguments, features=AVX2))
    assert_as_eager(function, *arguments, of_largest=True)
