"""Hotwords: how many of the words that are boosted are found, and what that costs the others.

People boost names and rare words. So the list of a set is made by a rule that looks at no result:
the words said in it that the language model knows but takes for rarer than one in 100,000, and as
many that are as rare and not said in it, drawn with a seed, since lists name what is not said, too.
The search without hotwords finds some of the former anyway.

Beam and score are chosen on the tune set with its own list: fewest word errors, and of equal ones
the smaller. The score is the same for all words. Each set of the validation part is then scored
once. A boosted word is found where a cheapest alignment has it right; a false alarm is one where
the alignment has another or none. An error of the others is a substitution or deletion of a word
that is not boosted, or an insertion of one (U-WER of Le et al., "Contextualized streaming
end-to-end speech recognition with trie-based deep biasing and shallow fusion", 2021); the row has
the lower bound of how many more there are than without hotwords (paired bootstrap over utterances),
the notes the difference itself.

Besides: the words said in the list taken out of the lexicon, so that nothing but the boost names
them (the model still knows them); no lexicon and no model; and pyctcdecode with hotwords of its own
on the first 60 utterances of the hard sets, with the same rule for its weight.
"""

from __future__ import annotations

import functools
import gzip
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.decoding.emissions import Difficulty, Emissions
from benchmarks.decoding.sets import BENCH, DATA, Part, path_of, texts
from benchmarks.decoding.sweeps import MEASURED
from benchmarks.harness import Report, Value, Worker, at_least, at_most, bench_python, main
from benchmarks.workers import ROOT
from sestina.decoding import (
    Decoder,
    DecoderOptions,
    ErrorRate,
    LanguageModel,
    Lexicon,
    Tokens,
    align,
    compare,
    error_rate,
    read_lm,
)

RAREST = -5.0
"""log10 of the probability, in no context, that a word of the list has at most."""
NEVER = -90.0
NUM_THREADS = 2
BEAMS = (50, 100, 200, 400)
SCORES = (4.0, 6.0, 8.0, 9.0, 10.0, 11.0, 12.0, 14.0)
FREE_SCORES = (2.0, 4.0, 6.0, 8.0, 10.0, 12.0)
PEER_WEIGHTS = (2.0, 5.0, 10.0)
# Of its frontier the best that takes no more for a frame; it takes some five times as long with the
# list, and the first utterances of the sets must do.
PEER_MOST_US, PEER_UTTERANCES = 250, 60
OPTIONS: dict[str, Any] = {
    "beam_threshold": 30,
    "lm_weight": 3.5,
    "word_score": 2.0,
    "log_add": True,
}
FREE_OPTIONS: dict[str, Any] = {"beam_size": 50, "beam_threshold": 15, "log_add": True}

Texts = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What was found in a set."""

    said: int
    """Boosted words in it."""
    found: int
    false_alarms: int
    others: ErrorRate
    """Of the words that are not boosted."""
    errors: int
    """Of all words."""

    @property
    def recall(self) -> float:
        """The share of boosted words that is found."""
        return self.found / self.said


@functools.cache
def rare_words() -> list[str]:
    """Those of the lexicon, in its order, that the model knows as rare."""
    with gzip.open(BENCH / "lm3.arpa.gz", "rt") as file:
        known = {}
        for line in file:
            if line.startswith("\\2-grams"):
                break
            fields = line.split("\t")
            if len(fields) >= 2:
                known[fields[1].strip()] = float(fields[0])
    with gzip.open(BENCH / "lexicon200k.txt.gz", "rt") as file:
        words = dict.fromkeys(line.split()[0] for line in file)
    return [word for word in words if NEVER < known.get(word, NEVER) <= RAREST]


def hotwords(part: Part) -> tuple[list[str], list[str]]:
    """The list of a set: those said in it, and as many that are not."""
    said = {word for text in texts(part) for word in text.split()}
    named = [word for word in rare_words() if word in said]
    silent = [word for word in rare_words() if word not in said]
    return named, random.Random(0).sample(silent, len(named))


def scored(part: Part, found: Texts) -> Scored:
    """Counts over a set, or over the first utterances of it."""
    boosted = {word for words in hotwords(part) for word in words}
    references = texts(part)[: len(found)]
    said = hits = alarms = 0
    errors_u, lengths_u = np.zeros((2, len(references)), dtype=np.int64)
    for u, (reference, text) in enumerate(zip(references, found, strict=True)):
        for expected, got in align(reference, text).pairs:
            right = expected == got
            if expected in boosted:
                said += 1
                hits += right
            elif expected is not None:
                lengths_u[u] += 1
                errors_u[u] += not right
            elif got not in boosted:
                errors_u[u] += 1
            alarms += got in boosted and not right
    nothing = np.zeros_like(errors_u)
    return Scored(
        said=said,
        found=hits,
        false_alarms=alarms,
        others=ErrorRate(
            unit="word",
            substitutions_u=errors_u,
            deletions_u=nothing,
            insertions_u=nothing,
            lengths_u=lengths_u,
        ),
        errors=error_rate(references, found).errors,
    )


Find = Callable[[Part, Difficulty, Mapping[str, float]], Texts]
"""Decodes a set with hotwords."""


def searched(make: Callable[[Part, Mapping[str, float]], Decoder]) -> Find:
    """With decoders that are made for a set and its hotwords."""

    def find(part: Part, difficulty: Difficulty, boosts: Mapping[str, float]) -> Texts:
        emissions = Emissions.load(path_of(part, difficulty))
        inputs = [emissions.log_probs(n) for n in range(len(emissions))]
        return [one[0].text for one in make(part, boosts).decode_batch(inputs, threads=NUM_THREADS)]

    return find


def boosts_of(part: Part, score: float) -> dict[str, float]:
    """The list of a set, with a score for each."""
    return {word: score for words in hotwords(part) for word in words} if score else {}


def chosen(find: Find, scores: Sequence[float]) -> tuple[int, float]:
    """Word errors on the tune set, and the smallest score that makes no more."""
    return min(
        (scored("tune", find("tune", "hard", boosts_of("tune", score))).errors, score)
        for score in scores
    )


def rows(
    report: Report,
    what: str,
    find: Find,
    score: float,
    *,
    difficulty: Difficulty = "hard",
    workload: Mapping[str, Any],
    has_targets: bool = False,
) -> None:
    """Recall on the validation set, and what it costs the other words."""
    before, after = (
        scored("validation", find("validation", difficulty, boosts_of("validation", one)))
        for one in (0.0, score)
    )
    other = compare(after.others, before.others, draws=10_000)
    size = sum(map(len, hotwords("validation")))
    workload = dict(workload) | {
        "set": f"validation, {difficulty}",
        "hotwords": size,
        "score": score,
    }
    report.row(
        what=f"hotwords, {what}, {difficulty}: recall",
        workload=workload,
        measured=Value(after.recall),
        target=at_least(0.95) if has_targets else None,
        notes={
            "said": after.said,
            "recall without": round(before.recall, 4),
            "false alarms": after.false_alarms,
            "without": before.false_alarms,
        },
    )
    report.row(
        what=f"hotwords, {what}, {difficulty}: errors of the other words, more by (95 %)",
        workload=workload,
        measured=Value(100 * other.low, unit="points"),
        target=at_most(0) if has_targets else None,
        notes={
            "difference": round(100 * other.difference, 3),
            "95 %": [round(100 * bound, 3) for bound in (other.low, other.high)],
            "errors of the others, %": round(100 * after.others.rate, 3),
            "without, %": round(100 * before.others.rate, 3),
            "errors of all words": after.errors,
            "errors of all words without": before.errors,
        },
    )


def pyctcdecode(setting: Mapping[str, Any]) -> Find:
    """The peer at one setting; its weight is the same for all hotwords."""
    files = {
        "tokens": str(DATA / "tokens.txt"),
        "lexicon": str(BENCH / "lexicon200k.txt.gz"),
        "lm": str(ROOT / "build" / "kenlm-oracle" / "lm3" / "probing.bin"),
    }

    def find(part: Part, difficulty: Difficulty, boosts: Mapping[str, float]) -> Texts:
        workload = (
            dict(setting)
            | files
            | {
                "set": str(path_of(part, difficulty)),
                "last": PEER_UTTERANCES,
                "hotwords": list(boosts),
                "hotword_weight": next(iter(boosts.values()), 0.0),
            }
        )
        target = "benchmarks.decoding.peers.pyctcdecode_beams:beams"
        with Worker(target, workload, python=bench_python("decoding")) as theirs:
            found: list[str] = theirs.run().extra["texts"]
        return found

    return find


def bench(report: Report) -> None:
    """Two rows for each set and way to search."""
    tokens = Tokens.read(DATA / "tokens.txt")
    lexicon = Lexicon.read(BENCH / "lexicon200k.txt.gz", tokens)
    lm = read_lm(BENCH / "lm3.arpa.gz")

    def find_with(beam: int) -> Find:
        options = DecoderOptions(**OPTIONS, beam_size=beam)
        return searched(lambda _, boosts: Decoder(lexicon, lm, options, hotwords=boosts))

    choices = {beam: chosen(find_with(beam), SCORES) for beam in BEAMS}
    best = min(choices, key=lambda beam: choices[beam][0])
    score = choices[best][1]
    difficulties: tuple[Difficulty, ...] = ("hard", "mid", "easy")
    for difficulty in difficulties:
        rows(
            report,
            "lexicon",
            find_with(best),
            score,
            difficulty=difficulty,
            workload=OPTIONS | {"beam_size": best},
            has_targets=True,
        )
    for beam in BEAMS:
        if beam != best:
            rows(
                report,
                f"lexicon, beam {beam}",
                find_with(beam),
                choices[beam][1],
                workload=OPTIONS | {"beam_size": beam},
            )
    beyond_lexicon(report, lexicon, lm, best)
    beside_peer(report)


def beyond_lexicon(report: Report, lexicon: Lexicon, lm: LanguageModel, beam: int) -> None:
    """Words that it lacks, and letters alone."""

    def without(part: Part, boosts: Mapping[str, float]) -> Decoder:
        rest = {lexicon.word(n) for n in range(len(lexicon))} - set(hotwords(part)[0])
        options = DecoderOptions(**OPTIONS, beam_size=beam)
        return Decoder(lexicon.only(rest), lm, options, hotwords=boosts)

    rows(
        report,
        "words that the lexicon lacks",
        searched(without),
        chosen(searched(without), SCORES)[1],
        workload=OPTIONS | {"beam_size": beam},
    )
    tokens, free_options = lexicon.tokens, DecoderOptions(**FREE_OPTIONS)
    free = searched(lambda _, boosts: Decoder(tokens, None, free_options, hotwords=boosts))
    rows(
        report,
        "without a lexicon or a model",
        free,
        chosen(free, FREE_SCORES)[1],
        workload=FREE_OPTIONS,
    )


def beside_peer(report: Report) -> None:
    """The best setting of pyctcdecode's that is not too slow."""
    frontier = json.loads((Path(__file__).parent / "pyctcdecode_frontier.json").read_text())
    affordable = [row for row in frontier if row["us_per_frame"] <= PEER_MOST_US]
    setting = {key: value for key, value in affordable[-1].items() if key not in MEASURED}
    peer = pyctcdecode(setting)
    rows(
        report,
        "pyctcdecode's own",
        peer,
        chosen(peer, PEER_WEIGHTS)[1],
        workload=setting | {"utterances": PEER_UTTERANCES},
    )


if __name__ == "__main__":
    main(bench)
