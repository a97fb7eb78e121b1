"""Loading: words, tree and language model, beside Flashlight; and how large the process becomes."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.decoding.models import COUNTS, large_arpa
from benchmarks.decoding.sets import BENCH, BUILT, DATA
from benchmarks.harness import (
    Report,
    Value,
    Worker,
    alternate,
    at_most,
    bench_python,
    main,
    repeat,
)
from benchmarks.workers import ROOT
from sestina.decoding import Decoder, Lexicon, Tokens, compile_lm, read_arpa, read_lm

LM = ROOT / "build" / "kenlm-oracle" / "lm3" / "probing.bin"
WHOLE = """
import resource, sys
from benchmarks.workers import ROOT
from sestina.decoding import Decoder, Lexicon, Tokens, read_arpa
tokens, lexicon, arpa = sys.argv[1:]
decoder = Decoder(Lexicon.read(lexicon, Tokens.read(tokens)), read_arpa(arpa))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def words(workload: Mapping[str, Any]) -> Callable[[], None]:
    """The lexicon read and made a tree for the search, without a language model."""

    def run() -> None:
        Decoder(Lexicon.read(workload["lexicon"], Tokens.read(workload["tokens"])))

    return run


def model(workload: Mapping[str, Any]) -> Callable[[], None]:
    """A language model read from a file, whatever its kind."""

    def run() -> None:
        read_lm(workload["path"], load=workload["load"])

    return run


def everything(workload: Mapping[str, Any]) -> Callable[[], None]:
    """All that a decoder needs."""

    def run() -> None:
        lexicon = Lexicon.read(workload["lexicon"], Tokens.read(workload["tokens"]))
        Decoder(lexicon, read_arpa(workload["arpa"]))

    return run


def unpacked(name: str) -> Path:
    """A file of the shared data, unpacked into build/decoding on first use."""
    path = BUILT / name.removesuffix(".gz")
    if not path.exists():
        BUILT.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}")
        with gzip.open(BENCH / name) as packed, partial.open("wb") as plain:
            shutil.copyfileobj(packed, plain)
        partial.replace(path)
    return path


def bench(report: Report) -> None:
    """Times in CPU seconds, then the size of a process that has loaded it all."""
    files = {
        "tokens": str(DATA / "tokens.txt"),
        "lexicon": str(unpacked("lexicon200k.txt.gz")),
        "arpa": str(unpacked("lm3.arpa.gz")),
        "lm": str(LM),
    }
    workload = {"words": "200k", "arpa": "94 MB, 111,359/1,942,181/1,445,093 n-grams"}
    with Worker("benchmarks.decoding.bench_load:words", files) as mine:
        measured = repeat(mine)
    report.row(
        what="load, 200k words and their tree",
        workload=workload,
        measured=measured,
        target=at_most(0.3),
    )
    _models(report, files)
    with (
        Worker("benchmarks.decoding.bench_load:everything", files) as mine,
        Worker(
            "benchmarks.decoding.peers.flashlight_text:load", files, python=bench_python("decoding")
        ) as theirs,
    ):
        report.row(
            what="load, words and model; Flashlight's model is a KenLM binary",
            workload=workload,
            measured=alternate(mine, theirs, warmup=1),
        )
    kilobytes = subprocess.run(
        [sys.executable, "-c", WHOLE, *(files[name] for name in ("tokens", "lexicon", "arpa"))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    report.row(
        what="load, peak memory of a process that loads words and model",
        workload=workload,
        measured=Value(int(kilobytes) / 1024, unit="MiB"),
        target=at_most(250),
    )


def _models(report: Report, files: Mapping[str, str]) -> None:
    """A row for each kind of file."""
    cache = BUILT / "lm3.lm"
    compile_lm(files["arpa"], cache)
    large = large_arpa()
    counts = "/".join(f"{count:,}" for count in COUNTS)
    for what, path, load, most, runs in (
        ("ARPA", Path(files["arpa"]), "memory", 1.0, 20),
        ("ARPA of 12.7 million n-grams", large, "memory", 5.0, 3),
        ("KenLM's hash table", LM, "memory", 0.1, 20),
        ("KenLM's hash table, mapped", LM, "mmap", 0.1, 20),
        ("KenLM's trie", LM.with_name("trie.bin"), "memory", 0.1, 20),
        ("KenLM's quantised array trie", LM.with_name("qatrie8.bin"), "memory", 0.1, 20),
        ("compiled", cache, "memory", 0.05, 20),
        ("compiled, mapped", cache, "mmap", 0.05, 20),
    ):
        with Worker("benchmarks.decoding.bench_load:model", {"path": str(path), "load": load}) as w:
            measured = repeat(w, runs=runs, warmup=min(runs, 2))
        grams = f"{counts} n-grams" if path == large else "lm3, 111,359/1,942,181/1,445,093 n-grams"
        report.row(
            what=f"load, {what}",
            workload={"model": grams, "load": load, "MB": round(path.stat().st_size / 1e6)},
            measured=measured,
            target=at_most(most),
        )


if __name__ == "__main__":
    main(bench)
