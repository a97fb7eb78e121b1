"""The settings that tuning tries: drawn evenly over their ranges, or varied a little from one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from sestina.decoding.options import DecoderOptions

__all__ = ["BONUSES", "PRUNING", "WEIGHTS", "Tuned", "between", "spread", "thorough", "varied"]

Tuned = Literal[
    "lm_weight",
    "word_score",
    "log_add",
    "merge",
    "beam_size",
    "beam_threshold",
    "beam_size_token",
    "blank_skip_threshold",
    "token_score",
    "word_length_score",
    "sil_score",
]
"""Options that tuning may change."""

WEIGHTS: tuple[Tuned, ...] = ("lm_weight", "word_score", "log_add", "merge")
"""What decides which reading scores best, and is worth tuning for every task."""
BONUSES: tuple[Tuned, ...] = ("token_score", "word_length_score", "sil_score")
"""As `WEIGHTS`, but seldom worth it."""
PRUNING: tuple[Tuned, ...] = (
    "beam_size",
    "beam_threshold",
    "beam_size_token",
    "blank_skip_threshold",
)
"""What decides how hard it is searched for."""

# The fractional parts of n/φ, n/φ², ... are spread more evenly than random points, for any number
# of them, with φᵈ⁺¹ = φ + 1 (Roberts 2018, "The unreasonable effectiveness of quasirandom
# sequences"; for one dimension φ is the golden ratio).
_LARGEST_STEP = 0.25
_SKIPPING = 0.6
"""Share of the settings that skip blanks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """An option's range as the interval from 0 to 1."""

    place: Callable[[Any], float]
    value: Callable[[float], Any]


def thorough(start: DecoderOptions, tuned: Sequence[Tuned]) -> DecoderOptions:
    """The options to compare weights at: a search that misses little."""
    usual: dict[str, Any] = {
        "beam_size": 200,
        "beam_threshold": 30.0,
        "beam_size_token": None,
        "blank_skip_threshold": None,
    }
    return _with(start, {name: value for name, value in usual.items() if name in tuned})


def spread(
    start: DecoderOptions, tuned: Sequence[Tuned], count: int, num_tokens: int, *, seed: int
) -> list[DecoderOptions]:
    """So many settings that fill the ranges of the tuned options evenly; the others stay.

    Args:
        start: what the other options are.
        tuned: which options differ.
        count: how many settings.
        num_tokens: the width of the emissions.
        seed: moves all of them.
    """
    scales = _scales(num_tokens)
    dimensions = len(tuned)
    if not dimensions:
        return []
    root = 2.0
    for _ in range(60):  # a contraction: this is far below rounding
        root = (1 + root) ** (1 / (dimensions + 1))
    steps = root ** -np.arange(1, dimensions + 1)
    shift = np.random.default_rng(seed).random(dimensions)
    points = (shift + np.arange(1, count + 1)[:, None] * steps) % 1
    return [
        _with(start, {name: scales[name].value(x) for name, x in zip(tuned, point, strict=True)})
        for point in points.tolist()
    ]


def varied(
    parent: DecoderOptions,
    tuned: Sequence[Tuned],
    num_tokens: int,
    generator: np.random.Generator,
    *,
    reach: float,
) -> DecoderOptions:
    """Options near others: one or two of the tuned ones are moved.

    Args:
        parent: what they are near to.
        tuned: which options may move.
        num_tokens: the width of the emissions.
        generator: draws.
        reach: from 1, a quarter of an option's range, down to 0.
    """
    scales = _scales(num_tokens)
    chosen = generator.permutation(len(tuned))[: 1 + int(generator.integers(0, 2))]
    moved: dict[str, Any] = {}
    for name in [tuned[place] for place in chosen]:
        old = getattr(parent, name)
        if name == "log_add":
            moved[name] = not old
        elif name == "merge":
            moved[name] = "history" if old == "context" else "context"
        else:
            step = float(generator.normal()) * _LARGEST_STEP * reach
            # Not cut off at 1: the best may lie beyond the range that is drawn from.
            moved[name] = scales[name].value(max(0.0, scales[name].place(old) + step))
    return _with(parent, moved)


def between(
    one: DecoderOptions,
    other: DecoderOptions,
    tuned: Sequence[Tuned],
    num_tokens: int,
    generator: np.random.Generator,
) -> DecoderOptions:
    """Options that lie between two: each tuned one somewhere from the first's to the second's.

    Args:
        one: of the frontier.
        other: its neighbour there.
        tuned: which options may move.
        num_tokens: the width of the emissions.
        generator: draws.
    """
    scales = _scales(num_tokens)
    moved: dict[str, Any] = {}
    for name in tuned:
        low, high = (scales[name].place(getattr(end, name)) for end in (one, other))
        moved[name] = scales[name].value(low + float(generator.random()) * (high - low))
    return _with(one, moved)


def _with(options: DecoderOptions, values: dict[str, Any]) -> DecoderOptions:
    return replace(options, **values)


def _scales(num_tokens: int) -> dict[Tuned, _Scale]:
    all_tokens = math.log(2 * num_tokens)

    def tokens_of(x: float) -> int | None:
        # The highest part stands for all tokens.
        count = round(math.exp(math.log(2) + x * (all_tokens - math.log(2))))
        return count if count < num_tokens else None

    def place_of_tokens(count: int | None) -> float:
        shown = math.log(max(2, min(count or num_tokens, num_tokens)))
        return (shown - math.log(2)) / (all_tokens - math.log(2))

    def skipped_from(x: float) -> float | None:
        # 0.9 to 0.9999 below, and nothing skipped above.
        return round(1 - 10 ** -(1 + 3 * x / _SKIPPING), 5) if x < _SKIPPING else None

    def place_of_skipped(threshold: float | None) -> float:
        if threshold is None:
            return (1 + _SKIPPING) / 2
        return min(1.0, _SKIPPING * (-math.log10(max(1 - threshold, 1e-5)) - 1) / 3)

    return {
        "lm_weight": _linear(0.0, 5.0),
        "word_score": _linear(-2.0, 4.0),
        "log_add": _Scale(place=float, value=lambda x: x >= 0.5),
        "merge": _Scale(
            place=lambda merge: 0.0 if merge == "context" else 1.0,
            # Half of the draws would be too many for what is seldom better.
            value=lambda x: "context" if x < 0.75 else "history",
        ),
        "beam_size": _logarithmic(8, 500, whole=True),
        "beam_threshold": _logarithmic(4.0, 60.0, whole=False),
        "blank_skip_threshold": _Scale(place=place_of_skipped, value=skipped_from),
        "token_score": _linear(-2.0, 2.0),
        "word_length_score": _linear(-1.0, 1.0),
        "sil_score": _linear(-2.0, 2.0),
        "beam_size_token": _Scale(place=place_of_tokens, value=tokens_of),
    }


def _linear(low: float, high: float) -> _Scale:
    # Hundredths are finer than any set of utterances can tell.
    return _Scale(
        place=lambda value: (value - low) / (high - low),
        value=lambda x: round(low + x * (high - low), 2),
    )


def _logarithmic(low: float, high: float, *, whole: bool) -> _Scale:
    ratio = math.log(high / low)

    def value(x: float) -> float:
        exact = low * math.exp(x * ratio)
        return max(1, round(exact)) if whole else round(exact, 1)

    return _Scale(place=lambda given: math.log(max(given, 1e-3) / low) / ratio, value=value)
