"""The tour of `sestina.decoding`: noisy speech to text, with ever more knowledge of the language.

The bundled acoustic model has heard 100 sentences of voices and noise that it was not trained on.
They are decoded four times: by the best token of each frame, with a lexicon, with a 3-gram model as
well, and with options tuned on other sentences.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sestina.cli.book import Chapter
from sestina.core.files import atomic_write_text
from sestina.core.options import options_to_toml
from sestina.core.progress import tracked
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, greedy, read_lm, samples
from sestina.decoding.error_rates import ErrorRate, align, error_rate
from sestina.decoding.pictures import frontier_picture
from sestina.decoding.samples import Sample
from sestina.decoding.tuning import TuningOptions, tune

__all__ = ["TITLE", "run"]

TITLE = "Turn token scores into text"

_BEAMS = (5, 10, 20, 50, 100, 200, 500)
_BUDGET_US = 40.0
"""CPU time of a frame that tuning may spend: of 20 ms of sound, a five-hundredth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    """How much the chapter does."""

    utterances: int
    trials: int
    beams: tuple[int, ...]


_USUAL = _Size(utterances=100, trials=40, beams=_BEAMS)
_QUICK = _Size(utterances=12, trials=8, beams=_BEAMS[:3])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """One way to decode, on the test sentences."""

    texts: tuple[str, ...]
    errors: ErrorRate
    us_per_frame: float


def run(book: Chapter) -> None:
    """Decodes with ever more knowledge, tunes, and draws errors over time."""
    size = _QUICK if book.quick else _USUAL
    test, tuning = (_first(samples.sample(split), size.utterances) for split in ("test", "tune"))
    tokens = Tokens.read(test.tokens_path)
    lexicon = Lexicon.read(test.lexicon_path, tokens)
    words, both = (
        partial(Decoder, lexicon, None),
        partial(Decoder, lexicon, read_lm(test.arpa_path)),
    )
    seconds = sum(map(len, test.emissions)) * test.frame_duration_s
    book.text(
        f"A small acoustic model has heard {len(test.references)} sentences, {seconds:.0f} s of "
        "synthesised speech in noise, of voices that it was not trained on. For each 20 ms it says "
        f"how probable each of {len(tokens)} tokens is. What was said?"
    )
    results = {
        "best token of each frame": _measure(partial(greedy, tokens=tokens), test, book, "greedy"),
        f"lexicon of {len(lexicon)} words": _measure(_reader(words()), test, book, "lexicon"),
        "lexicon and 3-gram model": _measure(_reader(both()), test, book, "language model"),
    }
    tuned = tune(
        both,
        tuning.emissions,
        tuning.references,
        options=TuningOptions(trials=size.trials, time_budget=_BUDGET_US),
        progress=book.progress,
    )
    atomic_write_text(book.folder / "options.toml", options_to_toml(tuned.options))
    results["both, tuned"] = _measure(_reader(both(tuned.options)), test, book, "tuned")
    _show_sentence(book, test, results)
    _show_rates(book, test, results)
    curves = {
        "best token of each frame": [_point(results["best token of each frame"])],
        "lexicon": _curve(words, DecoderOptions(), size, test, book),
        "lexicon and 3-gram model": _curve(both, DecoderOptions(), size, test, book),
        "both, tuned": [
            _point(_measure(_reader(both(trial.options)), test, book, "tuned settings"))
            for trial in tuned.frontier
        ],
    }
    book.text(
        "More hypotheses in the beam find better texts, and take longer. Tuning tried "
        f"{len(tuned.trials)} settings of weights, beam and pruning on {len(tuning.references)} "
        "other sentences; here are those that none beat in both time and errors, measured on the "
        f"test sentences. The one it chose for {_BUDGET_US:g} µs a frame is in options.toml, for "
        "`sestina decode --config`."
    )
    book.picture(
        "time.png",
        frontier_picture(curves),
        caption="Word error rate over the CPU time of a frame, on the test sentences. Red "
        f"and green are the default options with beams of {size.beams[0]} to {size.beams[-1]}.",
    )


def _first(bundled: Sample, count: int) -> Sample:
    return replace(
        bundled, emissions=bundled.emissions[:count], references=bundled.references[:count]
    )


def _reader(decoder: Decoder) -> Callable[[Any], str]:
    return lambda emissions_tn: decoder.decode(emissions_tn)[0].text


def _measure(read: Callable[[Any], str], test: Sample, book: Chapter, label: str) -> _Result:
    """Texts, errors and time of one thread."""
    started_ns = time.process_time_ns()
    texts = tuple(read(one) for one in tracked(test.emissions, book.progress, label))
    taken_us = (time.process_time_ns() - started_ns) / 1e3
    return _Result(
        texts=texts,
        errors=error_rate(test.references, texts),
        us_per_frame=taken_us / sum(map(len, test.emissions)),
    )


def _curve(
    make: Callable[[DecoderOptions], Decoder],
    options: DecoderOptions,
    size: _Size,
    test: Sample,
    book: Chapter,
) -> list[tuple[float, float]]:
    settings = [replace(options, beam_size=beam) for beam in size.beams]
    return [_point(_measure(_reader(make(one)), test, book, "beams")) for one in settings]


def _point(result: _Result) -> tuple[float, float]:
    return result.us_per_frame, result.errors.rate


def _show_sentence(book: Chapter, test: Sample, results: dict[str, _Result]) -> None:
    place = _telling(test.references, list(results.values()))
    said = test.references[place]
    rows = [["what was said", said, 0]]
    rows += [
        [name, result.texts[place], align(said, result.texts[place]).errors]
        for name, result in results.items()
    ]
    book.table(rows, ["", "text", "word errors"], caption="One sentence, read in four ways")


def _telling(references: Sequence[str], results: Sequence[_Result]) -> int:
    """The sentence in which each way is better than the one before, or as many as can be."""

    def steps(place: int) -> tuple[int, int]:
        errors = [align(references[place], one.texts[place]).errors for one in results]
        better = sum(late < early for early, late in itertools.pairwise(errors))
        return better, -errors[-1]

    return max(range(len(references)), key=steps)


def _show_rates(book: Chapter, test: Sample, results: dict[str, _Result]) -> None:
    rows = []
    for name, result in results.items():
        low, high = result.errors.interval()
        factor = result.us_per_frame / 1e6 / test.frame_duration_s
        rows.append(
            [
                name,
                f"{100 * result.errors.rate:.1f} %",
                f"{100 * low:.0f} to {100 * high:.0f} %",
                f"{result.us_per_frame:.2g}",
                f"{1 / factor:,.0f} ×",
            ]
        )
    headers = ["knowledge", "word error rate", "95 % between", "CPU µs a frame", "real time"]
    book.table(rows, headers, caption=f"On all {len(test.references)} sentences, in one thread")
