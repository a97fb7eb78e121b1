"""What the commands show of a design, and where its pictures go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from sestina.cli.destinations import check_destination
from sestina.cli.output import print_json, print_table
from sestina.core.errors import OptionError
from sestina.core.plots import save_figure
from sestina.core.progress import Progress, silent, tracked
from sestina.ntk.designs.inverse import Design
from sestina.ntk.pictures import activation_picture, kernel_picture, network_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "ACCURACIES",
    "DESIGN_PICTURES",
    "Pictures",
    "check_pictures",
    "design_facts",
    "design_pictures",
    "design_rows",
    "print_design",
    "print_files",
    "write_all",
]

_FORMAT_VERSION = 1

ACCURACIES = (0.01, 0.02, 0.05)
"""Of one network's kernel, relative to the kernel's own size, for which widths are shown."""

Pictures: TypeAlias = "dict[str, Callable[[], Figure]]"
"""What draws a picture, by what comes after the file's stem: "kernel" for design-kernel.png."""


DESIGN_PICTURES = ("kernel", "activation", "network")
"""The names of a design's pictures."""


def design_facts(design: Design, target: str) -> dict[str, object]:
    """What is said of a design, for programs; `target` is what to call one that has no name."""
    origin = design.origin
    return {
        "target": origin.text if origin else target,
        "nearest_of": origin.nearest_of if origin else None,
        "distance": origin.distance if origin else None,
        "kind": design.kind,
        "form": design.form,
        "activation": repr(design.activation),
        "kernel_at_one": design.target.total,
        "error_max": design.error.max,
        "error_rms": design.error.rms,
        "error_sse": design.error.sse,
        "tail": design.tail,
        "sigma_at_one": float(design.sigma(1.0)),
        "sigma_rms": design.variance.rms,
        "widths": {f"{accuracy:.0%}": _width(design, accuracy) for accuracy in ACCURACIES},
    }


def design_rows(design: Design, target: str) -> list[tuple[str, object, str]]:
    """The same for people: what, the figure, and what it means."""
    error, total = design.error, design.target.total
    called = design.origin.text if design.origin else target
    rows: list[tuple[str, object, str]] = [
        ("target", called, f"{design.kind.upper()}, K(1) = {total:.6g}"),
        ("activation", design.form, repr(design.activation)),
        ("error, largest", _short(error.max), "of the infinitely wide network, over 100 angles"),
        ("error, RMS", _short(error.rms), ""),
        ("error, sum of squares", _short(error.sse), ""),
        (
            "tail",
            _percent(design.tail / total),
            "of K(1): the part of the coefficients that is not realised",
        ),
        ("σ(1)", _short(float(design.sigma(1.0))), "spread of one unit; n units have σ/√n"),
    ]
    for place, accuracy in enumerate(ACCURACIES):
        width = _width(design, accuracy)
        meaning = "" if place else "units bring one random network this close to the kernel"
        if width is None:
            meaning = "no width is enough: the infinitely wide network is further off"
        rows.append((f"width for {accuracy:.0%}", "none" if width is None else width, meaning))
    return rows


def design_pictures(design: Design, *, seed: int) -> Pictures:
    """The three pictures of a design."""
    draw: tuple[Callable[[], Figure], ...] = (
        lambda: kernel_picture(design),
        lambda: activation_picture(design),
        lambda: network_picture(design, seed=seed),
    )
    return dict(zip(DESIGN_PICTURES, draw, strict=True))


def write_all(
    pictures: Pictures,
    stem: Path,
    progress: Progress,
    *,
    first: Sequence[tuple[Path, Callable[[Path], None]]] = (),
) -> list[Path]:
    """Draw every picture, then write everything; gives the paths.

    Args:
        pictures: what to draw; written as <stem>-<name>.png.
        stem: path and name, without ending.
        progress: told before each picture.
        first: other files, with what writes them; before the pictures.
    """
    told = progress if pictures else silent
    drawn = {name: pictures[name]() for name in tracked(list(pictures), told, "drawing")}
    for path, write in first:
        write(path)
    return [path for path, _ in first] + [
        save_figure(figure, _picture_path(stem, name)) for name, figure in drawn.items()
    ]


def print_design(made: Design, target: str, files: Sequence[Path], *, as_json: bool) -> None:
    """Print what a design is, and which files were written."""
    if as_json:
        print_json(
            {
                "format": "sestina-ntk-report",
                "version": _FORMAT_VERSION,
                **design_facts(made, target),
                "files": [str(path) for path in files],
            }
        )
        return
    print_table(design_rows(made, target), ["what", "value", "meaning"])
    print_files(files)


def print_files(files: Sequence[Path]) -> None:
    """Say which files were written, for people."""
    if files:
        click.echo(f"wrote {', '.join(str(path) for path in files)}")


def check_pictures(stem: Path, names: Sequence[str]) -> None:
    """Refuses, before any work is done, pictures that could not be written after it.

    Args:
        stem: as `write_all` takes it.
        names: of the pictures.

    Raises:
        OptionError: if a directory has the name of one, or theirs cannot be written to.
    """
    for path in (_picture_path(stem, name) for name in names):
        if path.is_dir():
            raise OptionError(
                "--plot",
                str(path),
                expected="the name of a picture to write; this is a directory",
                remedy="move it out of the way, or choose another name with --out",
            )
        check_destination("--plot", path, example="design.png")


def _picture_path(stem: Path, name: str) -> Path:
    return stem.with_name(f"{stem.name}-{name}.png")


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _width(design: Design, accuracy: float) -> int | None:
    try:
        return design.width_for(accuracy, relative=True)
    except ValueError:
        return None


def _short(value: float) -> str:
    return f"{value:.3g}"
