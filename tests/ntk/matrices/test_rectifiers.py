"""The stable recursion against the textbook one in 50 digits, and its polynomials."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch

from sestina.ntk.architectures import FullyConnected
from sestina.ntk.matrices.rectifiers import RectifierNetwork, angle_polynomials, homogeneous_degree


def exact(
    network: FullyConnected, c: mpmath.mpf, moments: tuple[float, float]
) -> tuple[float, float]:
    """NNGP and NTK by the recursion of the papers, in 50 digits."""
    with mpmath.workdps(50):
        a, b = mpmath.mpf(network.activation.a), mpmath.mpf(network.activation.b)
        w, beta = mpmath.mpf(network.sigma_w) ** 2, mpmath.mpf(network.sigma_b) ** 2
        q = [w * mpmath.mpf(moment) + beta for moment in moments]
        k = w * mpmath.sqrt(mpmath.mpf(moments[0]) * mpmath.mpf(moments[1])) * c + beta
        tangent = k
        for layer in range(network.depth):
            if layer == network.depth - 1:
                w = mpmath.mpf(network.readout_sigma_w) ** 2
                beta = mpmath.mpf(network.readout_sigma_b) ** 2
            root = mpmath.sqrt(q[0] * q[1])
            rho = max(mpmath.mpf(-1), min(mpmath.mpf(1), k / root))
            theta = mpmath.acos(rho)
            bend = mpmath.sin(theta) + (mpmath.pi - theta) * rho
            value = root * (a * b * rho + (b - a) ** 2 * bend / (2 * mpmath.pi))
            slope = a * b + (b - a) ** 2 * (mpmath.pi - theta) / (2 * mpmath.pi)
            k = w * value + beta
            tangent = w * tangent * slope + k
            q = [w * (a * a + b * b) / 2 * variance + beta for variance in q]
        return float(k), float(tangent)


@pytest.mark.parametrize("slopes", [(0.0, 1.0), (-1.0, 1.0), (0.99, 1.0), (-2.0, 0.5)])
@pytest.mark.parametrize("sigma_b", [0.0, 1e-4, 0.1, 2.0])
@pytest.mark.parametrize("moments", [(1.0, 1.0), (0.3, 4.0), (1e-6, 1e6)])
def test_recursion_keeps_all_digits_up_to_both_ends(
    slopes: tuple[float, float], sigma_b: float, moments: tuple[float, float]
) -> None:
    network = FullyConnected(
        activation={"name": "ab_relu", "a": slopes[0], "b": slopes[1]},
        depth=5,
        sigma_w=2**0.5,
        sigma_b=sigma_b,
        readout_sigma_b=0.2,
    )
    rectifiers = RectifierNetwork.of(network)
    assert rectifiers is not None
    sizes = np.sqrt(rectifiers.diagonal(np.asarray(moments)).prod(axis=1))
    defects = np.asarray([0.0, 1e-18, 1e-12, 1e-6, 1e-3, 0.3, 1.0])
    for half in (0, 1):
        t, x = (defects, 2 - defects) if half == 0 else (2 - defects, defects)
        values = rectifiers.kernels_at(t, x, moments)
        for place, defect in enumerate(defects):
            with mpmath.workdps(50):
                c = (1 if half == 0 else -1) * (1 - mpmath.mpf(float(defect)))
            expected = exact(network, c, moments)
            # 5 layers of a few roundings each.
            assert np.abs(values[:, place] - expected) / sizes == pytest.approx(0, abs=1e-14)


def test_diagonal_is_the_recursion_at_equal_inputs() -> None:
    network = FullyConnected(activation="relu", depth=7, sigma_w=1.3, sigma_b=0.4)
    rectifiers = RectifierNetwork.of(network)
    assert rectifiers is not None
    for moment in (0.0, 1e-8, 1.0, 300.0):
        at_ends = rectifiers.kernels_at(np.zeros(1), np.full(1, 2.0), (moment, moment))[:, 0]
        assert rectifiers.diagonal(np.asarray(moment)) == pytest.approx(at_ends, rel=1e-14)


def test_standard_parametrisation_has_its_own_tangent_factors() -> None:
    network = FullyConnected(
        activation="relu",
        depth=3,
        sigma_w=1.5,
        sigma_b=0.3,
        readout_sigma_w=0.7,
        parametrisation="standard",
        width=64,
        input_width=10,
    )
    rectifiers = RectifierNetwork.of(network)
    assert rectifiers is not None
    moments = np.asarray([0.4, 1.0, 9.0])
    q = network.first_covariance(torch.from_numpy(moments))
    for ours, theirs in zip(rectifiers.diagonal(moments), network.diagonal(q), strict=True):
        assert ours == pytest.approx(theirs.numpy(), rel=1e-13)


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "erf"},
        {"activation": "relu", "residual": True},
        {"activation": "relu", "layer_norm": True},
        {"activation": "relu", "sigma_w": 0.0, "sigma_b": 1.0},
        {"activation": {"name": "ab_relu", "a": 0.0, "b": 0.0}},
    ],
)
def test_other_networks_have_no_such_recursion(options: dict[str, object]) -> None:
    assert RectifierNetwork.of(FullyConnected(**options)) is None


@pytest.mark.parametrize(
    ("options", "degree"),
    [
        ({"activation": "relu"}, 1),
        ({"activation": "abs", "residual": True}, 1),
        ({"activation": {"name": "rectified_monomial", "degree": 2}, "depth": 3}, 8),
        ({"activation": {"name": "rectified_monomial", "degree": 2}, "residual": True}, None),
        ({"activation": "sign"}, 0),
        ({"activation": "erf", "layer_norm": True}, 0),
        ({"activation": "erf", "layer_norm": True, "residual": True}, None),
        ({"activation": "erf", "layer_norm": True, "sigma_b": 0.1}, None),
        ({"activation": "relu", "readout_sigma_b": 0.1}, None),
        ({"activation": "erf"}, None),
    ],
)
def test_norms_factor_out_only_where_they_do(
    options: dict[str, object], degree: int | None
) -> None:
    network = FullyConnected(**options)
    assert homogeneous_degree(network) == degree
    if degree is None:
        return
    x = torch.tensor([[1.0, 2.0], [2.0, -1.5]], dtype=torch.float64)
    q1, q2 = ((row * row).sum() / 2 for row in x)
    k12 = (x[0] * x[1]).sum() / 2
    scale = network.sigma_w**2
    small = network.nngp_pairwise(scale * q1, scale * q2, scale * k12)
    large = network.nngp_pairwise(scale * 4 * q1, scale * 25 * q2, scale * 10 * k12)
    assert large.item() == pytest.approx(10.0**degree * small.item(), rel=1e-12)


@pytest.mark.parametrize(("degree", "error"), [(7, 4e-8), (18, 5e-16)])
def test_angle_polynomials_are_as_accurate_as_they_say(degree: int, error: float) -> None:
    angle, arc = angle_polynomials(degree)
    for place in np.linspace(1e-3, 1, 57):
        with mpmath.workdps(50):
            y = mpmath.mpf(float(place))
            phi = mpmath.acos(1 - y)
            expected = phi / mpmath.sqrt(y)
            expected_arc = (mpmath.sin(phi) - phi * mpmath.cos(phi)) / y**1.5
        assert np.polyval(angle, 2 * place - 1) == pytest.approx(float(expected), abs=error)
        assert np.polyval(arc, 2 * place - 1) == pytest.approx(float(expected_arc), abs=error)
