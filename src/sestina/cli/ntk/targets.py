"""The kernels that the command line knows: reading one, and listing what can be written."""

from __future__ import annotations

from pathlib import Path

import click

from sestina.cli.output import json_option, print_listing
from sestina.core.errors import DivergentKernelError, OptionError, SestinaError
from sestina.ntk.activations.base import REGISTRY, ClosedForm
from sestina.ntk.designs.inverse import Design
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.kernels.targets import parse_target
from sestina.ntk.pairs import Kind

__all__ = ["TARGET_HELP", "read_target", "targets_command"]

TARGET_HELP = (
    "The kernel: a network's as relu:depth=4,sigma_w=sqrt2,sigma_b=0.1, a series a0 + a1 c + … as "
    "poly:0,0,1,1, or the file of a design. `sestina ntk targets` lists what there is."
)


def read_target(text: str, kind: Kind) -> DotProductKernel:
    """The kernel that a text names: a target, or a design's file, which ends in .json.

    Raises:
        SestinaError: whatever is wrong with it, as `parse_target` and `Design.load` say.
    """
    if text.lower().endswith(".json"):
        design = Design.load(text)
        if design.kind != kind:
            raise OptionError(
                "target",
                text,
                expected=f"a design of kind {kind}; this one is of kind {design.kind}",
                remedy=f"pass --kind {design.kind}",
            )
        return design.achieved
    if not text.strip():
        raise OptionError(
            "target",
            repr(text),
            expected="the name of a kernel",
            remedy="see `sestina ntk targets`",
        )
    try:
        return parse_target(text, kind)
    except DivergentKernelError as error:
        remedy = "choose smaller numbers"
        name = text.strip()
        if not name.startswith("poly:"):
            name = f"{kind} of {name}"
            if kind == "ntk" and _is_finite(text, "nngp"):
                remedy = "add --kind nngp"
        raise DivergentKernelError(
            name, "infinite", expected=error.expected, remedy=remedy
        ) from error
    except SestinaError:
        if Path(text).is_file():
            raise OptionError(
                "target",
                text,
                expected="a kernel's name, or a design's file that ends in .json",
                remedy=f"to design from data, run: sestina ntk fit {text}",
            ) from None
        raise


def _is_finite(text: str, kind: Kind) -> bool:
    try:
        parse_target(text, kind)
    except SestinaError:
        return False
    return True


@click.command("targets")
@json_option
def targets_command(*, as_json: bool) -> None:
    """List the kernels that can be asked for by name.

    An activation names the kernels of a fully connected network with it. Options follow after a
    colon, separated by commas: the activation's own, and the network's, which are depth, sigma_w,
    sigma_b, readout_sigma_w, readout_sigma_b, residual and layer_norm. sqrt2 is a number, too.
    """
    records: list[dict[str, object]] = [
        {
            "target": name,
            "own options": ", ".join(REGISTRY[name].arguments),
            "computed by": "closed form"
            if issubclass(REGISTRY[name], ClosedForm)
            else "quadrature",
            "kinds": "ntk, nngp" if REGISTRY[name].has_ntk else "nngp",
            "example": example,
        }
        for name, example in _EXAMPLES.items()
    ]
    series = {"target": "poly", "own options": "a0,a1,…", "computed by": "coefficients"}
    records.append({**series, "kinds": "ntk, nngp", "example": "poly:0,0,1,1"})
    print_listing(records, as_json=as_json)


_EXAMPLES = {
    "ab_relu": "ab_relu:a=-0.5,b=1",
    "abs": "abs:depth=2",
    "cos": "cos:frequency=2,phase=0.5",
    "erf": "erf:depth=4,sigma_w=1.5",
    "exp": "exp:a=1,b=0.5",
    "gaussian": "gaussian:b=-0.5",
    "gelu": "gelu:depth=3,sigma_w=1.5",
    "hermite": "hermite:degree=3",
    "leaky_relu": "leaky_relu:slope=0.1,depth=3",
    "monomial": "monomial:degree=2",
    "rbf": "rbf:gamma=0.5",
    "rectified_monomial": "rectified_monomial:degree=2",
    "relu": "relu:depth=4,sigma_w=sqrt2,sigma_b=0.1",
    "sigmoid": "sigmoid:depth=2,sigma_w=4",
    "sign": "sign",
    "silu": "silu:depth=2",
    "sin": "sin:amplitude=0.5,frequency=6",
    "softplus": "softplus:beta=2",
    "tanh": "tanh:depth=2,sigma_w=1.5",
}
"""One for each activation whose options are numbers; the others can't be written in one word."""
