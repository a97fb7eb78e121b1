"""What the benches of designed networks share: targets, independent quadrature, random networks.

Nothing here uses the code that a `Design` declares its figures with.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from sestina.ntk.activations import Activation
from sestina.ntk.architectures import FullyConnected
from sestina.ntk.empirical import empirical_ntk
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.nets import FullyConnectedNet

__all__ = [
    "ANGLES",
    "deep_relu",
    "kernel_by_projection",
    "kernel_errors",
    "sigma_by_quadrature",
    "sigma_by_sampling",
    "upper_bound",
]

Floats = NDArray[np.float64]

ANGLES: Floats = np.linspace(0, math.pi, 100)


def deep_relu(depth: int) -> DotProductKernel:
    """The tangent kernel of a ReLU network with σ_w² = 2, σ_b² = 0.01 and a plain readout."""
    network = FullyConnected(activation="relu", depth=depth, sigma_w=math.sqrt(2), sigma_b=0.1)
    return network.dot_product("ntk")


def _on_grid(phi: Activation, limit: float, points: int) -> tuple[Floats, Floats, Floats, Floats]:
    # Midpoints of an even number of cells: no point falls on a kink or knot of interest.
    step = 2 * limit / points
    z = -limit + step * (np.arange(points) + 0.5)
    weights = step * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    with torch.no_grad():
        values: Floats = phi(torch.from_numpy(z)).numpy()
        slopes: Floats = phi.derivative(torch.from_numpy(z)).numpy()
    return np.asarray(z, np.float64), np.asarray(weights, np.float64), values, slopes


def sigma_by_quadrature(phi: Activation, kind: str, *, limit: float = 12.0) -> float:
    """σ(1) by the midpoint rule on 400,000 points."""
    _, weights, values, slopes = _on_grid(phi, limit, 400_000)
    if kind == "nngp":
        return math.sqrt(weights @ values**4 - (weights @ values**2) ** 2)
    second = weights @ (values**4 + 2 * values**2 * slopes**2 + 3 * slopes**4)
    return math.sqrt(second - (weights @ (values**2 + slopes**2)) ** 2)


def sigma_by_sampling(
    phi: Activation, kind: str, cosine: float, *, samples: int = 1 << 22, seed: int = 0
) -> tuple[float, float]:
    """σ(c) by Monte Carlo, and its standard error.

    Fourth moments are made by rare units. So preactivations are drawn from N(0, 4) and weighted by
    the ratio of densities; plain draws come out too small, and with too small a standard error.
    """
    generator = torch.Generator().manual_seed(seed)
    spread, block = 2.0, 1 << 20
    sums = np.zeros(3)
    for _ in range(samples // block):
        u, w, readout = torch.randn(3, block, generator=generator, dtype=torch.float64)
        ratio = spread**2 * torch.exp(-(u**2 + w**2) * (spread**2 - 1) / 2)
        u, w = spread * u, spread * w
        v = cosine * u + math.sqrt(1 - cosine**2) * w
        with torch.no_grad():
            unit = phi(u) * phi(v)
            if kind == "ntk":
                unit += cosine * readout**2 * phi.derivative(u) * phi.derivative(v)
        terms = (unit * ratio, unit**2 * ratio, (unit**2 * ratio) ** 2)
        sums += [float(term.mean()) for term in terms]
    mean, second, fourth = sums / (samples // block)
    sigma = math.sqrt(second - mean**2)
    return sigma, math.sqrt((fourth - second**2) / samples) / (2 * sigma)


def kernel_by_projection(
    phi: Activation, kind: str, degrees: int, *, limit: float = 9.0, points: int = 24_000
) -> tuple[Floats, Floats]:
    """aₖ of an activation's network, one degree after another, and K at `ANGLES`."""
    z, weights, values, slopes = _on_grid(phi, limit, points)
    before, now = np.zeros_like(z), np.ones_like(z)
    energy = np.empty(degrees)
    for k in range(degrees):
        energy[k] = ((weights * values) @ now) ** 2
        before, now = now, (z * now - math.sqrt(k) * before) / math.sqrt(k + 1)
    a_k = energy * (1 + np.arange(degrees)) if kind == "ntk" else energy
    cosines = np.cos(ANGLES)
    curve = np.zeros_like(cosines)
    for a in a_k[::-1]:
        curve = curve * cosines + a
    # At c = 1 every degree counts, those that were not computed too.
    curve[0] = weights @ (values**2 + slopes**2) if kind == "ntk" else weights @ values**2
    return a_k, curve


def kernel_errors(
    network: Callable[[int], FullyConnectedNet], target: DotProductKernel, seeds: range
) -> Floats:
    """For each seed the RMS over `ANGLES` of one random network's kernel error."""
    x = math.sqrt(2) * torch.from_numpy(np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1)).float()
    wanted = target(np.cos(ANGLES))
    errors = []
    for seed in seeds:
        kernel = empirical_ntk(network(seed), x[:1], x, axes="full").double().numpy().reshape(-1)
        errors.append(math.sqrt(((kernel - wanted) ** 2).mean()))
    return np.array(errors)


def upper_bound(errors: Floats) -> tuple[float, float, float]:
    """Mean, its standard error, and the upper 95 % bound of the mean."""
    standard_error = float(errors.std(ddof=1)) / math.sqrt(errors.size)
    return float(errors.mean()), standard_error, float(errors.mean()) + 1.96 * standard_error
