"""Sequence-to-sequence search beside Flashlight's, and what a token of a hypothesis costs.

The scores come from tables (`Talker`), so that the time is the search's and that of handing scores
over: arrays to ours, nested lists to Flashlight, as its Python interface takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.decoding.bench_search import LM
from benchmarks.decoding.sets import BENCH, DATA
from benchmarks.decoding.talker import Talker
from benchmarks.harness import Report, Value, Worker, alternate, bench_python, main, repeat
from sestina.decoding import Lexicon, Seq2SeqDecoder, Seq2SeqOptions, Tokens, read_arpa

NUM_STEPS = 40
FILES = {
    "tokens": str(DATA / "tokens.txt"),
    "lexicon": str(BENCH / "lexicon200k.txt.gz"),
    "arpa": str(BENCH / "lm3.arpa.gz"),
    "lm": str(LM),
}
PRUNING = {"beam_size": 50, "beam_size_token": 50, "beam_threshold": 50.0, "lm_weight": 0.0}
WORDS = PRUNING | {"beam_size_token": 29, "lm_weight": 2.0, "word_score": 1.0}


def ours(workload: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """What each talker says, by a decoder with Flashlight's semantics."""
    names = ("beam_size", "beam_size_token", "beam_threshold", "lm_weight")
    options = {name: workload[name] for name in names}
    vocabulary: Lexicon | Tokens
    if "lexicon" in workload:
        tokens = vocabulary = Tokens.read(workload["tokens"])
        vocabulary = Lexicon.read(workload["lexicon"], tokens)
        options["word_score"] = workload["word_score"]
    else:
        tokens = vocabulary = Tokens([f"t{n}" for n in range(workload["num_tokens"])])
    decoder = Seq2SeqDecoder(
        vocabulary,
        read_arpa(workload["arpa"]) if "arpa" in workload else None,
        Seq2SeqOptions(**options, merge="history", semantics="flashlight"),
        eos=tokens[0],
    )
    talkers = [
        Talker(workload["num_tokens"], num_steps=workload["num_steps"], seed=seed)
        for seed in workload["seeds"]
    ]

    def run() -> dict[str, Any]:
        found = []
        for talker in talkers:
            best = decoder.decode(_update_of(talker), max_length=2 * workload["num_steps"])[0]
            found.append(best.path[: len(best.path) - best.finished, 0].tolist())
        return {"tokens": found}

    return run


def _update_of(talker: Talker) -> Callable[..., tuple[NDArray[np.float32], None]]:
    def update(
        tokens: NDArray[np.int32], _parents: object, _states: object, step: int
    ) -> tuple[NDArray[np.float32], None]:
        return talker.rows(tokens, step), None

    return update


def expansion(workload: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """Steps over scores that are there already."""
    decoder = Seq2SeqDecoder(
        Tokens([f"t{n}" for n in range(workload["num_tokens"])]),
        options=Seq2SeqOptions(beam_size=workload["beam_size"]),
        eos="t0",
    )
    rng = np.random.default_rng(0)
    shape = (workload["beam_size"], workload["num_tokens"])
    scores = (-10 * rng.random(size=shape)).astype(np.float32)
    scores[:, 0] = -30

    def run() -> dict[str, Any]:
        places = []

        def update(tokens: NDArray[np.int32], *_: object) -> tuple[NDArray[np.float32], None]:
            places.append(len(tokens) * workload["num_tokens"])
            return scores[: len(tokens)], None

        decoder.decode(update, max_length=workload["num_steps"])
        return {"places": sum(places)}

    return run


def bench(report: Report) -> None:
    """A row for each vocabulary beside Flashlight's, and one for what a token costs."""
    seeds = {"seeds": list(range(5)), "num_steps": NUM_STEPS}
    for name, peer, workload in (
        ("1,000 tokens", "free", PRUNING | seeds | {"num_tokens": 1000}),
        ("200k words of 29 tokens, 3-gram", "lexicon", WORDS | seeds | FILES | {"num_tokens": 29}),
    ):
        with (
            Worker("benchmarks.decoding.bench_seq2seq:ours", workload) as mine,
            Worker(
                f"benchmarks.decoding.peers.flashlight_seq2seq:{peer}",
                workload,
                python=bench_python("decoding"),
            ) as theirs,
        ):
            found, expected = mine.run().extra["tokens"], theirs.run().extra["tokens"]
            measured = alternate(mine, theirs, warmup=1)
        report.row(
            what=f"sequence to sequence, {name}, beam 50",
            workload={key: value for key, value in workload.items() if key not in FILES},
            measured=measured,
            notes={
                "sequences": len(found),
                "equal": sum(a == b for a, b in zip(found, expected, strict=True)),
            },
        )
    for num_tokens in (1000, 50_000):
        workload = {"num_tokens": num_tokens, "beam_size": 50, "num_steps": 40}
        with Worker("benchmarks.decoding.bench_seq2seq:expansion", workload) as mine:
            places = mine.run().extra["places"]
            measured_alone = repeat(mine)
        report.row(
            what=f"sequence to sequence, {num_tokens:,} tokens, beam 50: a token of a hypothesis",
            workload=workload,
            measured=Value(1e9 * measured_alone.figures()[0].median / places, unit="ns"),
        )


if __name__ == "__main__":
    main(bench)
