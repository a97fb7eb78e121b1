"""`sestina ntk design` and `sestina ntk show`."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import click
import numpy as np

from sestina.cli.destinations import check_destination
from sestina.cli.ntk.reports import (
    DESIGN_PICTURES,
    check_pictures,
    design_pictures,
    print_design,
    write_all,
)
from sestina.cli.ntk.targets import TARGET_HELP, read_target
from sestina.cli.options import options_argument
from sestina.cli.output import drawn_progress, json_option
from sestina.core.errors import NotAchievableError
from sestina.core.progress import Progress
from sestina.ntk.designs.inverse import Design, design
from sestina.ntk.designs.options import DesignOptions
from sestina.ntk.designs.origins import Origin
from sestina.ntk.kernels.dot_product import DotProductKernel

__all__ = ["design_command", "show_command"]

_SHOWN_COEFFICIENTS = 8
_SHOWN_BY_ERROR = 4
"""Negative coefficients in the text of a `NotAchievableError`."""


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
    check_destination("--out", out, example="design.json")
    stem = (out or Path("design")).with_suffix("")
    if plot:
        check_pictures(stem, DESIGN_PICTURES)
    kernel = read_target(target, options.kind)
    with drawn_progress() as progress:
        made = _designed(kernel, target, options, progress, take_nearest=nearest)
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
    if plot:
        check_pictures(path.with_suffix(""), DESIGN_PICTURES)
    made = Design.load(path)
    with drawn_progress() as progress:
        pictures = design_pictures(made, seed=seed) if plot else {}
        files = write_all(pictures, path.with_suffix(""), progress)
    print_design(made, str(path), files, as_json=as_json)


def _designed(
    kernel: DotProductKernel,
    text: str,
    options: DesignOptions,
    progress: Progress,
    *,
    take_nearest: bool,
) -> Design:
    """The design of a kernel, or of the nearest one that a network has, which then says so."""
    chosen = {name: getattr(options, name) for name in (f.name for f in fields(options))}
    try:
        made = design(kernel, **chosen, progress=progress)
        return replace(made, origin=Origin(text=text))
    except NotAchievableError as error:
        if take_nearest and isinstance(error.nearest, DotProductKernel):
            made = design(error.nearest, **chosen, progress=progress)
            return replace(made, origin=_nearest_origin(text, error))
        raise _refusal(error) from error


def _refusal(error: NotAchievableError) -> NotAchievableError:
    """The same error, with the remedy that the command line has."""
    written = ""
    if isinstance(error.nearest, DotProductKernel):
        nearest = error.nearest.coefficients(_SHOWN_COEFFICIENTS)
        nearest = np.where(nearest > 1e-9 * error.nearest.total, nearest, 0.0)
        shown = ",".join(f"{a:.4g}" for a in np.trim_zeros(nearest, "b"))
        is_more = error.nearest.tail(_SHOWN_COEFFICIENTS) > 1e-9 * error.nearest.total
        written = f", poly:{shown}{',…' if is_more else ''}"
    remedy = (
        f"add --nearest to design the nearest kernel that a network has{written}: it differs by at "
        f"most {error.distance:.3g}"
    )
    if isinstance(error.nearest, DotProductKernel) and not (
        error.nearest.total > 1e-9 * error.distance
    ):
        remedy = "ask for another: the nearest kernel that a network has is zero"
    return NotAchievableError(
        error.indices,
        error.coefficients,
        nearest=error.nearest,
        distance=error.distance,
        remedy=f"{_others(error)}{remedy}",
    )


def _nearest_origin(text: str, error: NotAchievableError) -> Origin:
    dropped = f"{_negative(error, 0)} dropped"
    return Origin(
        text=f"nearest achievable to {text} ({dropped}; differs by at most {error.distance:.3g})",
        nearest_of=text,
        distance=error.distance,
    )


def _others(error: NotAchievableError) -> str:
    """The negative coefficients that the error's own text leaves out."""
    further = _negative(error, _SHOWN_BY_ERROR)
    return f"the others are {further}; " if further else ""


def _negative(error: NotAchievableError, first: int) -> str:
    """Negative coefficients from the first asked for up to the eighth, and how many follow."""
    pairs = list(zip(error.indices, error.coefficients, strict=True))
    shown = ", ".join(f"a_{k} = {a:.6g}" for k, a in pairs[first:_SHOWN_COEFFICIENTS])
    more = len(pairs) - _SHOWN_COEFFICIENTS
    return f"{shown} and {more} more" if more > 0 else shown
