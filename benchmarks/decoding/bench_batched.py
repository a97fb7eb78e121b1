"""The batched search in PyTorch on a GPU, beside the compiled search on the CPU's cores.

Both have the same emissions, options and 5-gram model of letters (of the tune set's texts), and
search without a lexicon; those of the batched search lie on its device, as a model would leave
them. Without a GPU a few utterances show that it works: rows that say `cpu` are no figures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch

from benchmarks.decoding.emissions import Emissions
from benchmarks.decoding.pieces import TOKENS as PIECES
from benchmarks.decoding.scoring import character_error_rate
from benchmarks.decoding.sets import BUILT, DATA, Units, path_of, texts
from benchmarks.harness import Report, Worker, alternate, main
from recipes.speech.ngrams import estimate, write_arpa
from sestina.decoding import Decoder, DecoderOptions, NgramModel, Tokens, read_lm
from sestina.decoding.batched import BatchedDecoder

GPU = torch.cuda.is_available()
LONG = True  # only if it is asked for by name: without a GPU its rows are no figures
NUM_UTTERANCES, BATCH = (96, 32) if GPU else (4, 4)
LETTERS = BUILT / "letters.arpa.gz"
_SUMS: dict[str, Any] = {"log_add": True, "merge": "history"}
_MODEL: dict[str, Any] = {"beam_size": 50, "log_add": True, "lm_weight": 1.0}
# Units, whether with the model, and options.
SETTINGS: tuple[tuple[Units, bool, dict[str, Any]], ...] = (
    ("letters", False, {"beam_size": 10} | _SUMS),
    ("letters", False, {"beam_size": 50} | _SUMS),
    ("letters", True, _MODEL),
    ("letters", True, _MODEL | {"blank_skip_threshold": 0.95}),
    ("pieces", False, {"beam_size": 10} | _SUMS),
    ("pieces", False, {"beam_size": 10, "beam_size_token": 16} | _SUMS),
)


def _parts(workload: Mapping[str, Any]) -> tuple[Tokens, NgramModel | None, DecoderOptions]:
    lm = read_lm(workload["lm"]) if workload["lm"] else None
    return Tokens.read(workload["tokens"]), lm, DecoderOptions(**workload["options"])


def batched(workload: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """The set in batches, on the GPU if there is one."""
    decoder = BatchedDecoder(*_parts(workload))
    emissions = Emissions.load(workload["set"])
    batches = []
    for first in range(0, workload["last"], workload["batch"]):
        ones = [torch.from_numpy(emissions.log_probs(n)) for n in _range(workload, first)]
        padded = torch.nn.utils.rnn.pad_sequence(ones, batch_first=True)
        batches.append((padded.to(decoder.device), [len(one) for one in ones]))

    def run() -> dict[str, Any]:
        found = [one for batch in batches for one in decoder.decode(*batch)]
        return {"texts": [one[0].text for one in found]}

    return run


def _range(workload: Mapping[str, Any], first: int) -> range:
    return range(first, min(first + workload["batch"], workload["last"]))


def compiled(workload: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """The set on all cores of the CPU."""
    decoder = Decoder(*_parts(workload))
    emissions = Emissions.load(workload["set"])
    inputs = [emissions.log_probs(n) for n in range(workload["last"])]
    threads = len(os.sched_getaffinity(0))

    def run() -> dict[str, Any]:
        return {"texts": [one[0].text for one in decoder.decode_batch(inputs, threads=threads)]}

    return run


def _workload(units: Units, options: Mapping[str, Any], *, with_lm: bool) -> dict[str, Any]:
    return {
        "set": str(path_of("validation", "hard", units)),
        "tokens": str(DATA / "tokens.txt" if units == "letters" else PIECES),
        "lm": str(LETTERS) if with_lm else "",
        "last": NUM_UTTERANCES,
        "batch": BATCH,
        "options": dict(options),
    }


def write_letters() -> None:
    """Writes the 5-gram of letters, unless it is there."""
    if not LETTERS.exists():
        BUILT.mkdir(parents=True, exist_ok=True)
        spelled = [" ".join(f"{text} ".replace(" ", "|")) for text in texts("tune")]
        write_arpa(LETTERS, estimate(spelled, 5))


def bench(report: Report) -> None:
    """One row for each setting."""
    write_letters()
    device = torch.cuda.get_device_name() if GPU else "cpu"
    for units, with_lm, options in SETTINGS:
        workload = _workload(units, options, with_lm=with_lm)
        emissions = Emissions.load(workload["set"])
        frames = int(emissions.lengths[:NUM_UTTERANCES].sum())
        with (
            Worker("benchmarks.decoding.bench_batched:batched", workload) as mine,
            Worker("benchmarks.decoding.bench_batched:compiled", workload) as theirs,
        ):
            found, expected = mine.run().extra["texts"], theirs.run().extra["texts"]
            pairs = 20 if GPU else 1
            measured = alternate(mine, theirs, pairs=pairs, clock="wall", warmup=1 if GPU else 0)
        errors = character_error_rate(emissions.texts[:NUM_UTTERANCES], found)
        tried = options.get("beam_size_token", "all")
        model = ", 5-gram of letters" if with_lm else ""
        skips = ", blanks skipped" if "blank_skip_threshold" in options else ""
        report.row(
            what=f"batched, {units}{model}, beam {options['beam_size']}, {tried} tokens{skips}",
            workload={"set": f"validation, hard, {units}", "frames": frames, "batch": BATCH}
            | dict(options),
            measured=measured,
            notes={
                "device": device,
                "texts": len(found),
                "texts equal to the compiled search's": sum(map(str.__eq__, found, expected)),
                "character error rate, %": round(100 * errors, 2),
                "µs a frame": round(1e6 * measured.figures()[0].median / frames, 2),
            },
        )


if __name__ == "__main__":
    main(bench)
