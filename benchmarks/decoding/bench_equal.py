"""Time to the same word error rate: each peer's settings on its frontier against our cheapest.

Frontiers are of the tune set (sweep_flashlight.py, sweep_pyctcdecode.py, sweep_sestina.py). For a
setting of a peer ours is the fastest whose error rate on the tune set is no higher; both then
decode the same utterances of the validation set, and the notes give the paired bootstrap of the
difference. The tune set may flatter one of the two: where ours errs more on the validation set, its
beam is doubled until it does not, and if three times are not enough its threshold is raised as
well. A peer's settings are its best one, for which there is a target, and those nearest to the
rates asked for.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.decoding.emissions import Emissions
from benchmarks.decoding.sets import BENCH, DATA, path_of, texts
from benchmarks.decoding.sweeps import MEASURED
from benchmarks.harness import Report, Worker, alternate, at_least, bench_python, main
from benchmarks.workers import ROOT
from sestina.decoding import (
    Decoder,
    DecoderOptions,
    ErrorRate,
    Lexicon,
    Tokens,
    compare,
    error_rate,
    read_lm,
)

# Of pyctcdecode's best setting what it decodes in minutes.
NUM_UTTERANCES, NUM_OF_BEST = 100, {"flashlight": 100, "pyctcdecode": 20}
NUM_PAIRS, NUM_PAIRS_OF_BEST = 20, {"flashlight": 5, "pyctcdecode": 3}
OURS = "benchmarks.decoding.bench_equal:ours"
LM = ROOT / "build" / "kenlm-oracle" / "lm3" / "probing.bin"
NAMES = ("lm_weight", "word_score", "beam_threshold", "beam_size_token", "beam_size", "log_add")
# Peer, its frontier, error rates in per cent besides its lowest, times of CPU that it is to need.
PEERS = (
    ("flashlight_text:lexicon", "flashlight", (12.0, 9.0, 7.5, 6.0), 12),
    ("pyctcdecode_beams:beams", "pyctcdecode", (), 30),
)


def ours(workload: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """The set decoded natively."""
    lexicon = Lexicon.read(workload["lexicon"], Tokens.read(workload["tokens"]))
    options = DecoderOptions(**{name: workload[name] for name in NAMES})
    decoder = Decoder(lexicon, read_lm(workload["arpa"]), options)
    emissions = Emissions.load(workload["set"])
    inputs = [emissions.log_probs(n) for n in range(workload["last"])]

    def run() -> dict[str, Any]:
        return {"texts": [decoder.decode(log_probs_tn)[0].text for log_probs_tn in inputs]}

    return run


def frontier(name: str) -> list[dict[str, Any]]:
    """Settings of a system, fastest first."""
    path = Path(__file__).parent / f"{name}_frontier.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    return rows


def wanted(rows: list[dict[str, Any]], rates: tuple[float, ...]) -> list[dict[str, Any]]:
    """The best setting, and the nearest to each rate."""
    near = [min(rows, key=lambda row: abs(row["wer_percent"] - rate)) for rate in rates]
    return [*near, rows[-1]]


def no_worse(
    setting: dict[str, Any], inputs: dict[str, Any], references: Sequence[str], rate: float
) -> tuple[dict[str, Any], ErrorRate]:
    """A setting, loosened until it errs no more than that on these utterances; and its errors."""
    tried = setting
    for raised, doubled in itertools.product(range(3), range(4)):
        tried = setting | {
            "beam_size": setting["beam_size"] << doubled,
            "beam_threshold": setting["beam_threshold"] + 5 * raised,
        }
        with Worker(OURS, tried | inputs) as worker:
            found = error_rate(references, worker.run().extra["texts"])
        if found.rate <= rate:
            break
    return tried, found


def bench(report: Report) -> None:
    """A row for each setting of a peer."""
    files = {
        "set": str(path_of("validation")),
        "tokens": str(DATA / "tokens.txt"),
        "lexicon": str(BENCH / "lexicon200k.txt.gz"),
        "arpa": str(BENCH / "lm3.arpa.gz"),
        "lm": str(LM),
    }
    mine_all = frontier("sestina")
    for peer, name, rates, times in PEERS:
        *_, best_setting = settings = wanted(frontier(name), rates)
        for setting in settings:
            is_best = setting is best_setting
            count = NUM_OF_BEST[name] if is_best else NUM_UTTERANCES
            references = texts("validation")[:count]
            best = next(
                (row for row in mine_all if row["wer_percent"] <= setting["wer_percent"]),
                mine_all[-1],
            )
            chosen, theirs_set = (
                {key: value for key, value in row.items() if key not in MEASURED}
                for row in (best, setting)
            )
            inputs = files | {"last": count}
            with Worker(
                f"benchmarks.decoding.peers.{peer}",
                theirs_set | inputs,
                python=bench_python("decoding"),
            ) as theirs:
                second = error_rate(references, theirs.run().extra["texts"])
                chosen, first = no_worse(chosen, inputs, references, second.rate)
                pairs = NUM_PAIRS_OF_BEST[name] if is_best else NUM_PAIRS
                with Worker(OURS, chosen | inputs) as mine:
                    measured = alternate(mine, theirs, warmup=0, pairs=pairs)
            difference = compare(first, second, draws=10_000)
            report.row(
                what=f"time to {name}'s error rate of {setting['wer_percent']} % on the tune set",
                workload={
                    "ours": chosen,
                    "peer": theirs_set,
                    "utterances": count,
                    "set": "hard",
                    "load": "memory",
                },
                measured=measured,
                target=at_least(times, of="ratio") if is_best else None,
                notes={
                    "our word error rate, %": round(100 * first.rate, 2),
                    "the peer's, %": round(100 * second.rate, 2),
                    "difference, points, 95 %": [
                        round(100 * bound, 2) for bound in (difference.low, difference.high)
                    ],
                },
            )


if __name__ == "__main__":
    main(bench)
