"""Word-pieces: 1,024 of them, 200,000 words, beside Flashlight with its semantics.

Settings are Flashlight's defaults, and two prunings under which it errs less on the tune set; the
weights are the best of eight pairs there. Under Flashlight's semantics both find the same words, so
that what is tuned for one is tuned for the other. Memory is the peak of a process that loads words
and model and decodes, its emissions mapped from a file one utterance at a time.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.decoding.emissions import Emissions
from benchmarks.decoding.pieces import LEXICON, TOKENS
from benchmarks.decoding.scoring import word_error_rate
from benchmarks.decoding.sets import BENCH, path_of, texts
from benchmarks.harness import (
    Report,
    Value,
    Worker,
    alternate,
    at_least,
    at_most,
    bench_python,
    main,
)
from benchmarks.workers import ROOT
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_lm

LM = ROOT / "build" / "kenlm-oracle" / "lm3" / "probing.bin"
BEAM = 50
# Of (1.5, 0.5) to (4, 3), the fewest word errors on the tune set at threshold 15 and 16 tokens.
WEIGHTS = {"lm_weight": 2.5, "word_score": 2.0}
# Threshold, tokens (none: all 1,026), utterances, pairs of runs. On the tune set the first errs in
# 8.1 % of the words, the second in 7.5 and the third in 6.8, the fewest of 25 prunings.
SETTINGS: tuple[tuple[int, int | None, int, int], ...] = (
    (50, None, 8, 3),
    (15, 16, 40, 10),
    (20, 4, 40, 20),
)
WHOLE = """
import resource, sys
import numpy as np
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_lm
tokens, lexicon, arpa, emissions, lengths = sys.argv[1:]
options = DecoderOptions(semantics="flashlight", merge="history", lm_weight=2.5, word_score=2.0)
decoder = Decoder(Lexicon.read(lexicon, Tokens.read(tokens)), read_lm(arpa), options)
frames = np.load(emissions, mmap_mode="r")
start = 0
for length in np.load(lengths):
    decoder.decode(frames[start : start + length])
    start += length
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def ours(workload: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """The set decoded with Flashlight's semantics."""
    lexicon = Lexicon.read(workload["lexicon"], Tokens.read(workload["tokens"]))
    names = ("beam_size", "beam_size_token", "beam_threshold", "lm_weight", "word_score")
    options = DecoderOptions(
        **{name: workload[name] for name in names}, semantics="flashlight", merge="history"
    )
    decoder = Decoder(lexicon, read_lm(workload["arpa"]), options)
    emissions = Emissions.load(workload["set"])
    inputs = [emissions.log_probs(n) for n in range(workload["last"])]

    def run() -> dict[str, Any]:
        return {"texts": [decoder.decode(log_probs_tn)[0].text for log_probs_tn in inputs]}

    return run


def peak_mib(files: Mapping[str, str], emissions: Emissions, last: int) -> float:
    """Of a process that decodes the first utterances with Flashlight's default pruning."""
    lengths = emissions.lengths[:last]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("frames.npy", "lengths.npy")]
        np.save(paths[0], emissions.log_probs_tn[: int(lengths.sum())].astype(np.float32))
        np.save(paths[1], lengths)
        named = [files["tokens"], files["lexicon"], files["arpa"], *map(str, paths)]
        kilobytes = subprocess.run(
            [sys.executable, "-c", WHOLE, *named],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    return int(kilobytes) / 1024


def bench(report: Report) -> None:
    """A row for each setting, then one for memory."""
    path = path_of("validation", "hard", "pieces")
    emissions = Emissions.load(path)
    files = {
        "set": str(path),
        "tokens": str(TOKENS),
        "lexicon": str(LEXICON),
        "arpa": str(BENCH / "lm3.arpa.gz"),
        "lm": str(LM),
    }
    for threshold, tokens, count, pairs in SETTINGS:
        settings = {
            "last": count,
            "beam_threshold": threshold,
            "beam_size_token": tokens,
            "beam_size": BEAM,
            **WEIGHTS,
        }
        with (
            Worker("benchmarks.decoding.bench_pieces:ours", settings | files) as mine,
            Worker(
                "benchmarks.decoding.peers.flashlight_text:lexicon",
                settings | files,
                python=bench_python("decoding"),
            ) as theirs,
        ):
            found, expected = mine.run().extra["texts"], theirs.run().extra["texts"]
            measured = alternate(mine, theirs, pairs=pairs, warmup=0)
        frames = int(emissions.lengths[:count].sum())
        report.row(
            what=f"word-pieces, threshold {threshold}, {tokens or 'all'} tokens, beam {BEAM}",
            workload=settings
            | {
                "set": "validation, hard, pieces",
                "frames": frames,
                "pieces": 1024,
                "words": "200k",
            },
            measured=measured,
            target=at_least(5, of="ratio"),
            notes={
                "texts": len(found),
                "texts equal": sum(a == b for a, b in zip(found, expected, strict=True)),
                "word error rate, %": round(
                    100 * word_error_rate(texts("validation")[:count], found), 2
                ),
                "ours, µs a frame": round(1e6 * measured.figures()[0].median / frames, 2),
            },
        )
    report.row(
        what="word-pieces, peak memory of a process that loads words and model and decodes",
        workload={"pieces": 1024, "words": "200k", "beam": BEAM, "utterances": 40},
        measured=Value(peak_mib(files, emissions, 40), unit="MiB"),
        target=at_most(400),
    )


if __name__ == "__main__":
    main(bench)
