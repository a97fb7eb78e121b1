"""Pictures of tuning, in the house style of `sestina.core.plots`; needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sestina.core.extras import import_extra
from sestina.core.plots import COLOURS, house_style, new_figure
from sestina.decoding.tuning import Trial, Tuning

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["frontier_picture", "tuning_picture"]

_BLUE, _RED, _GREEN, _, _, _GREY = COLOURS


def tuning_picture(found: Tuning) -> Figure:
    """Word error rate over time of every setting tried on all utterances, and what was chosen.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    import_extra("matplotlib", extra="decoding")
    with house_style():
        figure, axes = new_figure(width_inch=6.4, height_inch=4.0)
        axes.scatter(*_places(found.whole), s=14, color=_GREY, alpha=0.45, label="tried", lw=0)
        _draw_steps(
            axes, *_places(found.frontier), colour=_BLUE, label="none is as fast and as good"
        )
        time_us, errors = _places([found.chosen])
        axes.scatter(time_us, errors, s=70, marker="D", color=_RED, zorder=3, label="chosen")
        if found.goal.target_wer is not None:
            axes.axhline(found.goal.target_wer, color=_GREEN, ls="--", lw=1, label="target")
        if found.goal.time_budget is not None:
            axes.axvline(found.goal.time_budget, color=_GREEN, ls=":", lw=1.4, label="budget")
        _finish(axes, "Word errors over time, while tuning")
    return figure


def frontier_picture(curves: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """Word error rate over time, one line for each decoder.

    Args:
        curves: by name its points: CPU microseconds a frame, and word error rate (not per cent).

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    import_extra("matplotlib", extra="decoding")
    with house_style():
        figure, axes = new_figure(width_inch=6.4, height_inch=4.0)
        for (name, points), colour in zip(curves.items(), COLOURS, strict=False):
            ordered = sorted(points)
            times_us = [time_us for time_us, _ in ordered]
            _draw_steps(axes, times_us, [100 * e for _, e in ordered], colour=colour, label=name)
        _finish(axes, "Word errors over time")
    return figure


def _places(trials: Sequence[Trial]) -> tuple[list[float], list[float]]:
    return [one.us_per_frame for one in trials], [100 * one.word_error_rate for one in trials]


def _draw_steps(
    axes: Axes, times_us: Sequence[float], errors: Sequence[float], *, colour: str, label: str
) -> None:
    # Steps, for between two settings one has what the faster one gives.
    axes.plot(
        times_us, errors, color=colour, marker="o", drawstyle="steps-post", lw=1.4, label=label
    )


def _finish(axes: Axes, title: str) -> None:
    axes.set_xscale("log")
    ticker = import_extra("matplotlib.ticker", extra="decoding")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.set_ylim(bottom=0)
    axes.set_xlabel("CPU time of a frame (µs)")
    axes.set_ylabel("word error rate (%)")
    axes.set_title(title)
    axes.legend()
