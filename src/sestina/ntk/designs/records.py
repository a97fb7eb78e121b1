"""A design as the fields of a file, and back with each field checked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from sestina.core.errors import InvalidValueError
from sestina.ntk.activations import activation
from sestina.ntk.designs.files import Fields
from sestina.ntk.designs.forms import DesignedActivation
from sestina.ntk.designs.inputs import DataInputs
from sestina.ntk.designs.measures import KernelError
from sestina.ntk.designs.options import DesignForm, DesignOptions, SignChoice
from sestina.ntk.designs.origins import Origin
from sestina.ntk.designs.packing import pack
from sestina.ntk.designs.variance import UnitVariance
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.pairs import Kind

if TYPE_CHECKING:
    from sestina.ntk.designs.inverse import Design

__all__ = ["from_body", "to_body"]

Floats = NDArray[np.float64]

_ERROR_NAMES = tuple(item.name for item in fields(KernelError))
_MAX_DEPTH = 10_000
"""Of a network in a file: each layer costs time, and a file is not to take more than a second."""
_SPEC_TOLERANCE = 1e-6
"""Of K(1), between a target in a file and its coefficients: those of a kernel known on real
numbers only are a fit."""
_LARGEST_VALUE = 1e75
"""Of φ and its slopes near 0: kernels multiply four of them."""


def to_body(design: Design) -> dict[str, object]:
    """The fields of a design file."""
    variance, origin = design.variance, design.origin
    return {
        "options": asdict(design.options),
        "target": _storable_spec(design.target),
        "origin": None if origin is None else asdict(origin),
        "inputs": None if design.inputs is None else design.inputs.to_body(),
        "beyond": design.beyond,
        "coefficients": pack(design.coefficients),
        "series": pack(design.series),
        "achieved_coefficients": pack(design.achieved_coefficients),
        "activation": design.activation.spec(),
        "error": asdict(design.error),
        "tail": design.tail,
        "variance": {
            "angles": pack(variance.angles_a),
            "sigma": pack(variance.sigma_a),
            "rms": variance.rms,
            "variation": variance.variation,
        },
    }


def from_body(body: Fields) -> dict[str, Any]:
    """The arguments of a `Design` from a file's fields, each checked.

    Raises:
        FileFormatError: naming the field.
        SestinaError, ArithmeticError, TypeError, ValueError: if a value is refused further on.
    """
    error = body.part("error")
    a_k, achieved_k = body.numbers("coefficients"), body.numbers("achieved_coefficients")
    for name, numbers in (("coefficients", a_k), ("achieved_coefficients", achieved_k)):
        if (numbers < 0).any():
            body.refuse(name, float(numbers.min()), "numbers of at least 0")
    beyond = body.number("beyond", at_least=0.0)
    inputs = body.optional_part("inputs")
    return {
        "options": _options(body.part("options")),
        "target": _target(body, a_k, beyond),
        "coefficients": a_k,
        "beyond": beyond,
        "series": body.numbers("series"),
        "activation": _activation(body),
        "achieved_coefficients": achieved_k,
        "error": KernelError(
            **{
                name: error.number(name, at_least=-math.inf if name == "at_one" else 0.0)
                for name in _ERROR_NAMES
            }
        ),
        "tail": body.number("tail"),
        "variance": _variance(body.part("variance")),
        "origin": _origin(body.optional_part("origin")),
        "inputs": None if inputs is None else DataInputs.from_body(inputs),
    }


def _options(options: Fields) -> DesignOptions:
    return DesignOptions(
        kind=cast("Kind", options.text("kind", get_args(Kind))),
        form=cast("DesignForm", options.text("form", get_args(DesignForm))),
        degree=options.count("degree", optional=True),
        terms=options.count("terms", optional=True),
        width=options.count("width") or 0,
        signs=cast("SignChoice", options.text("signs", get_args(SignChoice))),
    )


def _variance(variance: Fields) -> UnitVariance:
    angles, sigma = variance.numbers("angles", at_least=2), variance.numbers("sigma", at_least=2)
    if angles.size != sigma.size or (np.diff(angles) <= 0).any() or (sigma < 0).any():
        variance.refuse("sigma", f"{sigma.size} numbers", "one >= 0 for each ascending angle")
    return UnitVariance(
        angles_a=angles,
        sigma_a=sigma,
        rms=variance.number("rms", at_least=0.0),
        variation=variance.number("variation", at_least=1e-3),
    )


def _activation(body: Fields) -> DesignedActivation:
    """φ, tried out: numbers that are finite in the file may overflow in use."""
    phi = activation(body.mapping("activation"))
    if not isinstance(phi, DesignedActivation):
        body.refuse("activation", repr(phi), "one of the forms that design() makes")
    z = torch.linspace(-4, 4, 33, dtype=torch.float64)
    for order, name in enumerate(("φ", "φ'", "φ''")):
        with torch.no_grad():
            largest = float(phi.value_of_order(z, order).abs().max())
        if not largest <= _LARGEST_VALUE:
            expected = f"at most {_LARGEST_VALUE:g} on [-4, 4]"
            body.refuse("activation", f"one whose {name} reaches {largest:g}", expected)
    return phi


def _origin(body: Fields | None) -> Origin | None:
    if body is None:
        return None
    is_nearest = not body.is_null("nearest_of")
    return Origin(
        text=body.any_text("text"),
        nearest_of=body.any_text("nearest_of") if is_nearest else None,
        distance=body.number("distance", at_least=0.0) if is_nearest else None,
    )


def _target(body: Fields, a_k: Floats, beyond: float) -> DotProductKernel:
    """The kernel asked for, or the series of its coefficients."""
    if body.is_null("target"):
        return DotProductKernel.from_coefficients(np.append(a_k, beyond))
    spec = body.mapping("target")
    if _deepest(spec) > _MAX_DEPTH:
        body.refuse("target", f"a network of depth {_deepest(spec):g}", f"at most {_MAX_DEPTH}")
    try:
        kernel = DotProductKernel.from_spec(spec)
    except (AttributeError, LookupError) as error:  # a part of another type than it should have
        body.refuse("target", f"no kernel's spec: {error}", "what DotProductKernel.spec() gives")
    total = float(a_k.sum()) + beyond
    if abs(kernel.total - total) > _SPEC_TOLERANCE * total:
        body.refuse("target", f"a kernel with K(1) = {kernel.total:g}", f"{total:g}, Σ aₖ")
    return kernel


def _storable_spec(kernel: DotProductKernel) -> dict[str, object] | None:
    """The kernel's spec, if it has one that `_target` reads."""
    try:
        spec = kernel.spec()
        json.dumps(spec, allow_nan=False)
    except (InvalidValueError, TypeError, ValueError):  # a Python function, or not for JSON
        return None
    return spec if _deepest(spec) <= _MAX_DEPTH else None


def _deepest(spec: object) -> float:
    """The largest "depth" in a spec."""
    if not isinstance(spec, Mapping):
        return 0.0
    depth = spec.get("depth", 0)
    own = float(depth) if isinstance(depth, (int, float)) else 0.0
    return max([own, *(_deepest(part) for part in spec.values())])
