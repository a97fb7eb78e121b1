"""Whether confidences are the shares of words that are right, and tokens where they were said.

Confidences come from lattices, their scale from the tune set: the one of `SCALES` under which its
right and wrong words are likeliest. The validation set is scored with the package's own scales:
that with a lexicon was fitted so on the hard set, that for letters alone lies between those of the
sets. The expected calibration error is the mean distance of confidence from the share of right
words, over ten bins of confidence of equal width, weighted by their words.

The synthesiser knows the frames of each token. Counted are the tokens of words that are right: how
many begin at most one frame from where they were put.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.decoding.emissions import Difficulty, Emissions
from benchmarks.decoding.scoring import aligned, word_error_rate
from benchmarks.decoding.sets import BENCH, DATA, Part, path_of, texts
from benchmarks.harness import Report, Value, at_least, at_most, main
from sestina.decoding import (
    Decoder,
    DecoderOptions,
    Hypothesis,
    Lattice,
    Lexicon,
    Tokens,
    read_arpa,
)

SCALES = tuple(round(0.05 * k, 2) for k in range(2, 21))
SETTINGS: dict[str, Any] = {
    "beam_size": 50,
    "beam_size_token": 8,
    "beam_threshold": 15,
    "lm_weight": 3.5,
    "word_score": 2.0,
}
NUM_BINS = 10
LETTERS: dict[str, Any] = {"beam_size": 50, "beam_size_token": 8, "beam_threshold": 15}
"""Neither a lexicon nor a language model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A set's utterances with what was found in them."""

    emissions: Emissions
    references: list[str]
    lattices: list[Lattice]
    best: list[Hypothesis]
    """The search's own, which are those of the lattices unless paths add up."""

    @classmethod
    def of(cls, decoder: Decoder, part: Part, difficulty: Difficulty) -> Decoded:
        """Decodes a whole set."""
        emissions = Emissions.load(path_of(part, difficulty))
        inputs = [emissions.log_probs(n) for n in range(len(emissions))]
        return cls(
            emissions=emissions,
            references=texts(part),
            lattices=[decoder.lattice(log_probs_tn) for log_probs_tn in inputs],
            best=[decoder.decode(log_probs_tn)[0] for log_probs_tn in inputs],
        )

    def judged(self, scale: float) -> list[tuple[float, bool]]:
        """The confidence of each word, and whether it is right."""
        found = []
        for lattice, best, text in zip(self.lattices, self.best, self.references, strict=True):
            right = {place for _, place in aligned(text.split(), best.text.split())}
            shares = lattice.confidences(best, scale=scale)
            found += [(share, place in right) for place, share in enumerate(shares)]
        return found


def calibration_error(judged: Sequence[tuple[float, bool]]) -> float:
    """The expected calibration error."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(NUM_BINS)]
    for share, right in judged:
        bins[min(NUM_BINS - 1, int(NUM_BINS * share))].append((share, right))
    return sum(abs(sum(s for s, _ in one) - sum(r for _, r in one)) for one in bins) / len(judged)


def surprise(judged: Sequence[tuple[float, bool]]) -> float:
    """Mean negative log-likelihood of what is right and what is wrong, in nats."""
    chances = [share if right else 1 - share for share, right in judged]
    return -sum(math.log(max(chance, 1e-6)) for chance in chances) / len(judged)


def token_shifts(decoded: Decoded, blank: int, separator: int) -> list[int]:
    """How many frames after its spike each token of a right word begins."""
    shifts = []
    for n, best in enumerate(decoded.best):
        tokens, frames, _ = decoded.emissions.spikes(n)
        spikes: list[list[int]] = [[]]  # by word
        for token, frame in zip(tokens.tolist(), frames.tolist(), strict=True):
            if token == separator:
                spikes.append([])
            else:
                spikes[-1].append(frame)
        said: list[list[int]] = [[]]
        for token, frame, word in best.path.tolist():
            if token not in (blank, separator):
                said[-1].append(frame)
            if word >= 0:
                said.append([])
        for true, found in aligned(decoded.references[n].split(), best.text.split()):
            pairs = zip(spikes[true], said[found], strict=True)
            shifts += [start - frame for frame, start in pairs]
    return shifts


def named(workload: Mapping[str, Any]) -> str:
    """What a row is about."""
    letters = "letters alone, " if workload["words"] is None else ""
    return f"{letters}{workload['set']}, {workload['merge']}"


def calibration_row(
    report: Report, workload: Mapping[str, Any], tune: Decoded, validation: Decoded
) -> None:
    """The calibration error of the validation set."""
    fitted = min(SCALES, key=lambda scale: surprise(tune.judged(scale)))
    scale = validation.lattices[0].posterior_scale
    judged = validation.judged(scale)
    report.row(
        what=f"confidence of words, {named(workload)}: calibration error",
        workload=dict(workload) | {"scale": scale},
        measured=Value(calibration_error(judged)),
        target=at_most(0.05),
        notes={
            "words": len(judged),
            "right, %": round(100 * sum(right for _, right in judged) / len(judged), 2),
            "mean confidence, %": round(100 * sum(share for share, _ in judged) / len(judged), 2),
            "scale fitted on tune": fitted,
            "calibration error with that": round(calibration_error(validation.judged(fitted)), 4),
            "calibration error on tune": round(calibration_error(tune.judged(scale)), 4),
        },
    )


def consensus_row(report: Report, workload: Mapping[str, Any], decoded: Decoded) -> None:
    """The word error rate of the consensus, beside those of the best readings."""
    sources = [
        ("search", [one.text for one in decoded.best]),
        ("consensus", [one.mbr().text for one in decoded.lattices]),
    ]
    if workload["words"]:  # of letters, too many texts add up to much the same
        sources.append(("lattice", [one.nbest(1)[0].text for one in decoded.lattices]))
    rates = {
        name: round(100 * word_error_rate(decoded.references, found), 2) for name, found in sources
    }
    report.row(
        what=f"consensus, {named(workload)}: word error rate",
        workload=dict(workload) | {"scale": decoded.lattices[0].posterior_scale},
        measured=Value(rates["consensus"], unit="%"),
        notes={
            "best of the search, %": rates["search"],
            "best of the lattice, %": rates.get("lattice"),
            "arcs": sum(one.num_arcs for one in decoded.lattices),
        },
    )


def times_row(
    report: Report, workload: Mapping[str, Any], decoded: Decoded, tokens: Tokens
) -> None:
    """How many tokens are where they were said."""
    shifts = token_shifts(decoded, tokens.index("-"), tokens.index("|"))
    report.row(
        what=f"times of tokens, {workload['set']}, {workload['merge']}: within 1 frame",
        workload=workload,
        measured=Value(100 * sum(abs(shift) <= 1 for shift in shifts) / len(shifts), unit="%"),
        target=at_least(99),
        notes={
            "tokens": len(shifts),
            "in the very frame, %": round(100 * shifts.count(0) / len(shifts), 2),
        },
    )


def bench(report: Report) -> None:
    """Three rows for each kind of merge and difficulty, then two without a lexicon."""
    tokens = Tokens.read(DATA / "tokens.txt")
    lexicon = Lexicon.read(BENCH / "lexicon200k.txt.gz", tokens)
    model = read_arpa(BENCH / "lm3.arpa.gz")
    difficulties: tuple[Difficulty, ...] = ("hard", "mid", "easy")
    for log_add in (True, False):
        decoder = Decoder(lexicon, model, DecoderOptions(**SETTINGS, log_add=log_add))
        for difficulty in difficulties:
            workload = SETTINGS | {
                "set": difficulty,
                "part": "validation",
                "merge": "sums" if log_add else "max",
                "words": "200k",
            }
            tune = Decoded.of(decoder, "tune", difficulty)
            validation = Decoded.of(decoder, "validation", difficulty)
            calibration_row(report, workload, tune, validation)
            consensus_row(report, workload, validation)
            times_row(report, workload, validation, tokens)
        free = Decoder(tokens, None, DecoderOptions(**LETTERS, log_add=log_add))
        for difficulty in difficulties:
            workload = LETTERS | {
                "set": difficulty,
                "part": "validation",
                "merge": "sums" if log_add else "max",
                "words": None,
            }
            tune = Decoded.of(free, "tune", difficulty)
            validation = Decoded.of(free, "validation", difficulty)
            calibration_row(report, workload, tune, validation)
            consensus_row(report, workload, validation)


if __name__ == "__main__":
    main(bench)
