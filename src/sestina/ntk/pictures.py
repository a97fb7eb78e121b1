"""Pictures of kernels, designs and forecasts, in the house style of `sestina.core.plots`.

Each function gives a matplotlib figure, which `sestina.core.plots.save_figure` writes as PNG, SVG
or PDF. Nothing is shown on a screen.
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
from sestina.ntk.designs.inverse import Design
from sestina.ntk.designs.variance import ERROR_ANGLES, ERROR_COSINES
from sestina.ntk.empirical import empirical_ntk
from sestina.ntk.fitting.fits import FittedKernel
from sestina.ntk.kernels.dot_product import DotProductKernel
from sestina.ntk.kernels.targets import parse_target
from sestina.ntk.predictions.forecasts import DataForecast

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "LearningCurve",
    "activation_picture",
    "fit_picture",
    "forecast_picture",
    "kernel_picture",
    "network_kernel",
    "network_picture",
    "training_picture",
]

Floats = NDArray[np.float64]

_BLUE, _RED, _GREEN, _AMBER, _VIOLET, _GREY = COLOURS
_LOWEST_ERROR = 1e-17
"""Errors are drawn on a logarithmic axis; exact zeros stand here."""
_REFERENCE = "relu:depth={},sigma_w=sqrt(2),sigma_b=0.1"
"""The networks that `fit_kernel` compares with."""
_DASHED = (0, (3, 2))
_FEW_DECADES = 10
_MANY_DECADES = 300
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
        >>> from sestina.ntk.designs.inverse import design
        >>> figure = kernel_picture(design(DotProductKernel.from_coefficients([0.0, 0.5, 0.5])))
        >>> [axes.get_title("left") for axes in figure.axes]
        ['Kernel of the infinitely wide network', 'Achieved − target, RMS ... (dotted)']
    """
    cosines = np.cos(_CLOSE)
    achieved = design.achieved(cosines)
    target = design.target(cosines)
    with house_style():
        figure, (left, right) = new_figures(2)
        left.plot(cosines, target, color=_BLUE, linewidth=5, alpha=0.35, label=_target_name(design))
        left.plot(cosines, achieved, color=_BLUE, linewidth=1.6, label="achieved")
        left.set_xlabel("cosine between two inputs")
        left.set_ylabel(f"{_kernel_name(design)}  K(c)")
        left.set_title("Kernel of the infinitely wide network")
        left.legend(loc="best")
        _draw_errors(right, design)
    return figure


def activation_picture(design: Design) -> Figure:
    """The designed activation φ(z), over the density of what units see.

    On inputs of norm √d each unit's preactivation is a standard normal variable, which says where φ
    matters.
    """
    curves = design.curves()
    z, phi = curves["z"], curves["phi"]
    with house_style():
        figure, axes = new_figure()
        axes.axhline(0, color=_GREY, linewidth=0.8)
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
        (100,), at `sestina.ntk.designs.variance.ERROR_ANGLES`.
    """
    net = design.module(2, 1, width, seed, centred=False).double()
    angles = torch.from_numpy(ERROR_ANGLES)
    circle = math.sqrt(2) * torch.stack([angles.cos(), angles.sin()], dim=1)
    if design.kind == "ntk":
        kernel = empirical_ntk(net, circle[:1], circle, axes="trace")[0]
    else:
        with torch.no_grad():
            hidden = net.activation(net.preactivation(0, circle, net.weights[0], net.biases[0]))
            kernel = hidden @ hidden[0] / width
    values: Floats = kernel.numpy()
    return values


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
            degrees,
            centre - band,
            centre + band,
            color=_AMBER,
            alpha=0.15,
            linewidth=0,
            label=f"±2σ, {_units(shown[0])}",
        )
        for index, (width, kernel) in enumerate(zip(shown, kernels, strict=True)):
            colour = colours[index % len(colours)]
            left.plot(degrees, kernel, color=colour, linewidth=1.4, label=_units(width))
        left.plot(degrees, target, color=_BLUE, linestyle=(0, (4, 2)), label=_target_name(design))
        left.set_xlabel("angle between two inputs in degrees")
        left.set_ylabel(_kernel_name(design))
        left.set_title("One random network each")
        left.set_xticks(range(0, 181, 45))
        left.legend(loc="best")
        errors = [float(np.sqrt(np.mean((kernel - target) ** 2))) for kernel in kernels]
        _draw_widths(right, design, shown, errors)
    return figure


def forecast_picture(forecasts: Mapping[str, DataForecast]) -> Figure:
    """Forecast test errors over the number of training rows, one curve per kernel.

    Solid up to half of the rows, where the spectrum is trusted; dashed beyond, up to a dot, the
    exact error of leaving each row out. The dotted line is the error of predicting the mean.

    Args:
        forecasts: by the kernels' names; at least one, all on the same data.
    """
    first = next(iter(forecasts.values()))
    with house_style():
        figure, axes = new_figure(width_inch=6.6, height_inch=4.8)
        axes.set_xscale("log")
        axes.set_yscale("log")
        for index, (name, curve) in enumerate(forecasts.items()):
            colour = COLOURS[index % len(COLOURS)]
            trusted = np.array([method == "spectrum" for method in curve.methods])
            # The dashed part starts at the last trusted point, so that the curve has no gap.
            start = max(int(trusted.sum()) - 1, 0)
            axes.plot(curve.sizes[trusted], curve.test_mse[trusted], color=colour, label=name)
            axes.plot(curve.sizes[start:], curve.test_mse[start:], color=colour, linestyle=_DASHED)
            axes.plot([curve.num_rows - 1], [curve.leave_one_out_mse], marker="o", color=colour)
        axes.axhline(first.baseline_mse, color=_GREY, linestyle=":", linewidth=1.2)
        axes.plot([], [], color=_GREY, linestyle=":", linewidth=1.2, label="predicting the mean")
        axes.plot([], [], color=_GREY, linestyle=_DASHED, label="beyond half of the rows")
        axes.plot([], [], "o", color=_GREY, label="exact, each row left out in turn")
        axes.set_xlabel("rows to train on")
        axes.set_ylabel("test error (mean square)")
        axes.set_title("Forecast before training")
        _plain_log_ticks(axes)
        axes.legend(loc="upper left", bbox_to_anchor=(0.0, -0.16), ncols=2)
    return figure


def fit_picture(fitted: FittedKernel) -> Figure:
    """A kernel chosen from data beside ReLU networks' kernels: their shapes and their errors.

    Args:
        fitted: what `fit_kernel` gave.
    """
    references = {
        score.name: parse_target(_REFERENCE.format(score.name.rpartition(" ")[2]))
        for score in fitted.scores[1:]
    }
    errors = [score.leave_one_out_mse for score in fitted.scores]
    names = [score.name for score in fitted.scores]
    colours = [COLOURS[index % len(COLOURS)] for index in range(len(names))]
    with house_style():
        figure, (left, right) = new_figures(2)
        _draw_kernels(left, {names[0]: fitted.kernel, **references})
        places = np.arange(len(names))[::-1]
        right.hlines(places, 0, errors, color=colours, linewidth=2.2)
        right.scatter(errors, places, color=colours, s=48, zorder=3)
        for place, error, colour in zip(places, errors, colours, strict=True):
            right.annotate(
                f"{error:.3f}",
                (error, place),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                color=colour,
            )
        right.set_yticks(places, names)
        for label, colour in zip(right.get_yticklabels(), colours, strict=True):
            label.set_color(colour)  # the legend of both panels
        right.grid(visible=False, axis="y")
        right.set_ylim(-0.6, len(names) - 0.4)
        right.set_xlim(0, 1.2 * max(errors))
        right.set_xlabel("error over that of predicting the mean")
        right.set_title("Each row left out in turn")
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
                colour = COLOURS[index % 6]
                axes.plot(curve.epochs, values, color=colour, linewidth=1.1, linestyle=_DASHED)
            if predictions:
                label = "infinitely wide, predicted"
                axes.plot([], [], color=_GREY, linewidth=1.1, linestyle=_DASHED, label=label)
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
    axes.axhline(max(design.error.rms, _LOWEST_ERROR), color=_GREY, linestyle=":", linewidth=1.2)
    axes.set_xticks(range(0, 181, 45))
    axes.set_xlabel("angle between two inputs in degrees")
    axes.set_ylabel("absolute error")
    axes.set_title(f"Achieved − target, RMS {design.error.rms:.2g} (dotted)")


def _draw_kernels(axes: Axes, kernels: Mapping[str, DotProductKernel]) -> None:
    """Shapes of kernels over the angle, the first one thickest; without a legend."""
    for index, (name, kernel) in enumerate(kernels.items()):
        axes.plot(
            np.degrees(_CLOSE),
            kernel(np.cos(_CLOSE)) / kernel.total,
            color=COLOURS[index % len(COLOURS)],
            linewidth=1.4 if index else 2.8,
            label=name,
        )
    axes.set_xticks(range(0, 181, 45))
    axes.set_xlabel("angle between two inputs in degrees")
    axes.set_ylabel("K / K(1)")
    axes.set_title("Kernels")


def _draw_widths(
    axes: Axes, design: Design, widths: Sequence[int], errors: Sequence[float]
) -> None:
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
    """Numbers such as 0.02 and 4096 on logarithmic axes, not powers, and enough to read values."""
    ticker = import_extra("matplotlib.ticker", extra="ntk")
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        if axis.get_scale() != "log":
            continue
        axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(ticker.NullFormatter())
        if high / low < _MANY_DECADES:
            steps = (1, 2, 3, 5, 7) if high / low < _FEW_DECADES else (1, 2, 5)
            axis.set_major_locator(ticker.LogLocator(base=10, subs=steps))


def _kernel_name(design: Design) -> str:
    return "tangent kernel" if design.kind == "ntk" else "NNGP kernel"


def _target_name(design: Design) -> str:
    """What legends call the target: not the kernel asked for, if it is but the nearest to it."""
    if design.origin is None or design.origin.nearest_of is None:
        return "target"
    asked = design.origin.nearest_of
    return f"nearest to {asked if len(asked) <= 24 else asked[:23] + '…'}"


def _units(width: int) -> str:
    return f"{width} units" if width > 1 else "1 unit"


def _spread(values: Floats) -> tuple[float, float]:
    """Limits that show the curve where units are, and leave room below."""
    middle = values[len(values) // 8 : -len(values) // 8]
    low, high = float(middle.min()), float(middle.max())
    gap = max(high - low, 1e-6)
    return low - 0.35 * gap, high + 0.25 * gap
