"""Parity with kernels computed by neural-tangents 0.6.5 in float64, and with ReLU curves.

The references are in the shared data. Two of their traits are worked around, each against an oracle
of its own: of sign they hold no tangent kernel but the derivative's value almost everywhere, zero;
and of rectified squares they are NaN where two inputs are parallel.
"""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
import torch

from sestina.core.errors import DivergentKernelError
from sestina.ntk.activations import (
    GELU,
    RBF,
    Abs,
    Cos,
    Custom,
    Erf,
    Exp,
    Gaussian,
    Hermite,
    LeakyReLU,
    Monomial,
    Polynomial,
    RectifiedMonomial,
    ReLU,
    Sign,
    Sin,
)
from sestina.ntk.architectures import FullyConnected
from tests.ntk.plain import plain_kernels

ACTIVATIONS = {
    "abs": Abs(),
    "cos(a=1,b=1.2,c=0)": Cos(1.0, 1.2, 0.0),
    "erf": Erf(),
    "exp(1,.5)": Exp(1.0, 0.5),
    "gaussian(1,-1)": Gaussian(1.0, -1.0),
    "gelu": GELU(),
    "hermite3": Hermite(3),
    "leaky0.1": LeakyReLU(0.1),
    "monomial3": Monomial(3),
    "polynomial[.1,.5,.3]": Polynomial([0.1, 0.5, 0.3]),
    "rbf(gamma=.5)": RBF(0.5),
    "rectmono2": RectifiedMonomial(2),
    "relu": ReLU(),
    "sign": Sign(),
    "sin(a=1.5,b=2,c=0.3)": Sin(1.5, 2.0, 0.3),
}
DOUBLE = torch.float64


@pytest.fixture(scope="module")
def reference(shared_data):
    path = shared_data / "ntk" / "nngp_ntk_reference_f64.json"
    if not path.is_file():
        pytest.skip(f"no shared data: {path.name}")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def curves(shared_data):
    path = shared_data / "ntk" / "relu_curves.json"
    if not path.is_file():
        pytest.skip(f"no shared data: {path.name}")
    return json.loads(path.read_text(encoding="utf-8"))


def network(case, phi):
    return FullyConnected(
        activation=phi,
        depth=case["L"],
        sigma_w=case["W_std"],
        sigma_b=case["b_std"],
        readout_sigma_w=case["ro"][0],
        readout_sigma_b=case["ro"][1],
    )


def largest_error(found, expected):
    """Relative where the kernel is above 1; where the reference is NaN nothing is compared."""
    expected = torch.tensor(expected, dtype=DOUBLE)
    errors = ((found - expected).abs() / expected.abs().clamp(min=1))[~expected.isnan()]
    return float(errors.max())


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_closed_forms_are_right_to_1e_10(reference, name):
    cases = [case for case in reference["cases"] if case["act"] == name]
    assert cases
    for case in cases:
        x = torch.tensor(reference[case["inp"]], dtype=DOUBLE)
        one = network(case, ACTIVATIONS[name])
        assert largest_error(one.nngp(x), case["nngp"]) < 1e-10
        if name != "sign":
            assert largest_error(one.ntk(x), case["ntk"]) < 1e-10


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"sign"}))
def test_quadrature_is_right_to_1e_6_smooth_and_1e_5_kinked(reference, name):
    phi = ACTIVATIONS[name]
    custom = Custom(phi.forward, phi.derivative, kinks=phi.kinks)
    tolerance = 1e-5 if phi.kinks else 1e-6
    for case in reference["cases"]:
        if case["act"] == name:
            x = torch.tensor(reference[case["inp"]], dtype=DOUBLE)
            nngp, ntk = plain_kernels(network(case, custom), x)
            assert largest_error(nngp, case["nngp"]) < tolerance
            assert largest_error(ntk, case["ntk"]) < tolerance


def test_every_case_of_the_reference_is_covered(reference):
    assert {case["act"] for case in reference["cases"]} == set(ACTIVATIONS)


def test_where_the_reference_is_nan_opposite_inputs_have_the_right_kernel(reference):
    # max(u, 0)² max(−u, 0)² = 0, and on the diagonal E[u⁴]/2 = 3q²/2
    x = torch.tensor(reference["Xn"], dtype=DOUBLE)
    assert torch.equal(x[1] + x[5], torch.zeros(5, dtype=DOUBLE))
    nngp, ntk = FullyConnected(activation=RectifiedMonomial(2)).kernels(x)
    assert abs(nngp[1, 5].item()) < 1e-12
    assert abs(ntk[1, 5].item()) < 1e-12
    torch.testing.assert_close(nngp.diagonal(), torch.full((6,), 1.5, dtype=DOUBLE))


def test_signs_tangent_kernel_is_refused_not_zero(reference):
    x = torch.tensor(reference["X"], dtype=DOUBLE)
    with pytest.raises(DivergentKernelError, match=re.escape("infinite for Sign()")):
        FullyConnected(activation=Sign()).ntk(x)


@pytest.mark.parametrize("kind", ["nngp", "ntk"])
def test_relu_curves_and_coefficients_are_right_to_1e_13(curves, kind):
    for depth, known in curves["kernels"].items():
        kernel = FullyConnected(
            activation="relu", depth=int(depth), sigma_w=math.sqrt(2), sigma_b=0.1
        ).dot_product(kind)
        c = np.array(curves["c"], dtype=np.float64)
        np.testing.assert_allclose(kernel(c), known[kind], rtol=0, atol=1e-13)
        found = kernel.coefficients(1000)[: len(known[f"{kind}_coef"])]
        np.testing.assert_allclose(found, known[f"{kind}_coef"], rtol=0, atol=1e-13)
