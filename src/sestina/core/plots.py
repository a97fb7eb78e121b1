"""Pictures in one house style, the same bytes on every run. Needs matplotlib, imported when called.

Figures are made without pyplot: no window can open, and nothing stays behind. Draw within
`house_style()`, for matplotlib looks at its settings when a legend or a title is added.

Example:
    >>> import tempfile
    >>> with house_style(), tempfile.TemporaryDirectory() as folder:
    ...     figure, axes = new_figure()
    ...     _ = axes.plot([-1, 1], [0, 1], label="target")
    ...     _ = axes.legend()
    ...     save_figure(figure, Path(folder, "kernel.png")).name
    'kernel.png'
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sestina.core.errors import InvalidValueError
from sestina.core.extras import import_extra
from sestina.core.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "house_style", "new_figure", "new_figures", "save_figure"]

COLOURS = ("#2f5d9b", "#d1495b", "#2a9d74", "#e09f3e", "#7b5ea7", "#4b5563")
"""Of the lines, in order: blue, red, green, amber, violet, grey. They differ in lightness, too, so
that they can be told apart in grey and by most colour-blind readers."""

_INK = "#1f2933"
_FAINT = "#d5dae1"
_DOTS_PER_INCH = 144
_SUFFIXES = (".png", ".svg", ".pdf")
_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#9aa5b1",
    "axes.facecolor": "white",
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "axes.labelcolor": _INK,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.dpi": _DOTS_PER_INCH,
    "figure.facecolor": "white",
    # The one family that matplotlib brings itself, so that every machine draws the same letters.
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "grid.color": _FAINT,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "lines.solid_capstyle": "round",
    "savefig.dpi": _DOTS_PER_INCH,
    "svg.fonttype": "path",
    "svg.hashsalt": "sestina",
    "text.color": _INK,
    "xtick.color": _INK,
    "xtick.labelsize": 9,
    "xtick.major.size": 0.0,
    "ytick.color": _INK,
    "ytick.labelsize": 9,
    "ytick.major.size": 0.0,
}
# What each format would otherwise write into the file: the time and the version.
_METADATA: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@contextmanager
def house_style() -> Iterator[None]:
    """Within the block, what is drawn with matplotlib has the house style; then all is as before.

    Matplotlib's settings are the process's: not for several threads at once.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    matplotlib = import_extra("matplotlib", extra="ntk")
    with matplotlib.rc_context({**_STYLE, "axes.prop_cycle": matplotlib.cycler(color=COLOURS)}):
        yield


def new_figure(*, width_inch: float = 6.0, height_inch: float = 3.6) -> tuple[Figure, Axes]:
    """A figure with one set of axes, in the house style.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    figure, axes = new_figures(1, width_inch=width_inch, height_inch=height_inch)
    return figure, axes[0]


def new_figures(
    num_columns: int, *, num_rows: int = 1, width_inch: float = 4.2, height_inch: float = 3.6
) -> tuple[Figure, list[Axes]]:
    """A figure with several sets of axes, row by row, in the house style.

    Args:
        num_columns: sets side by side.
        num_rows: rows of them.
        width_inch: of each set.
        height_inch: of each set.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    figures = import_extra("matplotlib.figure", extra="ntk")
    ticker = import_extra("matplotlib.ticker", extra="ntk")
    agg = import_extra("matplotlib.backends.backend_agg", extra="ntk")
    with house_style():
        figure = figures.Figure(
            figsize=(width_inch * num_columns, height_inch * num_rows), layout="constrained"
        )
        agg.FigureCanvasAgg(figure)
        grid = figure.subplots(num_rows, num_columns, squeeze=False)
    for axes in grid.flat:
        # matplotlib's own choice lets labels such as -0.75 touch at this size.
        axes.xaxis.set_major_locator(ticker.MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    return cast("Figure", figure), list(grid.flat)


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write the figure as PNG, SVG or PDF, by the suffix, whole or not at all; gives the path.

    The same figure gives the same bytes, with the same version of matplotlib.

    Raises:
        InvalidValueError: if the suffix is another.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise InvalidValueError(
            "path",
            str(path),
            expected=f"a name that ends in {', '.join(_SUFFIXES)}",
            remedy=f"call it {path.with_suffix('.png').name}",
        )
    with atomic_path(path) as partial, house_style():
        figure.savefig(partial, format=suffix[1:], metadata=cast("Any", _METADATA[suffix]))
    return path
