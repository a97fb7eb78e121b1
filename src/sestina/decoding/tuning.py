"""Finds the options of a decoder that a task wants, on emissions whose texts are known.

First the weights, which decide what scores best, in a search that misses little: many of them on a
quarter of the utterances, the best third of those on half, and the best ninth on all (successive
halving, Jamieson and Talwalkar 2016). Then how hard to search: beams, thresholds and tokens drawn
evenly. The rest of the trials starts from settings that nothing else beats in both errors and time,
and varies one or two options of them, by less and less.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from sestina.core.errors import InvalidValueError, NoReadingError, OptionError, ShapeError
from sestina.core.progress import Progress, silent
from sestina.decoding.checks import check_kind
from sestina.decoding.emissions import as_emissions
from sestina.decoding.error_rates import ErrorRate, error_rate
from sestina.decoding.options import DecoderOptions
from sestina.decoding.results import Hypothesis
from sestina.decoding.settings import (
    BONUSES,
    PRUNING,
    WEIGHTS,
    Tuned,
    between,
    spread,
    thorough,
    varied,
)

__all__ = ["Decodes", "Trial", "Tuning", "TuningOptions", "tune"]

_FEWEST = 24
"""Utterances; fewer would say nothing of a setting."""
_RETIMED = 2
"""Further runs of each setting of the frontier; the shortest of all counts."""
_SHARE_BETWEEN = 0.4
"""Of the settings that are varied: those between two, not near one."""
_SHARE_NEAREST = 0.4
"""Of the settings that are varied: those from the one nearest to the goal."""
_ATTEMPTS = 20
"""To vary options into something that was not tried yet."""


class Decodes(Protocol):
    """What tuning needs of a decoder."""

    def decode(self, emissions_tn: Any, /) -> list[Hypothesis]:
        """The best readings of one utterance, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningOptions:
    """What to tune, and for what.

    Raises:
        OptionError: if one is out of its range.
    """

    target_wer: float | None = None
    """Word error rate in per cent; the fastest setting that reaches it is chosen."""
    time_budget: float | None = None
    """CPU microseconds a frame; of the settings that take no more, the one with the fewest errors
    is chosen."""
    trials: int = 80
    """Settings to decode with, some of them on a part of the utterances."""
    tuned: tuple[str, ...] = (*WEIGHTS, *PRUNING)
    """Options to change; the others stay as they are. Also possible: token_score, word_length_score
    and sil_score."""
    seed: int = 0
    """Of all draws."""

    def __post_init__(self) -> None:
        """Checks the ranges."""
        for name in ("target_wer", "time_budget"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, Real) and 0 <= float(value) < math.inf):
                raise OptionError(
                    name, value, expected="a number, at least 0", remedy="leave it out for none"
                )
        for name, least in (("trials", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or int(value) < least:
                raise OptionError(
                    name,
                    value,
                    expected=f"an integer, at least {least}",
                    remedy="leave it out for the default",
                )
        known = get_args(Tuned)
        for name in self.tuned:
            if name not in known:
                raise OptionError(
                    "tuned", name, expected=f"some of {', '.join(known)}", remedy="correct the name"
                )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """One setting, and what came of it."""

    options: DecoderOptions
    errors: ErrorRate
    us_per_frame: float
    """CPU time of the searches in one thread, in microseconds."""
    num_utterances: int

    @property
    def word_error_rate(self) -> float:
        """Between 0 and, mostly, 1."""
        return self.errors.rate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tuning:
    """What tuning has found."""

    trials: tuple[Trial, ...]
    """Every setting that was tried, in that order."""
    chosen: Trial
    is_met: bool
    """Whether the chosen one reaches the target within the budget; true if none was given."""
    goal: TuningOptions

    @property
    def options(self) -> DecoderOptions:
        """The chosen options; `sestina.core.options.options_to_toml` writes them."""
        return self.chosen.options

    @property
    def whole(self) -> tuple[Trial, ...]:
        """The trials on all utterances."""
        most = max(trial.num_utterances for trial in self.trials)
        return tuple(trial for trial in self.trials if trial.num_utterances == most)

    @property
    def frontier(self) -> tuple[Trial, ...]:
        """Of the trials on all utterances those than which none is as fast with as few errors.

        From the fastest to the one with the fewest errors.
        """
        return _frontier(self.whole)


def tune(
    make: Callable[[DecoderOptions], Decodes],
    emissions: Sequence[Any],
    references: Sequence[str],
    *,
    options: TuningOptions | None = None,
    start: DecoderOptions | None = None,
    progress: Progress = silent,
) -> Tuning:
    """Tries settings on emissions whose texts are known, and chooses one.

    Without a target or a budget the one with the fewest errors is chosen, the fastest of equals.
    The draws are seeded; but which settings are varied further depends on times as well, and those
    are the machine's. Errors on the utterances that were tuned on flatter: measure on others.

    Args:
        make: makes a decoder of options: `functools.partial(Decoder, lexicon, lm)`.
        emissions: a (frame, token) array for each utterance.
        references: what was said in each.
        options: what to tune, and for what.
        start: values of the options that are not tuned, and the first setting of all. Without a
            lexicon and an open vocabulary `word_score` is not tuned: such a search knows no words.
        progress: told before the first trial and after each.

    Raises:
        ShapeError, DtypeError, NonFiniteError: for emissions that can't be read.
        InvalidValueError: if there are no utterances, frames or words.

    Example:
        >>> from functools import partial
        >>> import numpy as np
        >>> from sestina.decoding import Decoder, Lexicon, Tokens
        >>> lexicon = Lexicon.from_spellings({"ab": "a b |"}, Tokens(["-", "|", "a", "b"]))
        >>> emissions_tn = np.log(np.eye(4)[[2, 3, 1]] + 0.01)
        >>> found = tune(partial(Decoder, lexicon, None), [emissions_tn], ["ab"])
        >>> found.chosen.word_error_rate
        0.0
    """
    check_kind("options", options, TuningOptions | None, "TuningOptions, or None")
    check_kind("start", start, DecoderOptions | None, "DecoderOptions, or None")
    goal, start = options or TuningOptions(), start or DecoderOptions()
    arrays = _checked(emissions, references)
    goal = _without_words(make, start, goal)
    search = _Search(
        make=make, emissions=arrays, references=references, goal=goal, progress=progress
    )
    search.run(start)
    chosen, is_met = _choose(search.whole(), goal)
    return Tuning(trials=tuple(search.trials), chosen=chosen, is_met=is_met, goal=goal)


def _without_words(
    make: Callable[[DecoderOptions], Decodes], start: DecoderOptions, goal: TuningOptions
) -> TuningOptions:
    """Leaves a score of words out where the search knows none and refuses it."""
    if "word_score" not in goal.tuned:
        return goal
    try:
        make(replace(start, word_score=1.0))
    except OptionError as error:
        if error.name != "word_score":
            raise
        return replace(goal, tuned=tuple(name for name in goal.tuned if name != "word_score"))
    return goal


def _checked(emissions: Sequence[Any], references: Sequence[str]) -> list[NDArray[np.float32]]:
    if len(emissions) != len(references):
        raise ShapeError(
            "references",
            len(references),
            expected=f"{len(emissions)}, one for each utterance",
            remedy="pass what was said in each, in the same order",
        )
    width = next((np.shape(one)[-1] for one in emissions if np.ndim(one)), 0)
    arrays = [as_emissions(one, num_axes=2, num_tokens=width) for one in emissions]
    if not any(map(len, arrays)):
        raise InvalidValueError(
            "emissions",
            f"{len(arrays)} utterances without a frame",
            expected="something to decode",
            remedy="look at how they were read",
        )
    error_rate(references, references)  # says so if they have no words
    return arrays


@dataclass(kw_only=True, eq=False)
class _Search:
    make: Callable[[DecoderOptions], Decodes]
    emissions: list[NDArray[np.float32]]
    references: Sequence[str]
    goal: TuningOptions
    progress: Progress
    trials: list[Trial] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.generator = np.random.default_rng(self.goal.seed)
        self.order = self.generator.permutation(len(self.emissions)).tolist()
        # An error rate needs words: one utterance that has some is part of every share.
        worded = next(place for place in self.order if self.references[place].split())
        self.order.remove(worded)
        self.order.insert(0, worded)
        self.num_tokens = self.emissions[0].shape[1]
        self.weights = [name for name in (*WEIGHTS, *BONUSES) if name in self.goal.tuned]
        self.pruning = [name for name in PRUNING if name in self.goal.tuned]

    def run(self, start: DecoderOptions) -> None:
        self.progress(0, self.goal.trials, "trying settings")
        self.measure(start)
        if self.weights or self.pruning:
            self.compare_weights(start)
            self.compare_pruning()
            self.vary()
        self.time_again()

    def whole(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.num_utterances == len(self.emissions)]

    def left(self) -> int:
        return self.goal.trials - len(self.trials)

    def compare_weights(self, start: DecoderOptions) -> None:
        """Half of the trials: of those 9 parts on a quarter of the utterances, 3 on half, 1 on all.

        With few utterances all of them on all.
        """
        if not self.weights:
            return
        base = thorough(start, self.pruning)
        parts: tuple[tuple[int, int], ...] = ((9, 4), (3, 2), (1, 1))
        if len(self.emissions) <= _FEWEST:
            parts = ((1, 1),)
        budget = self.left() // 2 if self.pruning else 2 * self.left() // 3
        total = sum(part for part, _ in parts)
        candidates = spread(
            base, self.weights, budget * parts[0][0] // total, self.num_tokens, seed=self.goal.seed
        )
        for part, share in parts:
            count = max(1, budget * part // total)
            tried = [
                self.measure(one, max(len(self.emissions) // share, _FEWEST))
                for one in candidates[:count]
                if self.left() > 0
            ]
            candidates = [one.options for one in sorted(tried, key=_by_errors)]

    def compare_pruning(self) -> None:
        """A third of what is left, with the best weights."""
        best = min(self.whole(), key=_by_errors).options
        for one in spread(
            best, self.pruning, self.left() // 3, self.num_tokens, seed=self.goal.seed + 1
        ):
            self.measure(one)

    def vary(self) -> None:
        """All that is left."""
        tried = {trial.options for trial in self.whole()}
        steps = self.left()
        for step in range(steps):
            for _ in range(_ATTEMPTS):
                child = self.child(reach=1 - 0.8 * step / steps)
                if child not in tried:
                    break
            else:
                return
            tried.add(child)
            self.measure(child)

    def child(self, *, reach: float) -> DecoderOptions:
        """Near a setting of the frontier, or between two neighbours there."""
        frontier = _frontier(self.whole())
        tuned = [*self.weights, *self.pruning]
        parent = self.parent(frontier)
        other = parent + int(self.generator.choice([-1, 1]))
        if 0 <= other < len(frontier) and self.generator.random() < _SHARE_BETWEEN:
            ends = frontier[parent].options, frontier[other].options
            return between(*ends, tuned, self.num_tokens, self.generator)
        return varied(frontier[parent].options, tuned, self.num_tokens, self.generator, reach=reach)

    def parent(self, frontier: Sequence[Trial]) -> int:
        """The place of one that is mostly near the goal; near the fewest errors if there is none.

        The fast ones with many errors are not what anyone looks for without saying so.
        """
        near = frontier.index(_choose(frontier, self.goal)[0])
        away = int(self.generator.geometric(_SHARE_NEAREST)) - 1
        place = near + away * int(self.generator.choice([-1, 1]))
        return min(max(place, 0), len(frontier) - 1)

    def time_again(self) -> None:
        """The times of the frontier decide; each counts with its shortest run."""
        for trial in _frontier(self.whole()):
            runs = [self.decode(trial.options, self.order)[1] for _ in range(_RETIMED)]
            place = self.trials.index(trial)
            self.trials[place] = replace(trial, us_per_frame=min(trial.us_per_frame, *runs))
        self.progress(self.goal.trials, self.goal.trials, "trying settings")

    def measure(self, options: DecoderOptions, count: int | None = None) -> Trial:
        places = self.order[:count]
        texts, us_per_frame = self.decode(options, places)
        errors = error_rate([self.references[place] for place in places], texts)
        trial = Trial(
            options=options, errors=errors, us_per_frame=us_per_frame, num_utterances=len(places)
        )
        self.trials.append(trial)
        self.progress(min(len(self.trials), self.goal.trials), self.goal.trials, "trying settings")
        return trial

    def decode(self, options: DecoderOptions, places: Sequence[int]) -> tuple[list[str], float]:
        """Texts, and CPU microseconds a frame."""
        decoder = self.make(options)
        utterances = [self.emissions[place] for place in places]
        started_ns = time.process_time_ns()
        found = [_best(decoder, one) for one in utterances]
        taken_us = (time.process_time_ns() - started_ns) / 1e3
        texts = [one.text if one is not None else "" for one in found]
        return texts, taken_us / max(1, sum(map(len, utterances)))


def _best(decoder: Decodes, emissions_tn: NDArray[np.float32]) -> Hypothesis | None:
    try:
        return decoder.decode(emissions_tn)[0]
    except NoReadingError:
        # The emissions were checked: a beam so narrow that nothing is left at the end.
        return None


def _by_errors(trial: Trial) -> tuple[float, float]:
    return (trial.word_error_rate, trial.us_per_frame)


def _frontier(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    best: list[Trial] = []
    for trial in sorted(trials, key=lambda one: (one.us_per_frame, one.word_error_rate)):
        if not best or trial.word_error_rate < best[-1].word_error_rate:
            best.append(trial)
    return tuple(best)


def _choose(trials: Sequence[Trial], goal: TuningOptions) -> tuple[Trial, bool]:
    """The one that serves the goal best, and whether it reaches it."""
    fast = [
        one for one in trials if goal.time_budget is None or one.us_per_frame <= goal.time_budget
    ]
    if goal.target_wer is not None:
        right = [one for one in fast if 100 * one.word_error_rate <= goal.target_wer]
        if right:
            return min(right, key=lambda one: (one.us_per_frame, one.word_error_rate)), True
    if fast:
        return min(fast, key=_by_errors), goal.target_wer is None
    return min(trials, key=lambda one: one.us_per_frame), False
