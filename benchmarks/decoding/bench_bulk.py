"""Bulk work: what each worker process has in memory for itself, and how two share the work."""

from __future__ import annotations

import os
import re
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.decoding.bench_load import unpacked
from benchmarks.decoding.emissions import Emissions
from benchmarks.decoding.sets import BENCH, DATA, path_of
from benchmarks.harness import Report, Value, at_most, main
from sestina.core.engine import ProcessEngine
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_lm
from sestina.decoding.bulk import decode_many

NUM_WORKERS = 2
NUM_HOTWORDS = 100


def private_mib(engine: ProcessEngine) -> float:
    """Memory that no other process has a share in, mapped files included; of the largest worker."""
    # Asked from here, as what would measure there has to be imported there.
    workers = {handle.result() for handle in [engine.submit(os.getpid) for _ in range(100)]}
    largest = 0.0
    for worker in workers:
        text = Path(f"/proc/{worker}/smaps_rollup").read_text()
        kinds = (re.search(rf"Private_{kind}: +(\d+) kB", text) for kind in ("Clean", "Dirty"))
        largest = max(largest, sum(int(found[1]) for found in kinds if found) / 1024)
    return largest


def bench(report: Report) -> None:
    """The validation set at beam 200, then memory and wall time."""
    lexicon = Lexicon.read(BENCH / "lexicon200k.txt.gz", Tokens.read(DATA / "tokens.txt"))
    options = DecoderOptions(beam_size=200)
    decoder = Decoder(lexicon, read_lm(unpacked("lm3.arpa.gz")), options)
    emissions = Emissions.load(path_of("validation"))
    utterances = [emissions.log_probs(one) for one in range(len(emissions))]
    workload = {
        "words": "200k",
        "arpa": "94 MB, 111,359/1,942,181/1,445,093 n-grams",
        "utterances": len(utterances),
        "beam": options.beam_size,
        "workers": NUM_WORKERS,
    }
    start = time.perf_counter()
    alone = [decoder.decode(one) for one in utterances]
    alone_s = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as cache, ProcessEngine(NUM_WORKERS) as engine:
        engine.map(np.zeros, range(100))
        idle = private_mib(engine)
        list(decode_many(decoder, utterances[:1], engine=engine, cache=cache))  # writes the files
        start = time.perf_counter()
        shared = list(decode_many(decoder, utterances, engine=engine, cache=cache))
        shared_s = time.perf_counter() - start
        busy = private_mib(engine)
    assert shared == alone, "the workers found something else"
    step = len(lexicon) // NUM_HOTWORDS
    hotwords = {lexicon.word(step * n): 3.0 for n in range(NUM_HOTWORDS)}
    boosting = Decoder(lexicon, decoder.lm, options, hotwords=hotwords)
    with tempfile.TemporaryDirectory() as cache, ProcessEngine(NUM_WORKERS) as engine:
        list(decode_many(boosting, utterances, engine=engine, cache=cache))
        boosted = private_mib(engine)
    report.row(
        what="bulk, private memory of a worker before it decodes: Python and NumPy",
        workload=workload,
        measured=Value(idle, unit="MiB"),
    )
    report.row(
        what="bulk, private memory of a worker after decoding",
        workload=workload,
        measured=Value(busy, unit="MiB"),
        target=at_most(30),
    )
    report.row(
        what="bulk, private memory of a worker after decoding with hotwords",
        workload=workload | {"hotwords": NUM_HOTWORDS},
        measured=Value(boosted, unit="MiB"),
        target=at_most(30),
    )
    report.row(
        what="bulk, wall time of one process divided by that of two workers",
        workload=workload,
        measured=Value(alone_s / shared_s),
    )


if __name__ == "__main__":
    main(bench)
