import pytest
import torch
from torch import nn

from sestina.ntk.empirical.samplewise import SamplewiseFunction
from sestina.ntk.empirical.vectors import vector_product_kernel
from tests.ntk.empirical.modules import normal


def normalised():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 9), nn.LayerNorm(9), nn.Tanh(), nn.Linear(9, 3)).double()


@pytest.mark.parametrize("axes", ["full", "diagonal", "trace"])
@pytest.mark.parametrize("max_bytes", [1, 3000, 2**20])
@pytest.mark.parametrize("symmetric", [True, False])
def test_columns_are_those_of_the_jacobians_kernel(
    axes, max_bytes, symmetric, oracle, assert_kernel
):
    module, x1 = normalised(), normal(6, 4)
    x2 = None if symmetric else normal(4, 4, seed=1)
    exact = oracle(module, x1, x2)
    diagonal = exact.diagonal(dim1=2, dim2=3)
    function = SamplewiseFunction(module, x1, x2)
    theta = vector_product_kernel(function, x1, x2, axes=axes, max_bytes=max_bytes)
    expected = {"full": exact, "diagonal": diagonal, "trace": diagonal.mean(-1)}[axes]
    assert_kernel(theta, expected, 1e-12)
    if symmetric:
        assert torch.equal(
            theta, theta.permute(1, 0, 3, 2) if axes == "full" else theta.transpose(0, 1)
        )


def test_progress_counts_the_columns():
    told = []
    x1, x2 = normal(3, 4), normal(5, 4, seed=1)
    vector_product_kernel(
        SamplewiseFunction(normalised(), x1, x2),
        x1,
        x2,
        axes="trace",
        max_bytes=2**20,
        progress=lambda *step: told.append(step),
    )
    assert told == [(done, 5, "tangent kernel") for done in range(6)]
