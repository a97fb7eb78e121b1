import subprocess
import sys

import pytest
import torch
from torch import nn

from sestina.ntk.empirical.contraction import (
    contracted_kernel,
    contracted_squares,
    jacobian_bytes,
)
from sestina.ntk.empirical.samplewise import SamplewiseFunction
from tests.ntk.empirical.modules import normal

MAX_BYTES = [1, 3000, 20_000, 2**20]


def normalised():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 9), nn.LayerNorm(9), nn.Tanh(), nn.Linear(9, 3)).double()


@pytest.mark.parametrize("axes", ["full", "diagonal", "trace"])
@pytest.mark.parametrize("max_bytes", MAX_BYTES)
@pytest.mark.parametrize("symmetric", [True, False])
def test_little_memory_changes_nothing(axes, max_bytes, symmetric, oracle, assert_kernel):
    module, x1 = normalised(), normal(6, 4)
    x2 = None if symmetric else normal(4, 4, seed=1)
    exact = oracle(module, x1, x2)
    diagonal = exact.diagonal(dim1=2, dim2=3)
    function = SamplewiseFunction(module, x1, x2)
    theta = contracted_kernel(function, x1, x2, axes=axes, max_bytes=max_bytes)
    expected = {"full": exact, "diagonal": diagonal, "trace": diagonal.mean(-1)}[axes]
    assert_kernel(theta, expected, 1e-12)


@pytest.mark.parametrize("max_bytes", MAX_BYTES)
def test_squares_are_the_diagonal(max_bytes, oracle):
    module, x = normalised(), normal(6, 4)
    squares = contracted_squares(SamplewiseFunction(module, x, None), x, max_bytes=max_bytes)
    expected = oracle(module, x).diagonal(dim1=0, dim2=1).diagonal(dim1=0, dim2=1)
    torch.testing.assert_close(squares, expected)


def test_the_least_that_must_be_held_is_the_largest_parameters_jacobian():
    function = SamplewiseFunction(normalised(), normal(2, 4), None)
    assert jacobian_bytes(function) == 3 * (4 * 9) * 8


def test_memory_stays_near_what_was_asked_for():
    # The whole Jacobian would be 40 x 10 x 93,910 float32: 150 MB. Peak memory is a process's.
    program = """
import resource, torch
from torch import nn
from sestina.ntk.empirical import empirical_ntk
torch.set_num_threads(1)
module = nn.Sequential(nn.Linear(300, 300), nn.LayerNorm(300), nn.ReLU(), nn.Linear(300, 10))
x = torch.randn(40, 300)
empirical_ntk(module, x[:2], method="contraction")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
empirical_ntk(module, x, method="contraction", axes="diagonal", max_bytes=2**25)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    # Twice what was asked for, since what PyTorch keeps on its way is estimated, not counted.
    assert int(done.stdout) <= 2 * 2**25 / 1024
