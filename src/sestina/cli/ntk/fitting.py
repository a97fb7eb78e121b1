"""`sestina ntk fit`: a kernel chosen for data, and the network that has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import click

from sestina.cli.destinations import check_destination
from sestina.cli.ntk.data import DataOptions, print_data, read_data
from sestina.cli.ntk.reports import (
    DESIGN_PICTURES,
    Pictures,
    check_pictures,
    design_facts,
    design_pictures,
    print_design,
    write_all,
)
from sestina.cli.options import options_argument
from sestina.cli.output import drawn_progress, json_option, print_json, print_table
from sestina.ntk.datasets import Table
from sestina.ntk.designs.inverse import Design
from sestina.ntk.designs.options import DesignForm
from sestina.ntk.designs.origins import Origin
from sestina.ntk.fitting.fits import FitOptions, FittedKernel, fit_kernel
from sestina.ntk.fitting.mixtures import Criterion
from sestina.ntk.pairs import Kind
from sestina.ntk.pictures import fit_picture

__all__ = ["FitCommandOptions", "fit_command"]

_FORMAT_VERSION = 1
_SHOWN_WEIGHT = 5e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class FitCommandOptions(DataOptions):
    """What to fit, and what to design for it."""

    criterion: Criterion = "leave-one-out"
    """What is best: the least error with each row left out, or the greatest evidence."""
    norms: Literal["radial", "normalise"] | None = None
    """What becomes of the inputs' norms: "radial" scales with them, "normalise" ignores them; by
    default what suits the data better."""
    bias: float | None = None
    """Append a constant input of this times √d; by default 0 or 1, what suits the data better."""
    folds: int = 0
    """Choose anew without each of so many parts of the rows, and score it there; 0 does not."""
    rows: int = 1500
    """Rows to use at most, drawn at random; time grows with their cube."""
    seed: int = 0
    """Of what is drawn at random."""
    kind: Kind = "ntk"
    """Which kernel of the network is to be the fitted one."""
    form: DesignForm = "table"
    """How the network's activation is written; see `sestina ntk design`."""

    @property
    def fit(self) -> FitOptions:
        """The part that the choice of the kernel needs."""
        return FitOptions(
            criterion=self.criterion,
            form=self.norms,
            bias=self.bias,
            folds=self.folds,
            max_rows=self.rows,
            seed=self.seed,
        )


@click.command("fit")
@click.argument("data", metavar="DATA")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where to write the design, one JSON file; without it nothing is kept.",
)
@click.option("--plot", is_flag=True, help="Write pictures of kernels, errors and the activation.")
@options_argument(FitCommandOptions)
@json_option
def fit_command(
    *, data: str, out: Path | None, plot: bool, options: FitCommandOptions, as_json: bool
) -> None:
    """Choose a kernel for DATA, and design the network that has it.

    DATA is a CSV file, or one of breast_cancer, diabetes, digits, iris, wine, which come with
    scikit-learn. Features are standardised.

    Errors are those of kernel regression, beside ReLU networks with 1, 2 and 4 layers. The error
    with each row left out is what was minimised; --folds 5 prints one that is not.

    \b
    Examples:
      sestina ntk fit wine --out wine.json --plot
      sestina ntk fit prices.csv --target-column price --drop id,name --folds 5
    """  # noqa: D301 - \b keeps click from wrapping the lines below it
    check_destination("--out", out, example="design.json")
    stem = (out or Path(Path(data).stem)).with_suffix("")
    if plot:
        check_pictures(stem, ("fit", *DESIGN_PICTURES))
    chosen = options.fit
    table = read_data(data, options)
    labels = table.targets if table.task == "regression" else table.targets.astype(int)
    with drawn_progress() as progress:
        fitted = fit_kernel(
            table.standardised,
            labels,
            chosen,
            task=table.task,
            standardisation=table.standardisation,
            progress=progress,
        )
        made = replace(
            fitted.design(options.kind, form=options.form, progress=progress),
            origin=Origin(text=f"fitted to {data}"),
        )
        pictures: Pictures = {}
        if plot:
            pictures = {"fit": lambda: fit_picture(fitted), **design_pictures(made, seed=0)}
        files = write_all(pictures, stem, progress, first=() if out is None else [(out, made.save)])
    if as_json:
        _print_json(data, table, fitted, made, files)
        return
    print_data(data, table, fitted.num_rows)
    _print_fit(fitted)
    print_design(made, f"fitted to {data}", files, as_json=False)
    if out is None:
        click.echo("the design is not kept; pass --out design.json to keep it")


def _print_fit(fitted: FittedKernel) -> None:
    headers = ["kernel", "ridge", "error", "misclassified", "folds' error", "folds' misclassified"]
    rows = [
        [
            score.name,
            score.ridge,
            score.leave_one_out_mse,
            score.leave_one_out_error,
            score.validation_mse,
            score.validation_error,
        ]
        for score in fitted.scores
    ]
    used = [i for i in range(len(headers)) if any(row[i] is not None for row in rows)]
    click.echo("\nwith each row left out; errors over that of predicting the mean:")
    print_table([[row[i] for i in used] for row in rows], [headers[i] for i in used])
    shares = ", ".join(
        f"{weight:.1%} {name}" for name, weight in fitted.weights.items() if weight >= _SHOWN_WEIGHT
    )
    click.echo(f"the fitted kernel is a mixture: {shares}")
    form, bias = fitted.inputs
    appended = f"after appending a constant of {bias:g}·√d, " if bias else ""
    back = ", and gives outputs that are scaled back" if form == "radial" else ""
    click.echo(f"{appended}the network takes rows scaled to norm √d{back}\n")


def _print_json(
    data: str, table: Table, fitted: FittedKernel, made: Design, files: Sequence[Path]
) -> None:
    print_json(
        {
            "format": "sestina-ntk-fit",
            "version": _FORMAT_VERSION,
            "data": data,
            "rows": len(table.targets),
            "rows_used": fitted.num_rows,
            "columns": table.features.shape[1],
            "target_column": table.target_name,
            "task": table.task,
            "norms": fitted.inputs.form,
            "bias": fitted.inputs.bias,
            "ridge": fitted.ridge,
            "weights": dict(fitted.weights),
            "scores": [asdict(score) for score in fitted.scores],
            "design": design_facts(made, f"fitted to {data}"),
            "files": [str(path) for path in files],
        }
    )
