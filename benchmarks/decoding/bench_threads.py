"""Two threads over one decoder against one: wall time of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.decoding.emissions import Emissions
from benchmarks.decoding.sets import BENCH, DATA, path_of
from benchmarks.harness import Report, Worker, alternate, at_least, main
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_lm


def batch(workload: Mapping[str, Any]) -> Callable[[], None]:
    """The validation set as one batch."""
    lexicon = Lexicon.read(workload["lexicon"], Tokens.read(workload["tokens"]))
    options = DecoderOptions(beam_size=workload["beam"], lm_weight=3.5, word_score=2.0)
    decoder = Decoder(lexicon, read_lm(workload["arpa"]), options)
    emissions = Emissions.load(workload["set"])
    inputs = [emissions.log_probs(n) for n in range(len(emissions))]

    def run() -> None:
        decoder.decode_batch(inputs, threads=workload["threads"])

    return run


def bench(report: Report) -> None:
    """A row for each beam."""
    files = {
        "set": str(path_of("validation")),
        "tokens": str(DATA / "tokens.txt"),
        "lexicon": str(BENCH / "lexicon200k.txt.gz"),
        "arpa": str(BENCH / "lm3.arpa.gz"),
    }
    for beam in (50, 200):
        with (
            Worker(
                "benchmarks.decoding.bench_threads:batch",
                files | {"beam": beam, "threads": 2},
                num_cores=2,
            ) as two,
            Worker(
                "benchmarks.decoding.bench_threads:batch", files | {"beam": beam, "threads": 1}
            ) as one,
        ):
            measured = alternate(two, one, clock="wall", warmup=1)
        report.row(
            what=f"two threads against one, beam {beam}",
            workload={"utterances": 300, "set": "hard", "words": "200k", "beam": beam},
            measured=measured,
            target=at_least(1.8, of="ratio"),
        )


if __name__ == "__main__":
    main(bench)
