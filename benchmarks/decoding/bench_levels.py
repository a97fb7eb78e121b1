"""Time, and the smallest beam, to each level of word errors: ours, Flashlight and pyctcdecode.

These are the two figures by which TorchAudio's decoder was presented. For time every setting of a
system's frontier counts (`*_frontier.json`: weights, prunings and beams, chosen on the tune set by
the sweep_*.py). For beams there is one setting for each, with wide prunings and the best weights of
the tune set (`*_beams.json`, by sweep_beams.py). Of frontiers what takes more than 1.2 ms a frame
is left out: of Flashlight two settings that reach 5.1 and 5.0 % on the tune set, and of pyctcdecode
two that reach 14.1 and 13.7 %. All decode the same utterances of the validation set, in processes
that take turns; a time is the median of its runs.

A level is a word error rate; a system reaches it with its fastest setting (its smallest beam) that
errs no more. The rows have the peer's time (beam) by ours at each level that the peer reaches but
not with all of its settings. The last ones say whether the ratio falls as the beam grows: that at
the lowest level by that at the highest, and the least one by the largest at a higher level.

Pictures: build/decoding/time.png and beams.png.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.decoding.scoring import word_error_rate
from benchmarks.decoding.sets import BENCH, BUILT, DATA, path_of, texts
from benchmarks.decoding.sweeps import MEASURED
from benchmarks.harness import Report, Value, Worker, at_least, bench_python, main
from benchmarks.workers import ROOT
from sestina.core.plots import COLOURS, house_style, new_figure, save_figure
from sestina.decoding.pictures import frontier_picture

NUM_UTTERANCES = 40
LEVELS = (
    50.0,
    40.0,
    30.0,
    25.0,
    20.0,
    18.0,
    16.0,
    14.0,
    12.0,
    10.0,
    9.0,
    8.0,
    7.0,
    6.5,
    6.0,
    5.5,
    5.0,
)
MOST_US = 1200
System = Literal["sestina", "flashlight", "pyctcdecode"]
MADE: dict[System, str] = {
    "sestina": "benchmarks.decoding.sweep_sestina:Swept",
    "flashlight": "benchmarks.decoding.peers.flashlight_text:Decoder",
    "pyctcdecode": "benchmarks.decoding.peers.pyctcdecode_beams:Decoder",
}
RUNS: dict[System, int] = {"sestina": 3, "flashlight": 3, "pyctcdecode": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A setting, measured."""

    beam: int
    us_per_frame: float
    wer_percent: float


def settings_of(system: System, kind: Literal["frontier", "beams"]) -> list[dict[str, Any]]:
    """Settings of a system, fastest or smallest first."""
    path = Path(__file__).parent / f"{system}_{kind}.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    return [
        {key: value for key, value in row.items() if key not in MEASURED}
        for row in rows
        if kind == "beams" or row["us_per_frame"] <= MOST_US
    ]


def measured(
    settings: Mapping[System, Sequence[Mapping[str, Any]]],
) -> dict[System, list[Point]]:
    """All settings of all systems, which take turns."""
    files = {
        "set": str(path_of("validation")),
        "tokens": str(DATA / "tokens.txt"),
        "lexicon": str(BENCH / "lexicon200k.txt.gz"),
        "lm": str(ROOT / "build" / "kenlm-oracle" / "lm3" / "probing.bin"),
        "last": NUM_UTTERANCES,
    }
    workers = {
        system: Worker(
            "benchmarks.decoding.sweeps:decoded",
            files | {"decoder": MADE[system], "settings": list(some)},
            python=None if system == "sestina" else bench_python("decoding"),
        )
        for system, some in settings.items()
    }
    found: dict[System, list[list[Mapping[str, Any]]]] = {system: [] for system in settings}
    try:
        for turn in range(max(RUNS.values())):
            for system, worker in workers.items():
                if turn < RUNS[system]:
                    found[system].append(worker.run().extra["rows"])
    finally:
        for worker in workers.values():
            worker.close()
    references = texts("validation")[:NUM_UTTERANCES]
    return {
        system: [
            Point(
                beam=setting.get("beam_size") or setting["beam_width"],
                us_per_frame=statistics.median(run[place]["us_per_frame"] for run in runs),
                wer_percent=100 * word_error_rate(references, runs[0][place]["texts"]),
            )
            for place, setting in enumerate(settings[system])
        ]
        for system, runs in found.items()
    }


Quantity = Literal["time", "smallest beam"]


def least(points: Sequence[Point], quantity: Quantity, level: float) -> float | None:
    """What it takes to err in no more than that many per cent."""
    enough = [point for point in points if point.wer_percent <= level]
    if not enough:
        return None
    return min(one.us_per_frame if quantity == "time" else float(one.beam) for one in enough)


def rows(report: Report, quantity: Quantity, points: Mapping[System, Sequence[Point]]) -> None:
    """A row for each level of each peer, and two for how they go on."""
    unit = {"time": "us_per_frame", "smallest beam": "beam"}[quantity]
    workload = {"set": "validation, hard", "utterances": NUM_UTTERANCES, "words": "200k"}
    for peer in (system for system in points if system != "sestina"):
        ratios: dict[float, float] = {}
        # Above, all that the peer has will do: there is nothing to choose.
        highest = max(point.wer_percent for point in points[peer])
        for level in (one for one in LEVELS if one <= highest):
            own, other = (least(points[one], quantity, level) for one in ("sestina", peer))
            if own is None or other is None:
                continue
            ratios[level] = other / own
            report.row(
                what=f"{quantity} to {level:g} % of word errors, {peer}'s by ours",
                workload=workload,
                measured=Value(ratios[level]),
                notes={f"ours, {unit}": round(own, 3), f"the peer's, {unit}": round(other, 3)},
            )
        levels = list(ratios)
        report.row(
            what=f"{quantity}, {peer}'s by ours: ratio at the lowest level by that at the highest",
            workload=workload | {"levels, %": levels},
            measured=Value(ratios[levels[-1]] / ratios[levels[0]]),
            target=at_least(1),
            notes={"ratios": {f"{level:g} %": round(one, 2) for level, one in ratios.items()}},
        )
        values = list(ratios.values())
        falls = [one / max(values[: place + 1]) for place, one in enumerate(values)]
        report.row(
            what=f"{quantity}, {peer}'s by ours: least ratio by the largest at a higher level",
            workload=workload | {"levels, %": levels},
            measured=Value(min(falls)),
            target=at_least(1),
        )


def draw_beams(points: Mapping[System, Sequence[Point]], path: Path) -> None:
    """Word errors over the beam."""
    with house_style():
        figure, axes = new_figure(width_inch=6.4, height_inch=4.0)
        for (system, some), colour in zip(points.items(), COLOURS, strict=False):
            sizes, errors = [one.beam for one in some], [one.wer_percent for one in some]
            axes.plot(sizes, errors, marker="o", color=colour, label=system)
        axes.set(xscale="log", xlabel="beam", ylabel="word error rate (%)", title="Errors by beam")
        sizes = sorted({one.beam for some in points.values() for one in some})
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.legend()
        save_figure(figure, path)


def bench(report: Report) -> None:
    """Both quantities, and both pictures."""
    systems: tuple[System, ...] = ("sestina", "flashlight", "pyctcdecode")
    by_time = measured({system: settings_of(system, "frontier") for system in systems})
    rows(report, "time", by_time)
    by_beam = measured({system: settings_of(system, "beams") for system in systems})
    rows(report, "smallest beam", by_beam)
    curves: dict[str, list[tuple[float, float]]] = {
        system: pruned([(one.us_per_frame, one.wer_percent / 100) for one in some])
        for system, some in by_time.items()
    }
    save_figure(frontier_picture(curves), BUILT / "time.png")
    draw_beams(by_beam, BUILT / "beams.png")
    print(f"pictures: {BUILT}/time.png and beams.png", file=sys.stderr)


def pruned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those than which none is as fast and as right: the frontier of the set at hand."""
    best: list[tuple[float, float]] = []
    for point in sorted(points):
        if not best or point[1] < best[-1][1]:
            best.append(point)
    return best


if __name__ == "__main__":
    main(bench)
