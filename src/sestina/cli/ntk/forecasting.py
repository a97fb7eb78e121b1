"""`sestina ntk forecast`: does this kernel suit this task?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
import numpy as np
import torch

from sestina.cli.ntk.data import DataOptions, Sample, print_data, read_data, sample
from sestina.cli.ntk.reports import Pictures, check_pictures, print_files, write_all
from sestina.cli.ntk.targets import TARGET_HELP, read_target
from sestina.cli.options import options_argument
from sestina.cli.output import drawn_progress, json_option, print_json, print_table
from sestina.core.errors import InvalidValueError, OptionError
from sestina.core.progress import Progress
from sestina.ntk.datasets import Table
from sestina.ntk.designs.options import check_count
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.matrices.curves import input_matrix
from sestina.ntk.pairs import Kind
from sestina.ntk.pictures import forecast_picture
from sestina.ntk.predictions.forecasts import DataForecast, forecast_from_data

__all__ = ["ForecastOptions", "forecast_command"]

_FORMAT_VERSION = 1
_FEWEST_ROWS = 8
_USUAL_TARGETS = tuple(f"relu:depth={depth},sigma_w=sqrt2,sigma_b=0.1" for depth in (1, 2, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastOptions(DataOptions):
    """What to forecast."""

    kind: Kind = "ntk"
    """The tangent kernel, of a network trained as a whole, or "nngp", of its readout alone."""
    sizes: tuple[int, ...] = ()
    """Numbers of rows to train on; by default eight, up to all rows but one."""
    ridge: float = 0.1
    """Of the regression, in units of the kernel's mean diagonal; below 0.1 trust it less."""
    norms: Literal["radial", "normalise"] = "radial"
    """What becomes of the inputs' norms: "radial" scales with them, "normalise" ignores them."""
    rows: int = 1000
    """Rows to use at most, drawn at random; time grows with their cube."""
    seed: int = 0
    """Of the draw."""

    def __post_init__(self) -> None:
        if not 0 < self.ridge < math.inf:
            raise OptionError("ridge", self.ridge, expected="above 0", remedy="pass e.g. 0.1")
        if self.rows < _FEWEST_ROWS:
            raise OptionError(
                "rows", self.rows, expected=f"at least {_FEWEST_ROWS}", remedy="pass some hundreds"
            )
        check_count("seed", self.seed, 0, (1 << 63) - 1)
        if any(size < 1 for size in self.sizes):
            raise OptionError(
                "sizes",
                self.sizes,
                expected="numbers of rows, each at least 1",
                remedy="pass e.g. --sizes 10,30,100",
            )


@click.command("forecast")
@click.argument("data", metavar="DATA")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="KERNEL",
    help=f"{TARGET_HELP} May be given several times; default: ReLU networks of 1, 2 and 4 layers.",
)
@click.option("--plot", is_flag=True, help="Draw the curves, in <name of DATA>-forecast.png.")
@options_argument(ForecastOptions)
@json_option
def forecast_command(
    *, data: str, targets: tuple[str, ...], plot: bool, options: ForecastOptions, as_json: bool
) -> None:
    """Forecast the test error of kernels on DATA, before training.

    DATA is a CSV file, or one of breast_cancer, diabetes, digits, iris, wine, which come with
    scikit-learn.

    From a kernel's eigenvalues on the data, and the share of what is to be predicted along each of
    its eigenvectors, follows the error after training on any number of rows. A kernel that suits
    the task gets well below the error of predicting the mean. Beyond half of the rows the forecast
    leads to the exact error with each row left out in turn.

    \b
    Examples:
      sestina ntk forecast wine --plot
      sestina ntk forecast prices.csv --target-column price --target erf:depth=2
      sestina ntk forecast prices.csv --target relu:depth=4 --target mine.json
    """  # noqa: D301 - \b keeps click from wrapping the lines below it
    stem = Path(Path(data).stem)
    if plot:
        check_pictures(stem, ("forecast",))
    kernels = {target: read_target(target, options.kind) for target in targets or _USUAL_TARGETS}
    table = read_data(data, options)
    chosen = sample(table, rows=options.rows, seed=options.seed)
    with drawn_progress() as progress:
        forecasts = {
            name: _forecast(name, kernel, chosen, options, _part(progress, place, len(kernels)))
            for place, (name, kernel) in enumerate(kernels.items())
        }
        drawings: Pictures = {"forecast": lambda: forecast_picture(forecasts)} if plot else {}
        files = write_all(drawings, stem, progress)
    if as_json:
        _print_json(data, table, forecasts, files)
        return
    print_data(data, table, len(chosen.features))
    _print_curves(forecasts)
    print_files(files)


def _forecast(
    name: str,
    kernel: DotProductKernel,
    chosen: Sample,
    options: ForecastOptions,
    progress: Progress,
) -> DataForecast:
    if not kernel.total > 0:
        raise OptionError(
            "target",
            name,
            expected=f"a kernel with K(1) > 0, not {kernel.total:g}",
            remedy="ask for coefficients of at least 0, one of them above",
        )
    progress(0, 1, "computing the kernel")
    matrix = input_matrix(kernel, torch.from_numpy(chosen.features), form=options.norms)
    mean_diagonal = float(matrix.diagonal().mean())
    if mean_diagonal == 0:
        raise InvalidValueError(
            "features",
            f"constant in the {len(matrix)} rows used: no feature varies",
            expected="at least one feature that differs between rows",
            remedy="raise --rows, or add a feature that varies",
        )
    sizes = options.sizes or _usual_sizes(len(matrix))
    ridge = options.ridge * mean_diagonal
    return forecast_from_data(matrix, chosen.outputs, sizes, ridge=ridge, progress=progress)


def _part(progress: Progress, place: int, num_parts: int) -> Progress:
    """The progress of one kernel among several, drawn as one bar."""

    def told(done: int, total: int, label: str, /) -> None:
        progress(place * total + done, num_parts * total, label)

    return told


def _usual_sizes(num_rows: int) -> tuple[int, ...]:
    """Eight, evenly spaced on a logarithmic axis, up to all rows but one."""
    first = max(1, min(10, num_rows // 4))
    return tuple(int(size) for size in np.unique(np.geomspace(first, num_rows - 1, 8).round()))


def _print_curves(forecasts: Mapping[str, DataForecast]) -> None:
    first = next(iter(forecasts.values()))
    numbers = {name: f"[{index}]" for index, name in enumerate(forecasts, 1)}
    for name, number in numbers.items():
        click.echo(f"  {number} {name}")
    rows: list[list[object]] = [
        [int(size), *(float(curve.test_mse[i]) for curve in forecasts.values()), first.methods[i]]
        for i, size in enumerate(first.sizes)
        if size != first.num_rows - 1
    ]
    exact = [curve.leave_one_out_mse for curve in forecasts.values()]
    rows.append([first.num_rows - 1, *exact, "leaving each row out"])
    click.echo("\ntest error (mean square, summed over outputs) after training on so many rows:")
    print_table(rows, ["rows", *numbers.values(), "from"])
    click.echo(f"\n{_verdict(forecasts)}")


def _verdict(forecasts: Mapping[str, DataForecast]) -> str:
    best = min(forecasts, key=lambda name: forecasts[name].leave_one_out_mse)
    curve = forecasts[best]
    share = 1.0 - curve.leave_one_out_mse / curve.baseline_mse
    figures = f"error {curve.leave_one_out_mse:.4g}, predicting the mean {curve.baseline_mse:.4g}"
    if share <= 0:
        return f"no kernel here suits the task; the best is {best} ({figures})"
    return f"best: {best}, which explains {share:.0%} of the variance ({figures})"


def _print_json(
    data: str, table: Table, forecasts: Mapping[str, DataForecast], files: Sequence[Path]
) -> None:
    curves = [
        {
            "target": name,
            "rows_used": curve.num_rows,
            "ridge": curve.ridge,
            "baseline_mse": curve.baseline_mse,
            "leave_one_out_mse": curve.leave_one_out_mse,
            "curve": [
                {"rows": int(size), "test_mse": float(error), "from": method}
                for size, error, method in zip(
                    curve.sizes, curve.test_mse, curve.methods, strict=True
                )
            ],
        }
        for name, curve in forecasts.items()
    ]
    print_json(
        {
            "format": "sestina-ntk-forecast",
            "version": _FORMAT_VERSION,
            "data": data,
            "rows": len(table.targets),
            "columns": table.features.shape[1],
            "target_column": table.target_name,
            "task": table.task,
            "forecasts": curves,
            "files": [str(path) for path in files],
        }
    )
