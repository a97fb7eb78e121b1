"""`sestina ntk design` and `sestina ntk show`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click
import numpy as np

from sestina.cli.ntk.reports import (
    check_destination,
    design_pictures,
    print_design,
    write_all,
)
from sestina.cli.ntk.targets import TARGET_HELP, read_target
from sestina.cli.options import options_argument
from sestina.cli.output import drawn_progress, json_option
from sestina.core.errors import NotAchievableError
from sestina.ntk.designs.inverse import Design, design
from sestina.ntk.designs.options import DesignOptions
from sestina.ntk.kernels.dot_product import DotProductKernel

__all__ = ["design_command", "show_command"]

_SHOWN_COEFFICIENTS = 8


@click.command("design")
@click.option("--target", required=True, metavar="KERNEL", help=TARGET_HELP)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where to write the design, one JSON file; without it nothing is kept.",
)
@click.option(
    "--plot",
    is_flag=True,
    help="Write pictures of K(c), φ(z) and random networks' kernels beside it, as PNG.",
)
@click.option(
    "--nearest",
    is_flag=True,
    help="If no network has the kernel, design the nearest one that a network has.",
)
@click.option("--seed", default=0, show_default=True, help="Of the random networks in the picture.")
@options_argument(DesignOptions)
@json_option
def design_command(
    *,
    target: str,
    out: Path | None,
    plot: bool,
    nearest: bool,
    seed: int,
    options: DesignOptions,
    as_json: bool,
) -> None:
    """Find the network with one hidden layer that has the kernel asked for.

    Prints the error that is left, the part of the kernel not realised (tail), the spread σ of one
    random unit, and the width at which one random network comes within 1, 2 and 5 % of the kernel.

    \b
    Examples:
      sestina ntk design --target relu:depth=4,sigma_w=sqrt2,sigma_b=0.1 --out deep.json --plot
      sestina ntk design --target poly:0,0,1,1 --kind nngp --form hermite
    """  # noqa: D301 - \b keeps click from wrapping the lines below it
    check_destination("--out", out)
    kernel = read_target(target, options.kind)
    with drawn_progress() as progress:
        progress(0, 0, "designing")
        made = _designed(kernel, options, take_nearest=nearest)
        stem = (out or Path("design")).with_suffix("")
        pictures = design_pictures(made, seed=seed) if plot else {}
        files = write_all(pictures, stem, progress, first=() if out is None else [(out, made.save)])
    print_design(made, target, files, as_json=as_json)
    if out is None and not as_json:
        click.echo("the design is not kept; pass --out design.json to keep it")


@click.command("show")
@click.argument("path", metavar="DESIGN", type=click.Path(path_type=Path))
@click.option("--plot", is_flag=True, help="Write the pictures of `sestina ntk design` beside it.")
@click.option("--seed", default=0, show_default=True, help="Of the random networks in the picture.")
@json_option
def show_command(*, path: Path, plot: bool, seed: int, as_json: bool) -> None:
    """Show what a saved DESIGN is and how good it is."""
    made = Design.load(path)
    with drawn_progress() as progress:
        pictures = design_pictures(made, seed=seed) if plot else {}
        files = write_all(pictures, path.with_suffix(""), progress)
    print_design(made, str(path), files, as_json=as_json)


def _designed(kernel: DotProductKernel, options: DesignOptions, *, take_nearest: bool) -> Design:
    chosen = {name: getattr(options, name) for name in (f.name for f in fields(options))}
    try:
        return design(kernel, **chosen)
    except NotAchievableError as error:
        if take_nearest and isinstance(error.nearest, DotProductKernel):
            return design(error.nearest, **chosen)
        raise _refusal(error) from error


def _refusal(error: NotAchievableError) -> NotAchievableError:
    """The same error, with the remedy that the command line has."""
    written = ""
    if isinstance(error.nearest, DotProductKernel):
        nearest = error.nearest.coefficients(_SHOWN_COEFFICIENTS)
        shown = ",".join(f"{max(a, 0.0):.4g}" for a in np.trim_zeros(nearest.round(9), "b"))
        is_more = error.nearest.tail(_SHOWN_COEFFICIENTS) > 1e-9 * error.nearest.total
        written = f", poly:{shown}{',…' if is_more else ''}"
    return NotAchievableError(
        error.indices,
        error.coefficients,
        nearest=error.nearest,
        distance=error.distance,
        remedy=f"add --nearest to design the nearest kernel that a network has{written}: "
        f"it differs by at most {error.distance:.3g}",
    )
