"""The same search over each kind of model file, in turn with the ARPA file read into memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.decoding.bench_load import LM, unpacked
from benchmarks.decoding.emissions import Emissions
from benchmarks.decoding.sets import BENCH, BUILT, DATA, path_of
from benchmarks.harness import Report, Worker, alternate, main
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, compile_lm, read_lm

NUM_UTTERANCES = 40
OPTIONS: dict[str, Any] = {
    "beam_size": 50,
    "beam_size_token": 8,
    "beam_threshold": 15,
    "lm_weight": 3.5,
    "word_score": 2.0,
    "log_add": True,
}


def decoded(workload: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """The set decoded with that file."""
    lexicon = Lexicon.read(BENCH / "lexicon200k.txt.gz", Tokens.read(DATA / "tokens.txt"))
    lm = read_lm(workload["lm"], load=workload["load"])
    decoder = Decoder(lexicon, lm, DecoderOptions(**OPTIONS))
    emissions = Emissions.load(workload["set"])
    inputs = [emissions.log_probs(n) for n in range(NUM_UTTERANCES)]

    def run() -> dict[str, Any]:
        return {"texts": [decoder.decode(log_probs_tn)[0].text for log_probs_tn in inputs]}

    return run


def bench(report: Report) -> None:
    """A row for each kind."""
    arpa, cache = unpacked("lm3.arpa.gz"), BUILT / "lm3.lm"
    compile_lm(arpa, cache)
    function = "benchmarks.decoding.bench_model_files:decoded"
    files = {"set": str(path_of("validation"))}
    with Worker(function, files | {"lm": str(arpa), "load": "memory"}) as theirs:
        for what, path, load in (
            ("compiled", cache, "memory"),
            ("compiled, mapped", cache, "mmap"),
            ("KenLM's hash table", LM, "memory"),
            ("KenLM's hash table, mapped", LM, "mmap"),
            ("KenLM's trie", LM.with_name("trie.bin"), "memory"),
            ("KenLM's quantised array trie", LM.with_name("qatrie8.bin"), "memory"),
        ):
            with Worker(function, files | {"lm": str(path), "load": load}) as mine:
                found, expected = mine.run().extra["texts"], theirs.run().extra["texts"]
                measured = alternate(mine, theirs, warmup=1)
            report.row(
                what=f"search over a model file, {what}",
                workload=OPTIONS | {"load": load, "MB": round(path.stat().st_size / 1e6)},
                measured=measured,
                notes={
                    "the peer": "ours, over the ARPA file of 94 MB",
                    "texts equal": sum(map(str.__eq__, found, expected)),
                },
            )


if __name__ == "__main__":
    main(bench)
