"""What rows are made of: medians and quartiles, ratios with their bounds, targets."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.workers import Sample

__all__ = [
    "Clock",
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
    """What must hold of `of`: our median, the ratio, or the ratio's lower bound."""

    sense: Literal["<=", ">="]
    value: float
    of: Literal["ours", "ratio", "ratio_low"] = "ours"

    def is_met(self, ours: Measured, ratio: Ratio | None) -> bool:
        """Whether the figures reach the target; a target of a ratio needs a peer."""
        figure = ours.median
        if self.of != "ours":
            if ratio is None:
                msg = f"the target is of {self.of!r} but the row has no peer; measure pairs"
                raise ValueError(msg)
            figure = ratio.median if self.of == "ratio" else ratio.low
        return figure <= self.value if self.sense == "<=" else figure >= self.value


def at_most(value: float, *, of: Literal["ours", "ratio", "ratio_low"] = "ours") -> Target:
    """The target that a figure is `value` or less."""
    return Target(sense="<=", value=value, of=of)


def at_least(value: float, *, of: Literal["ours", "ratio", "ratio_low"] = "ours") -> Target:
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
        ours, peer = _seconds(self.ours, self.clock), _seconds(self.peer, self.clock)
        return _measured(ours), _measured(peer), _bootstrap_ratio(ours, peer)


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
    pairs = list(zip(ours, peer, strict=True))
    ratios = []
    for _ in range(_BOOTSTRAP_ROUNDS):
        mine, theirs = zip(*generator.choices(pairs, k=len(pairs)), strict=True)
        ratios.append(statistics.median(theirs) / statistics.median(mine))
    ratios.sort()
    return Ratio(
        median=statistics.median(peer) / statistics.median(ours),
        low=ratios[round(0.025 * (len(ratios) - 1))],
        high=ratios[round(0.975 * (len(ratios) - 1))],
    )
