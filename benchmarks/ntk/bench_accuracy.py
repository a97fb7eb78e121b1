"""Forward map against float64 references: closed forms, and the same functions by quadrature.

The references, computed by neural-tangents in float64, are shared data beside the checkout; without
them the bench says so and ends. Errors are relative where a kernel is above 1.
"""

from __future__ import annotations

import json

import torch

from benchmarks.harness import Report, Value, at_most, main
from benchmarks.workers import ROOT
from sestina.ntk.activations import (
    GELU,
    RBF,
    Abs,
    Activation,
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
from sestina.ntk.pairs import Kernels

REFERENCE = ROOT.parent / "shared" / "data" / "ntk" / "nngp_ntk_reference_f64.json"
ACTIVATIONS: dict[str, Activation] = {
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


def largest_error(found, expected):
    """Where the reference is NaN (rectified squares of parallel inputs) nothing is compared."""
    expected = torch.tensor(expected, dtype=torch.float64)
    errors = ((found - expected).abs() / expected.abs().clamp(min=1))[~expected.isnan()]
    return float(errors.max())


def case_error(case, x, phi):
    network = FullyConnected(
        activation=phi,
        depth=case["L"],
        sigma_w=case["W_std"],
        sigma_b=case["b_std"],
        readout_sigma_w=case["ro"][0],
        readout_sigma_b=case["ro"][1],
    )
    if not phi.has_ntk:  # the reference has the derivative almost everywhere, ours refuses
        return largest_error(network.nngp(x), case["nngp"])
    return max(
        largest_error(found, case[kind])
        for kind, found in zip(Kernels._fields, network.kernels(x), strict=True)
    )


def numerical(phi):
    return Custom(phi.forward, phi.derivative, kinks=phi.kinks)


def bench(report: Report) -> None:
    if not REFERENCE.is_file():
        print(f"no reference data: {REFERENCE} does not exist")
        return
    reference = json.loads(REFERENCE.read_text(encoding="utf-8"))
    closed: dict[str, float] = {}
    smooth: dict[str, float] = {}
    kinked: dict[str, float] = {}
    for case in reference["cases"]:
        phi = ACTIVATIONS[case["act"]]
        x = torch.tensor(reference[case["inp"]], dtype=torch.float64)
        name = f"{case['act']}, depth {case['L']}, {case['inp']}"
        closed[name] = case_error(case, x, phi)
        if phi.has_ntk:
            (kinked if phi.kinks else smooth)[name] = case_error(case, x, numerical(phi))
    for what, errors, target in [
        ("closed form", closed, 1e-10),
        ("smooth quadrature", smooth, 1e-6),
        ("kinked quadrature", kinked, 1e-5),
    ]:
        worst = max(errors, key=errors.__getitem__)
        report.row(
            what=f"forward map against float64 references, {what}, largest error",
            workload={"cases": len(errors), "kernels": list(Kernels._fields), "dtype": "float64"},
            measured=Value(errors[worst]),
            target=at_most(target),
            notes={"worst": worst},
        )


if __name__ == "__main__":
    main(bench)
