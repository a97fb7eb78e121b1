"""Beam search with Flashlight's semantics, beside Flashlight with the same settings.

The set is a part of the validation set; words, model and weights are the same for both. Each row
says how many texts are equal, and the last ones how many of the whole set's sums are. Flashlight
reads its model as KenLM's hash table, made by `recipes/kenlm_oracle.sh` from
../shared/data/decoding/bench/lm3.arpa.gz.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from benchmarks.decoding.emissions import Emissions
from benchmarks.decoding.scoring import word_error_rate
from benchmarks.decoding.sets import BENCH, DATA, path_of, texts
from benchmarks.harness import Report, Value, Worker, alternate, at_least, bench_python, main
from benchmarks.workers import ROOT
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_arpa

NUM_UTTERANCES = 40
LM = ROOT / "build" / "kenlm-oracle" / "lm3" / "probing.bin"
# Chosen for Flashlight on the tune set (flashlight_frontier.json).
WEIGHTS = {"lm_weight": 3.5, "word_score": 2.0}
# Threshold, tokens, beam, sums, and how many times faster than Flashlight it is to be.
SETTINGS = (
    (50, 29, 50, False, 15),
    (50, 29, 200, False, 18),
    (12, 8, 50, False, 4),
    (12, 8, 200, False, 5),
    (12, 8, 50, True, 3),
    (12, 8, 200, True, 3),
)


def ours(workload: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """The set decoded with a lexicon and Flashlight's semantics."""
    lexicon = Lexicon.read(workload["lexicon"], Tokens.read(workload["tokens"]))
    names = ("beam_size", "beam_size_token", "beam_threshold", "lm_weight", "word_score", "log_add")
    options = DecoderOptions(
        **{name: workload[name] for name in names}, semantics="flashlight", merge="history"
    )
    decoder = Decoder(lexicon, read_arpa(workload["arpa"]), options)
    emissions = Emissions.load(workload["set"])
    inputs = [emissions.log_probs(n) for n in range(workload["last"])]

    def run() -> dict[str, Any]:
        return {"texts": [decoder.decode(log_probs_tn)[0].text for log_probs_tn in inputs]}

    return run


@contextmanager
def mine_and_theirs(workload: Mapping[str, Any]) -> Iterator[tuple[Worker, Worker]]:
    """Both, ready to decode."""
    with (
        Worker("benchmarks.decoding.bench_search:ours", workload) as mine,
        Worker(
            "benchmarks.decoding.peers.flashlight_text:lexicon",
            workload,
            python=bench_python("decoding"),
        ) as theirs,
    ):
        yield mine, theirs


def bench(report: Report) -> None:
    """One row for each setting."""
    if not LM.exists():
        msg = f"{LM} does not exist; make it with: recipes/kenlm_oracle.sh {BENCH / 'lm3.arpa.gz'}"
        raise FileNotFoundError(msg)
    path = path_of("validation")
    emissions = Emissions.load(path)
    frames = sum(len(emissions.log_probs(n)) for n in range(NUM_UTTERANCES))
    references = texts("validation")[:NUM_UTTERANCES]
    files = {
        "set": str(path),
        "tokens": str(DATA / "tokens.txt"),
        "lexicon": str(BENCH / "lexicon200k.txt.gz"),
        "arpa": str(BENCH / "lm3.arpa.gz"),
        "lm": str(LM),
    }
    for threshold, tokens, beam, log_add, times in SETTINGS:
        settings = {
            "last": NUM_UTTERANCES,
            "beam_threshold": threshold,
            "beam_size_token": tokens,
            "beam_size": beam,
            "log_add": log_add,
            **WEIGHTS,
        }
        workload = settings | files
        with mine_and_theirs(workload) as (mine, theirs):
            found, expected = mine.run().extra["texts"], theirs.run().extra["texts"]
            measured = alternate(mine, theirs, warmup=1)
        merge = "sums" if log_add else "max"
        report.row(
            what=f"search, {merge}, threshold {threshold}, {tokens} tokens, beam {beam}",
            workload=settings
            | {"set": "validation, hard", "frames": frames, "words": "200k", "load": "memory"},
            measured=measured,
            target=at_least(times, of="ratio"),
            notes={
                "texts": len(found),
                "texts equal": sum(a == b for a, b in zip(found, expected, strict=True)),
                "word error rate, %": round(100 * word_error_rate(references, found), 2),
                "ours, µs a frame": round(1e6 * measured.figures()[0].median / frames, 2),
            },
        )
        if log_add:
            _compare_all(report, settings | files | {"last": len(emissions)})


def _compare_all(report: Report, workload: Mapping[str, Any]) -> None:
    """The share of texts that are equal, over the whole set."""
    with mine_and_theirs(workload) as (mine, theirs):
        found, expected = mine.run().extra["texts"], theirs.run().extra["texts"]
    equal = sum(a == b for a, b in zip(found, expected, strict=True))
    report.row(
        what=f"search, sums, beam {workload['beam_size']}: texts equal to Flashlight's",
        workload={name: workload[name] for name in ("beam_threshold", "beam_size_token", "last")},
        measured=Value(100 * equal / len(found), unit="%"),
        target=at_least(100),
        notes={"texts": len(found), "equal": equal},
    )


if __name__ == "__main__":
    main(bench)
