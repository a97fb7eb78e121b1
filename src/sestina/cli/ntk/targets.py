"""The kernels that the command line knows: reading one, and listing what can be written."""

from __future__ import annotations

from pathlib import Path

import click

from sestina.cli.output import json_option, print_listing
from sestina.core.errors import OptionError, SestinaError
from sestina.ntk.activations.base import REGISTRY, ClosedForm
from sestina.ntk.designs import Design
from sestina.ntk.kernels import DotProductKernel
from sestina.ntk.pairs import Kind
from sestina.ntk.targets import parse_target

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
            "target", text, expected="the name of a kernel", remedy="see `sestina ntk targets`"
        )
    try:
        return parse_target(text, kind)
    except SestinaError:
        if Path(text).is_file():
            raise OptionError(
                "target",
                text,
                expected="a kernel's name, or a design's file that ends in .json",
                remedy=f"to design from data, run: sestina ntk fit {text}",
            ) from None
        raise


@click.command("targets")
@json_option
def targets_command(*, as_json: bool) -> None:
    """List the kernels that can be asked for by name.

    An activation names the kernels of a network with it. Options follow after a colon, separated by
    commas: the activation's own, and the network's: depth, sigma_w, sigma_b, readout_sigma_w,
    readout_sigma_b, residual, layer_norm. Numbers may be written as sqrt2.
    """
    records: list[dict[str, object]] = [
        {
            "target": name,
            "options": ", ".join(kind.arguments),
            "computed by": "closed form" if issubclass(kind, ClosedForm) else "quadrature",
            "kernels": "nngp, ntk" if kind.has_ntk else "nngp",
            "example": _example(name, kind.arguments),
        }
        for name, kind in REGISTRY.items()
    ]
    records.append(
        {
            "target": "poly",
            "options": "a0,a1,…",
            "computed by": "its coefficients",
            "kernels": "nngp, ntk",
            "example": "poly:0,0,1,1",
        }
    )
    print_listing(records, as_json=as_json)


def _example(name: str, arguments: tuple[str, ...]) -> str:
    written = _EXAMPLES.get(name)
    if written is not None:
        return written
    return f"{name}:depth=2" if not arguments else f"{name}:{arguments[0]}=2"


_EXAMPLES = {
    "relu": "relu:depth=4,sigma_w=sqrt2,sigma_b=0.1",
    "sin": "sin:amplitude=0.5,frequency=6",
    "sign": "sign:depth=1",
}
