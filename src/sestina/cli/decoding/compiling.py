"""`sestina decode compile-lm`: a language model that loads at once."""

from __future__ import annotations

import time
from pathlib import Path

import click

from sestina.cli.decoding.inputs import check_kept
from sestina.cli.destinations import check_destination
from sestina.decoding import compile_lm, read_lm

__all__ = ["compile_lm_command"]


@click.command("compile-lm")
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    help="The file to write; MODEL with the ending .slm in the place of its own by default.",
)
def compile_lm_command(*, model: Path, out: Path | None) -> None:
    """Compile MODEL, an ARPA file (.gz too) or a trie of KenLM, to a file that loads at once.

    Wherever a language model is read, that file may stand for it.

    \b
    Example:
      sestina decode compile-lm lm.arpa.gz -o lm.slm
    """  # noqa: D301 - \b keeps click from wrapping the lines below it
    target = out or model.with_name(f"{_stem(model)}.slm")
    check_destination("--out", target, example=f"{_stem(model)}.slm")
    check_kept("--out", target, {"MODEL": model})
    started_s = time.perf_counter()
    read = read_lm(model)
    read_s = time.perf_counter() - started_s
    compile_lm(read, target)
    started_s = time.perf_counter()
    read_lm(target)
    again_s = time.perf_counter() - started_s
    click.echo(
        f"wrote {target}: order {read.order}, {sum(read.counts):,} n-grams, "
        f"{target.stat().st_size / 1e6:.1f} MB; loads in {again_s:.3f} s, {model.name} in "
        f"{read_s:.3f} s"
    )


def _stem(model: Path) -> str:
    """The file's name without .gz and the ending before it."""
    name = model.name.removesuffix(".gz")
    return Path(name).stem
