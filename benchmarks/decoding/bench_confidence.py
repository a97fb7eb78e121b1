"""What the confidence of words costs: the same search with it, in turn with the one without."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.decoding.bench_calibration import LETTERS, SETTINGS
from benchmarks.decoding.emissions import Emissions
from benchmarks.decoding.sets import BENCH, DATA, path_of
from benchmarks.harness import Report, Worker, alternate, main
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_arpa

NUM_UTTERANCES = 40
LM = str(BENCH / "lm3.arpa.gz")


def decoded(workload: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """The set decoded."""
    tokens = Tokens.read(DATA / "tokens.txt")
    lexicon = Lexicon.read(BENCH / "lexicon200k.txt.gz", tokens)
    with_lexicon = workload["with lexicon"]
    options = DecoderOptions(**workload["options"])
    decoder = Decoder(
        lexicon if with_lexicon else tokens, read_arpa(LM) if with_lexicon else None, options
    )
    emissions = Emissions.load(path_of("validation"))
    inputs = [emissions.log_probs(n) for n in range(NUM_UTTERANCES)]

    def run() -> dict[str, Any]:
        best = [decoder.decode(one, confidence=workload["confidence"])[0] for one in inputs]
        return {"words": sum(len(one.words) for one in best)}

    return run


def bench(report: Report) -> None:
    """With a lexicon by the best path and by sums, and letters alone."""
    function = "benchmarks.decoding.bench_confidence:decoded"
    for what, with_lexicon, options in (
        ("over a lexicon", True, SETTINGS),
        ("over a lexicon, sums", True, SETTINGS | {"log_add": True}),
        ("letters alone", False, LETTERS),
    ):
        workload = {"with lexicon": with_lexicon, "options": options}
        with (
            Worker(function, workload | {"confidence": True}) as mine,
            Worker(function, workload | {"confidence": False}) as theirs,
        ):
            measured = alternate(mine, theirs, warmup=1)
        report.row(
            what=f"cost of the confidence of words, {what}",
            workload=dict(options),
            measured=measured,
            notes={"the peer": "ours, without confidences"},
        )


if __name__ == "__main__":
    main(bench)
