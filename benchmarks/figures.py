"""What rows are made of: medians and quartiles, ratios with their bounds, targets."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.workers import Sample

__all__ = [
    "SUBJECTS",
    "Clock",
    "Geomean",
    "Measured",
    "Pairs",
    "Ratio",
    "Runs",
    "Target",
    "Value",
    "at_least",
    "at_most",
]

Clock = Literal["process", "wall"]
Figure = Literal["ours", "ratio", "ratio_low", "ratio_high"]
SUBJECTS: Mapping[Figure, str] = {
    "ours": "",
    "ratio": "ratio ",
    "ratio_low": "lower ratio ",
    "ratio_high": "upper ratio ",
}
"""What tables call a figure that a target is of."""
_BOOTSTRAP_ROUNDS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A figure as a row states it: median, quartiles, unit, and over how many runs."""

    median: float
    spread: tuple[float, float]
    unit: str
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Peer ÷ ours: the ratio of the medians, with its 95 % bootstrap bounds over pairs."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What must hold of `of`: our median, the ratio, or a bound of it."""

    sense: Literal["<=", ">="]
    value: float
    of: Figure = "ours"

    def is_met(self, ours: Measured, ratio: Ratio | None) -> bool:
        """Whether the figures reach the target; a target of a ratio needs a peer."""
        figure = ours.median
        if self.of != "ours":
            if ratio is None:
                msg = f"the target is of {self.of!r} but the row has no peer; measure pairs"
                raise ValueError(msg)
            bounds = {"ratio": ratio.median, "ratio_low": ratio.low, "ratio_high": ratio.high}
            figure = bounds[self.of]
        return figure <= self.value if self.sense == "<=" else figure >= self.value


def at_most(value: float, *, of: Figure = "ours") -> Target:
    """The target that a figure is `value` or less."""
    return Target(sense="<=", value=value, of=of)


def at_least(value: float, *, of: Figure = "ours") -> Target:
    """The target that a figure is `value` or more."""
    return Target(sense=">=", value=value, of=of)


@dataclass(frozen=True, slots=True)
class Value:
    """A figure that is no timing (an error, a count), with the spread that it has, if any."""

    value: float
    unit: str = ""
    spread: tuple[float, float] | None = None
    runs: int = 1

    def figures(self) -> tuple[Measured, Measured | None, Ratio | None]:
        """What the row states: ours, no peer, no ratio."""
        spread = self.spread if self.spread is not None else (self.value, self.value)
        return (
            Measured(median=self.value, spread=spread, unit=self.unit, runs=self.runs),
            None,
            None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Timings of our work alone."""

    ours: tuple[Sample, ...]
    clock: Clock
    versions: Mapping[str, str] = field(default_factory=dict)

    def figures(self) -> tuple[Measured, Measured | None, Ratio | None]:
        """What the row states: ours, no peer, no ratio."""
        return _measured(_seconds(self.ours, self.clock)), None, None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Timings of our work and the peer's, taken in turn: `ours[i]` belongs to `peer[i]`."""

    ours: tuple[Sample, ...]
    peer: tuple[Sample, ...]
    clock: Clock
    versions: Mapping[str, str] = field(default_factory=dict)
    peer_versions: Mapping[str, str] = field(default_factory=dict)

    def figures(self) -> tuple[Measured, Measured | None, Ratio | None]:
        """What the row states: ours, the peer's, and the ratio of the medians with its bounds."""
        ours, peer = self.seconds
        return _measured(ours), _measured(peer), _bootstrap_ratio(ours, peer)

    @property
    def seconds(self) -> tuple[list[float], list[float]]:
        """Ours and the peer's by the row's clock."""
        return _seconds(self.ours, self.clock), _seconds(self.peer, self.clock)


@dataclass(frozen=True, slots=True)
class Geomean:
    """The geometric mean over cases, each measured beside one peer or several.

    Of several peers a case counts the one that we are least ahead of, in each resampling anew.
    """

    cases: tuple[tuple[Pairs, ...], ...]

    @property
    def clock(self) -> Clock:
        """That of the pairs."""
        return self.cases[0][0].clock

    @property
    def versions(self) -> Mapping[str, str]:
        """Ours."""
        return self.cases[0][0].versions

    @property
    def peer_versions(self) -> Mapping[str, str]:
        """The peers'."""
        return self.cases[0][0].peer_versions

    def figures(self) -> tuple[Measured, Measured | None, Ratio | None]:
        """What the row states: means of medians and of quartiles, and the ratio with its bounds."""
        chosen = [min((pairs.figures() for pairs in case), key=_ratio_of) for case in self.cases]
        generator = random.Random(0)
        seconds = [[pairs.seconds for pairs in case] for case in self.cases]
        ratios = sorted(
            _mean(min(_resampled(*pairs, generator) for pairs in case) for case in seconds)
            for _ in range(_BOOTSTRAP_ROUNDS)
        )
        ratio = _bounded(_mean(map(_ratio_of, chosen)), ratios)
        ours, peers = zip(*((ours, peer) for ours, peer, _ in chosen if peer), strict=True)
        return _mean_measured(ours), _mean_measured(peers), ratio


def _seconds(samples: Sequence[Sample], clock: Clock) -> list[float]:
    return [sample.process_s if clock == "process" else sample.wall_s for sample in samples]


def _measured(seconds: Sequence[float]) -> Measured:
    if len(seconds) == 1:
        quartiles = (seconds[0], seconds[0])
    else:
        low, _, high = statistics.quantiles(seconds, n=4, method="inclusive")
        quartiles = (low, high)
    return Measured(
        median=statistics.median(seconds), spread=quartiles, unit="s", runs=len(seconds)
    )


def _bootstrap_ratio(ours: Sequence[float], peer: Sequence[float]) -> Ratio:
    generator = random.Random(0)
    ratios = sorted(_resampled(ours, peer, generator) for _ in range(_BOOTSTRAP_ROUNDS))
    return _bounded(statistics.median(peer) / statistics.median(ours), ratios)


def _resampled(ours: Sequence[float], peer: Sequence[float], generator: random.Random) -> float:
    """The ratio of the medians of as many pairs, drawn with repetition."""
    pairs = list(zip(ours, peer, strict=True))
    mine, theirs = zip(*generator.choices(pairs, k=len(pairs)), strict=True)
    ratio: float = statistics.median(theirs) / statistics.median(mine)
    return ratio


def _bounded(value: float, ratios: Sequence[float]) -> Ratio:
    """A ratio with the bounds that hold 95 % of these between them."""
    last = len(ratios) - 1
    return Ratio(median=value, low=ratios[round(0.025 * last)], high=ratios[round(0.975 * last)])


def _ratio_of(figures: tuple[Measured, Measured | None, Ratio | None]) -> float:
    ratio = figures[2]
    assert ratio is not None, "pairs have a ratio"
    return ratio.median


def _mean(values: Iterable[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))


def _mean_measured(figures: Sequence[Measured]) -> Measured:
    return Measured(
        median=_mean(one.median for one in figures),
        spread=(_mean(one.spread[0] for one in figures), _mean(one.spread[1] for one in figures)),
        unit=figures[0].unit,
        runs=sum(one.runs for one in figures),
    )
