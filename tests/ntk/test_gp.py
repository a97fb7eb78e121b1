"""The GPyTorch kernel: values, gradients, batches, and a process that learns."""

import math
import subprocess
import sys

import pytest
import torch

from sestina.ntk.architectures import FullyConnected

gpytorch = pytest.importorskip("gpytorch", exc_type=ImportError)

from sestina.ntk.gp import WideNetworkKernel  # noqa: E402 - after the check for GPyTorch


def rows(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("kind", ["nngp", "ntk"])
def test_values_are_the_networks(kind):
    kernel = WideNetworkKernel("erf", depth=3, sigma_w=1.5, sigma_b=0.3, kind=kind)
    network = FullyConnected(activation="erf", depth=3, sigma_w=1.5, sigma_b=0.3)
    x, y = rows(0, 8, 3), rows(1, 5, 3)
    of = network.nngp if kind == "nngp" else network.ntk
    # GPyTorch keeps the raw parameters in float32.
    torch.testing.assert_close(kernel(x).to_dense(), of(x), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(kernel(x, y).to_dense(), of(x, y), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(kernel(x, diag=True), of(x).diagonal(), rtol=1e-6, atol=1e-6)
    paired = kernel(x[:5], y, diag=True)
    torch.testing.assert_close(paired, of(x[:5], y).diagonal(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("activation", ["relu", "erf"])
@pytest.mark.parametrize("kind", ["nngp", "ntk"])
def test_gradients_in_scales_and_inputs_are_right(activation, kind):
    kernel = WideNetworkKernel(activation, depth=2, sigma_b=0.5, kind=kind).double()
    x, y = (rows(seed, 4, 3).requires_grad_() for seed in (2, 3))

    def matrices(raw_w, raw_b, x, y):
        values = {"raw_sigma_w": raw_w, "raw_sigma_b": raw_b}
        call = lambda *args: torch.func.functional_call(kernel, values, args)  # noqa: E731
        return call(x, y).to_dense(), call(x, x).to_dense()

    raw = [parameter.detach().clone().requires_grad_() for parameter in kernel.parameters()]
    assert torch.autograd.gradcheck(matrices, (*raw, x, y), atol=1e-6)


def test_batches_of_scales_and_of_inputs_are_computed_each():
    kernel = WideNetworkKernel("relu", batch_shape=torch.Size([2])).double()
    kernel.sigma_w = torch.tensor([1.0, 2.0]).reshape(2, 1, 1)
    kernel.sigma_b = 0.25
    x = rows(4, 6, 3)
    matrix = kernel(x).to_dense()
    assert matrix.shape == (2, 6, 6)
    for index, sigma_w in enumerate((1.0, 2.0)):
        network = FullyConnected(activation="relu", sigma_w=sigma_w, sigma_b=0.25)
        torch.testing.assert_close(matrix[index], network.nngp(x), rtol=1e-6, atol=1e-6)
    many = rows(5, 2, 6, 3)
    torch.testing.assert_close(kernel(many).to_dense()[1], kernel(many[1]).to_dense()[1])
    assert kernel(many, diag=True).shape == (2, 6)
    single = WideNetworkKernel("relu").double()
    assert single(rows(6, 4, 5, 3)).to_dense().shape == (4, 5, 5)


def test_scales_can_be_set_bounded_and_given_priors():
    kernel = WideNetworkKernel(
        "relu",
        sigma_b=0.2,
        constraint=gpytorch.constraints.Interval(0.01, 10.0),
        prior=gpytorch.priors.GammaPrior(2.0, 2.0),
    )
    kernel.sigma_w = 3.0
    assert kernel.sigma_w.item() == pytest.approx(3.0, rel=1e-5)
    assert kernel.sigma_b.item() == pytest.approx(0.2, rel=1e-5)
    assert len(list(kernel.named_priors())) == 2
    unbiased = WideNetworkKernel("relu", sigma_b=0.0)
    assert unbiased.sigma_b.item() == 0.0
    assert [name for name, _ in unbiased.named_parameters()] == ["raw_sigma_w"]
    assert not kernel.has_lengthscale


def test_a_process_learns_a_sine():
    x = torch.linspace(-2, 2, 30, dtype=torch.float64)[:, None]
    y = torch.sin(2 * x[:, 0])

    class Process(gpytorch.models.ExactGP):
        def __init__(self, likelihood):
            super().__init__(x, y, likelihood)
            self.mean_module = gpytorch.means.ZeroMean()
            network = WideNetworkKernel("erf", depth=2, sigma_b=1.0)
            self.covar_module = gpytorch.kernels.ScaleKernel(network)

        def forward(self, inputs):
            mean, covariance = self.mean_module(inputs), self.covar_module(inputs)
            return gpytorch.distributions.MultivariateNormal(mean, covariance)

    likelihood = gpytorch.likelihoods.GaussianLikelihood().double()
    likelihood.noise = 0.01
    model = Process(likelihood).double().train()
    objective = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = -objective(model(x), y)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.3
    model.eval()
    new = torch.linspace(-1.9, 1.9, 17, dtype=torch.float64)[:, None]
    with torch.no_grad():
        assert (model(new).mean - torch.sin(2 * new[:, 0])).abs().max() < 0.15


def test_without_gpytorch_the_error_says_how_to_get_it():
    code = (
        "import sys; sys.modules['gpytorch'] = None\n"
        "try:\n    import sestina.ntk.gp\n"
        "except ImportError as error:\n    print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("MissingExtraError gpytorch")
    assert "pip install 'sestina[gpytorch]'" in done.stdout
    assert math.isfinite(len(done.stderr))
