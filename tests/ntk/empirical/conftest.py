"""The oracle of every method: the whole Jacobian, row by row, in float64."""

import copy

import pytest
import torch


def brute_force_kernel(module, x1, x2=None):
    """Θ as (n, m, o, o): one pass backward of plain autograd per sample and output."""
    exact = copy.deepcopy(module).double()
    parameters = [p for p in exact.parameters() if p.requires_grad]

    def jacobian(x):
        samples = x.double() if x.is_floating_point() else x
        return torch.stack(
            [
                torch.stack(
                    [
                        torch.cat(
                            [
                                g.flatten()
                                for g in torch.autograd.grad(
                                    output,
                                    parameters,
                                    retain_graph=True,
                                    allow_unused=True,
                                    materialize_grads=True,
                                )
                            ]
                        )
                        for output in exact(sample[None]).flatten()
                    ]
                )
                for sample in samples
            ]
        )

    first = jacobian(x1)
    second = first if x2 is None else jacobian(x2)
    return torch.einsum("nop,mqp->nmoq", first, second)


@pytest.fixture(scope="session")
def oracle():
    return brute_force_kernel


@pytest.fixture(scope="session")
def assert_kernel():
    """Compares with a kernel of the oracle, relative to its largest entry."""

    def check(theta, exact, tolerance):
        assert theta.shape == exact.shape
        assert float((theta - exact).abs().max() / exact.abs().max()) <= tolerance

    return check
