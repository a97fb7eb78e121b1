"""Pictures of kernels, designs and forecasts, in the house style of `sestina.core.plots`.

Each function gives a matplotlib figure, which `sestina.core.plots.save_figure` writes as PNG, SVG or
PDF. Nothing is shown on a screen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from sestina.core.errors import InvalidValueError
from sestina.core.extras import import_extra
from sestina.core.plots import COLOURS, house_style, new_figure, new_figures
from sestina.ntk.designs import Design
from sestina.ntk.empirical import empirical_ntk
from sestina.ntk.forecasts import DataForecast
from sestina.ntk.kernels import DotProductKernel
from sestina.ntk.variance import ERROR_ANGLES, ERROR_COSINES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "LearningCurve",
    "activation_picture",
    "forecast_picture",
    "kernel_picture",
    "kernels_picture",
    "network_kernel",
    "network_picture",
    "training_picture",
]

Floats = NDArray[np.float64]

_BLUE, _RED, _GREEN, _AMBER, _VIOLET, _GREY = COLOURS
_LOWEST_ERROR = 1e-17
"""Errors are drawn on a logarithmic axis; exact zeros stand here."""
_CLOSE = np.concatenate([[0.0], np.geomspace(1e-3, math.pi, 400)])
"""Angles for the drawn curves, dense near 0, where kernels of deep networks are steepest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """One network's losses over its training, for `training_picture`."""

    name: str
    epochs: Floats
    """(t,), ascending, above 0."""
    train: Floats
    """(t,): loss on the training set."""
    test: Floats
    """(t,): loss on the test set."""


def kernel_picture(design: Design) -> Figure:
    """Target and achieved kernel over the cosine, and their difference over the angle.

    Example:
        >>> from sestina.ntk.designs import design
        >>> figure = kernel_picture(design(DotProductKernel.from_coefficients([0.0, 0.5, 0.5])))
        >>> [axes.get_title() for axes in figure.axes]
        ['Kernel of the infinitely wide network', 'Achieved − target']
    """
    cosines = np.cos(_CLOSE)
    achieved = design.achieved(cosines)
    target = design.target(cosines)
    with house_style():
        figure, (left, right) = new_figures(2)
        left.plot(cosines, target, color=_BLUE, linewidth=5, alpha=0.35, label="target")
        left.plot(cosines, achieved, color=_BLUE, linewidth=1.6, label="achieved")
        left.set_xlabel("cosine between two inputs")
        left.set_ylabel(f"{_kernel_name(design)}  K(c)")
        left.set_title("Kernel of the infinitely wide network")
        left.legend(loc="upper left")
        _draw_errors(right, design)
    return figure


def activation_picture(design: Design) -> Figure:
    """The designed activation φ(z) and its slope, over the density of what units see.

    On inputs of norm √d each unit's preactivation is a standard normal variable, which says where φ
    matters.
    """
    curves = design.curves()
    z, phi, slope = curves["z"], curves["phi"], curves["slope"]
    with house_style():
        figure, axes = new_figure()
        axes.axhline(0, color=_GREY, linewidth=0.8)
        axes.plot(z, slope, color=_AMBER, linewidth=1.1, label="slope φ′(z)")
        axes.plot(z, phi, color=_BLUE, linewidth=2.2, label="φ(z)")
        low, high = _spread(phi)
        axes.set_ylim(low, high)
        axes.set_xlim(-4, 4)
        density = np.exp(-(z**2) / 2)
        bottom = np.full_like(z, low)
        axes.fill_between(
            z,
            bottom,
            low + 0.22 * (high - low) * density,
            color=_GREY,
            alpha=0.18,
            linewidth=0,
            label="where the units are: z ~ N(0, 1)",
        )
        axes.set_xlabel("preactivation z")
        axes.set_ylabel("activation")
        axes.set_title(f"Activation with this {design.kind.upper()} in one hidden layer")
        axes.legend(loc="best")
    return figure


def network_kernel(design: Design, width: int, *, seed: int = 0) -> Floats:
    """The kernel that one random network of a design has, at 100 angles from 0 to π.

    It is that of a real `Design.module` on points of a circle: its empirical NTK, or for an NNGP
    design the covariance of its outputs over readout weights.

    Args:
        design: of either kind.
        width: units of the hidden layer.
        seed: of the initial values.

    Returns:
        (100,), at `sestina.ntk.variance.ERROR_ANGLES`.
    """
    net = design.module(2, 1, width, seed, centred=False).double()
    angles = torch.from_numpy(ERROR_ANGLES)
    circle = math.sqrt(2) * torch.stack([angles.cos(), angles.sin()], dim=1)
    if design.kind == "ntk":
        return empirical_ntk(net, circle[:1], circle, axes="trace")[0].numpy()
    with torch.no_grad():
        hidden = net.activation(net.preactivation(0, circle, net.weights[0], net.biases[0]))
        return (hidden @ hidden[0] / width).numpy()


def network_picture(
    design: Design, widths: Sequence[int] = (256, 4096, 65536), *, seed: int = 0
) -> Figure:
    """Kernels of single random networks against the target, and their errors by width.

    Left: one network per width, with the band of ±2 standard deviations that is forecast. Right:
    their RMS errors, on the forecast curve.

    Args:
        design: what to draw.
        widths: of the networks, at least one.
        seed: of their initial values.
    """
    if not widths or min(widths) < 1:
        raise InvalidValueError(
            "widths",
            tuple(widths),
            expected="at least one width, each at least 1",
            remedy="pass e.g. (256, 4096)",
        )
    shown = sorted(set(widths))
    kernels = [network_kernel(design, width, seed=seed) for width in shown]
    target = design.target(ERROR_COSINES)
    degrees = np.degrees(ERROR_ANGLES)
    colours = [_AMBER, _GREEN, _VIOLET, _RED, _GREY]
    with house_style():
        figure, (left, right) = new_figures(2)
        band = 2 * design.sigma(ERROR_COSINES) / math.sqrt(shown[0])
        centre = design.achieved(ERROR_COSINES)
        left.fill_between(
            degrees, centre - band, centre + band, color=_AMBER, alpha=0.15, linewidth=0
        )
        for index, (width, kernel) in enumerate(zip(shown, kernels, strict=True)):
            colour = colours[index % len(colours)]
            left.plot(degrees, kernel, color=colour, linewidth=1.4, label=_units(width))
        left.plot(degrees, target, color=_BLUE, linestyle=(0, (4, 2)), label="target")
        left.set_xlabel("angle between two inputs in degrees")
        left.set_ylabel(_kernel_name(design))
        left.set_title("One random network each")
        left.set_xticks(range(0, 181, 45))
        left.legend(loc="upper right")
        errors = [float(np.sqrt(np.mean((kernel - target) ** 2))) for kernel in kernels]
        _draw_widths(right, design, shown, errors)
    return figure


def kernels_picture(kernels: Mapping[str, DotProductKernel], *, normalise: bool = True) -> Figure:
    """Several kernels over the angle, each divided by its value at angle 0 if `normalise`.

    Args:
        kernels: by their names; the first one is drawn thickest.
        normalise: compare shapes.
    """
    cosines = np.cos(_CLOSE)
    with house_style():
        figure, axes = new_figure()
        for index, (name, kernel) in enumerate(kernels.items()):
            values = kernel(cosines) / (kernel.total if normalise else 1.0)
            axes.plot(
                np.degrees(_CLOSE),
                values,
                color=COLOURS[index % len(COLOURS)],
                linewidth=2.6 if index == 0 else 1.5,
                linestyle="-" if index == 0 else (0, (2 + 2 * index, 1.5)),
                label=name,
            )
        axes.set_xticks(range(0, 181, 45))
        axes.set_xlabel("angle between two inputs in degrees")
        axes.set_ylabel("K / K(1)" if normalise else "K")
        axes.set_title("Kernels")
        axes.legend(loc="upper right")
    return figure


def forecast_picture(forecasts: Mapping[str, DataForecast]) -> Figure:
    """Forecast test errors over the number of training rows, one curve per kernel.

    Solid up to half of the rows, where the spectrum is trusted; dashed beyond. The dotted line is
    the error of predicting the mean.

    Args:
        forecasts: by the kernels' names; at least one, all on the same data.
    """
    first = next(iter(forecasts.values()))
    with house_style():
        figure, axes = new_figure(width_inch=6.6)
        axes.set_xscale("log")
        axes.set_yscale("log")
        for index, (name, curve) in enumerate(forecasts.items()):
            colour = COLOURS[index % len(COLOURS)]
            trusted = np.array([method == "spectrum" for method in curve.methods])
            # The dashed part starts at the last trusted point, so that the curve has no gap.
            start = max(int(trusted.sum()) - 1, 0)
            axes.plot(curve.sizes[trusted], curve.test_mse[trusted], color=colour, label=name)
            axes.plot(
                curve.sizes[start:], curve.test_mse[start:], color=colour, linestyle=(0, (3, 2))
            )
            axes.plot(
                [curve.num_rows - 1], [curve.leave_one_out_mse], marker="o", color=colour
            )
        axes.axhline(first.baseline_mse, color=_GREY, linestyle=":", linewidth=1.2)
        axes.annotate(
            "predicting the mean",
            (0.01, first.baseline_mse),
            xycoords=("axes fraction", "data"),
            xytext=(0, 4),
            textcoords="offset points",
            color=_GREY,
            fontsize=9,
        )
        axes.set_xlabel("rows to train on")
        axes.set_ylabel("test error (mean square)")
        axes.set_title("Forecast before training")
        _plain_log_ticks(axes)
        axes.legend(loc="best", title="dashed: beyond half of the rows;\ndot: exact, all rows but one")
    return figure


def training_picture(
    curves: Sequence[LearningCurve], predictions: Sequence[LearningCurve] = ()
) -> Figure:
    """Losses of trained networks over the epochs, and what their infinite versions predict.

    Args:
        curves: of real networks, drawn as solid lines.
        predictions: of their kernels, one per curve in the same order, drawn as thin dashed lines.
    """
    with house_style():
        figure, panels = new_figures(2)
        for axes, title in zip(panels, ("Training loss", "Test loss"), strict=True):
            axes.set_xscale("log")
            axes.set_yscale("log")
            for index, curve in enumerate(curves):
                values = curve.train if title.startswith("Training") else curve.test
                axes.plot(curve.epochs, values, color=COLOURS[index % 6], label=curve.name)
            for index, curve in enumerate(predictions):
                values = curve.train if title.startswith("Training") else curve.test
                axes.plot(
                    curve.epochs,
                    values,
                    color=COLOURS[index % 6],
                    linewidth=1.0,
                    linestyle=(0, (2, 2)),
                    label="infinitely wide" if index == len(predictions) - 1 else None,
                )
            axes.set_title(title)
            axes.set_xlabel("epoch")
            axes.set_ylabel("mean squared error")
            _plain_log_ticks(axes)
        panels[0].legend(loc="lower left")
    return figure


def _draw_errors(axes: Axes, design: Design) -> None:
    difference = np.abs(design.achieved(ERROR_COSINES) - design.target(ERROR_COSINES))
    axes.set_yscale("log")
    axes.plot(
        np.degrees(ERROR_ANGLES), np.maximum(difference, _LOWEST_ERROR), color=_RED, linewidth=1.4
    )
    rms = design.error.rms
    axes.axhline(max(rms, _LOWEST_ERROR), color=_GREY, linestyle=":", linewidth=1.2)
    axes.annotate(
        f"RMS {rms:.2g}",
        (1.0, max(rms, _LOWEST_ERROR)),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        color=_GREY,
        fontsize=9,
    )
    axes.set_xticks(range(0, 181, 45))
    axes.set_xlabel("angle between two inputs in degrees")
    axes.set_ylabel("absolute error")
    axes.set_title("Achieved − target")


def _draw_widths(axes: Axes, design: Design, widths: Sequence[int], errors: Sequence[float]) -> None:
    line = np.unique(np.geomspace(min(widths) / 4, max(widths) * 4, 60).round().astype(int))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    expected = [design.expected_error(int(width)) for width in np.maximum(line, 1)]
    axes.plot(line, expected, color=_BLUE, label="forecast, mean over networks")
    axes.plot(widths, errors, "o", color=_RED, markersize=6, label="the networks on the left")
    axes.set_xlabel("units in the hidden layer")
    axes.set_ylabel("RMS error of the kernel")
    axes.set_title("Error by width")
    _plain_log_ticks(axes)
    axes.legend(loc="upper right")


def _plain_log_ticks(axes: Axes) -> None:
    """Numbers such as 0.02 and 4096 on logarithmic axes, not powers."""
    ticker = import_extra("matplotlib.ticker", extra="ntk")
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(ticker.NullFormatter())
    low, high = axes.get_ylim()
    if axes.yaxis.get_scale() == "log" and high / low < 30:
        # Less than a decade or two has too few powers of ten to read values from.
        axes.yaxis.set_major_locator(ticker.LogLocator(base=10, subs=(1, 2, 3, 5)))


def _kernel_name(design: Design) -> str:
    return "tangent kernel" if design.kind == "ntk" else "NNGP kernel"


def _units(width: int) -> str:
    return f"{width} units" if width > 1 else "1 unit"


def _spread(values: Floats) -> tuple[float, float]:
    """Limits that show the curve where units are, and leave room below."""
    middle = values[len(values) // 8 : -len(values) // 8]
    low, high = float(middle.min()), float(middle.max())
    gap = max(high - low, 1e-6)
    return low - 0.35 * gap, high + 0.25 * gap
