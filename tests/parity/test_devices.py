"""Everything that is plain PyTorch gives on a GPU what it gives on the CPU. Skipped without one."""

import pytest
import torch

from sestina import ntk

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

CUDA = torch.device("cuda")


def rows(n: int, d: int, seed: int, *, one_norm: bool = True) -> torch.Tensor:
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x *= d**0.5 / x.norm(dim=1, keepdim=True)
    if not one_norm:
        x *= torch.linspace(0.2, 3, n, dtype=torch.float64)[:, None]
    x[1], x[2] = x[0], -x[0]
    return x


NETWORKS = {
    "relu": ntk.FullyConnected(activation="relu", depth=4, sigma_w=2**0.5, sigma_b=0.1),
    "homogeneous": ntk.FullyConnected(activation="relu", depth=3),
    "erf": ntk.FullyConnected(activation="erf", depth=2, sigma_b=0.3),
    "gelu": ntk.FullyConnected(activation="gelu", depth=2),
    "quadrature": ntk.FullyConnected(activation=ntk.Custom(torch.tanh), depth=2),
    "residual": ntk.FullyConnected(activation="relu", depth=3, residual=True, layer_norm=True),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("one_norm", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 4e-6), (torch.float64, 1e-11)])
def test_kernel_matrices(network, one_norm, dtype, tolerance):
    x1 = rows(300, 7, 0, one_norm=one_norm).to(dtype)
    x2 = rows(50, 7, 1, one_norm=one_norm).to(dtype)
    for second in (None, x2):
        on_cpu = ntk.kernel_matrices(network, x1, second)
        on_gpu = ntk.kernel_matrices(
            network, x1.to(CUDA), None if second is None else second.to(CUDA)
        )
        for found, expected in zip(on_gpu, on_cpu, strict=True):
            assert found.device.type == "cuda"
            assert found.dtype == dtype
            scale = expected.abs().max()
            assert (found.cpu() - expected).abs().max() <= tolerance * scale


def test_kernels_are_differentiable():
    x = rows(5, 3, 0, one_norm=False)[[0, 3, 4]].to(CUDA).requires_grad_()
    sigma = torch.tensor(1.3, dtype=torch.float64, device=CUDA, requires_grad=True)

    def kernels(x, sigma):
        return ntk.FullyConnected(activation="relu", depth=2, sigma_w=sigma, sigma_b=0.2).kernels(x)

    assert torch.autograd.gradcheck(kernels, (x, sigma))


@pytest.mark.parametrize("form", ["table", "hermite", "relu-sum"])
def test_designed_networks_and_their_gradients(form):
    design = ntk.design(NETWORKS["relu"].dot_product("ntk"), form=form)
    nets = [design.module(7, 2, 64, seed=0).double().to(device) for device in ("cpu", CUDA)]
    x = rows(20, 7, 0)
    outputs = []
    for net in nets:
        device = net.weights[0].device
        torch.optim.SGD(net.parameters(), lr=0.1).zero_grad()
        loss = (net(x.to(device)) - 1).square().mean()
        loss.backward()
        outputs.append([loss.detach().cpu(), *(w.grad.cpu() for w in net.weights)])
    for on_cpu, on_gpu in zip(*outputs, strict=True):
        torch.testing.assert_close(on_gpu, on_cpu, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", ["structured", "contraction", "vector-products"])
@pytest.mark.parametrize("axes", ["full", "diagonal", "trace"])
def test_empirical_kernels(method, axes):
    net = NETWORKS["relu"].module(7, 3, 32, seed=0).double()
    x = rows(9, 7, 0)
    on_cpu = ntk.empirical_ntk(net, x, method=method, axes=axes)
    on_gpu = ntk.empirical_ntk(net.to(CUDA), x.to(CUDA), method=method, axes=axes)
    assert on_gpu.device.type == "cuda"
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=1e-9, atol=1e-10)


def test_the_operator_multiplies_without_a_matrix():
    net = NETWORKS["relu"].module(7, 3, 32, seed=0).double().to(CUDA)
    x = rows(9, 7, 0).to(CUDA)
    operator = ntk.EmpiricalNTK(net, x)
    matrix = ntk.empirical_ntk(net, x).permute(0, 2, 1, 3).reshape(27, 27)
    vector = torch.randn(27, dtype=torch.float64, device=CUDA)
    torch.testing.assert_close((operator @ vector).reshape(-1), matrix @ vector)


def test_predictions():
    x, y = rows(30, 5, 0), torch.randn(30, 2, dtype=torch.float64)
    x = x + 0.1 * torch.randn(30, 5, dtype=torch.float64)
    results = []
    for device in ("cpu", CUDA):
        nngp, theta = NETWORKS["erf"].kernels(x[:20].to(device))
        cross = ntk.kernel_matrices(NETWORKS["erf"], x[20:].to(device), x[:20].to(device))
        prior_test = ntk.kernel_matrix(NETWORKS["erf"], "nngp", x[20:].to(device))
        flow = ntk.GradientFlow(theta, y[:20].to(device), prior=nngp)
        process = ntk.GaussianProcess(nngp, y[:20].to(device), noise=0.1)
        results.append(
            [
                flow.mean(cross.ntk, time=3.0).cpu(),
                flow.covariance(cross.ntk, cross.nngp, prior_test, time=3.0).cpu(),
                process.mean(cross.nngp).cpu(),
                process.covariance(cross.nngp, prior_test).cpu(),
            ]
        )
    for on_cpu, on_gpu in zip(*results, strict=True):
        torch.testing.assert_close(on_gpu, on_cpu, rtol=1e-7, atol=1e-9)


def test_gpytorch_kernels():
    gp = pytest.importorskip("sestina.ntk.gp")
    x = rows(12, 4, 0)
    results = []
    for device in ("cpu", CUDA):
        kernel = gp.WideNetworkKernel("relu", depth=2, sigma_b=0.3).to(device)
        matrix = kernel(x.to(device)).to_dense()
        matrix.sum().backward()
        results.append([matrix.detach().cpu(), kernel.raw_sigma_w.grad.cpu()])
    for on_cpu, on_gpu in zip(*results, strict=True):
        torch.testing.assert_close(on_gpu, on_cpu, rtol=1e-6, atol=1e-8)
