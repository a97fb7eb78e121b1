"""What a search holds on to: over an hour of one stream, and over 10,000 utterances."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.decoding.bench_load import unpacked
from benchmarks.decoding.sets import BENCH, DATA, path_of
from benchmarks.harness import Report, Value, at_most, main
from benchmarks.workers import ROOT

MINUTE = 3000  # frames of 20 ms

WHOLE = """
import json, sys
from benchmarks.decoding.emissions import Emissions
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_lm

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

tokens, lexicon, arpa, emissions, merge, what = sys.argv[1:]
options = DecoderOptions(beam_threshold=12, beam_size_token=8, merge=merge, log_add=True)
decoder = Decoder(Lexicon.read(lexicon, Tokens.read(tokens)), read_lm(arpa), options)
loaded = Emissions.load(emissions)
inputs = [loaded.log_probs(n).copy() for n in range(len(loaded))]  # all of it in memory
if what != "decodes":
    stream, frames, first = decoder.stream(), 0, None
    while frames < 61 * MINUTE:
        for log_probs_tn in inputs:
            for start in range(0, len(log_probs_tn), 25):
                stream.step(log_probs_tn[start : start + 25])
                if what == "words":
                    stream.take()
            frames += len(log_probs_tn)
            if first is None and frames >= MINUTE:
                first = resident()
            if frames >= 61 * MINUTE:
                break
    print(json.dumps(resident() - first))
else:
    short = [log_probs_tn[:200] for log_probs_tn in inputs]
    for _ in range(2):
        for log_probs_tn in short:
            decoder.decode(log_probs_tn)
    first, done = resident(), 0
    while done < 10_000:
        for log_probs_tn in short:
            decoder.decode(log_probs_tn)
            done += 1
    print(json.dumps(resident() - first))
"""


def bench(report: Report) -> None:
    """A row for each merge and kind of work."""
    files = [
        str(DATA / "tokens.txt"),
        str(unpacked("lexicon200k.txt.gz")),
        str(unpacked("lm3.arpa.gz")),
        str(path_of("validation")),
    ]
    script = WHOLE.replace("MINUTE", str(MINUTE))
    for what, says in (
        ("stream", "an hour of a stream after its first minute, in steps of half a second"),
        ("words", "the same, its settled words taken in each step"),
        ("decodes", "10,000 utterances of 4 s"),
    ):
        for merge in ("context", "history"):
            done = subprocess.run(
                [sys.executable, "-c", script, *files, merge, what],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            )
            report.row(
                what=f"memory that grows over {says}",
                workload={"merge": merge, "words": "200k", "lm": BENCH.name, "beam": 50},
                measured=Value(json.loads(done.stdout), unit="MiB"),
                target=at_most(5),
            )


if __name__ == "__main__":
    main(bench)
