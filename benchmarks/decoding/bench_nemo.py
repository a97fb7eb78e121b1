"""NeMo's own search for CTC (`beam_batch`, torch, one thread of the CPU), beside ours.

Its model is one of tokens: so letters, a 5-gram of letters of the tune set's texts, and no lexicon;
with a model of words NeMo's decoders are Flashlight and pyctcdecode, which have their own benches.
Ours sums paths, too, with the same beams and threshold. Both get a batch, NeMo's in one tensor.

NeMo isn't among the peers that `make bench` installs. It has an environment of its own, of 1.5 GB;
torch from the index of CPU builds, for PyPI's brings CUDA:

    python -m venv .venv-bench-nemo
    .venv-bench-nemo/bin/pip install --no-deps -r benchmarks/decoding/requirements-nemo.txt
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.decoding.bench_batched import LETTERS, write_letters
from benchmarks.decoding.emissions import Emissions
from benchmarks.decoding.scoring import character_error_rate, word_error_rate
from benchmarks.decoding.sets import DATA, path_of
from benchmarks.harness import Report, Worker, alternate, bench_python, main
from sestina.decoding import Decoder, DecoderOptions, Tokens, read_lm

LONG = True  # only if it is asked for by name, since its environment is not made by `make bench`
NUM_UTTERANCES = 8
LN_10 = 2.302585
THRESHOLD = 20.0  # NeMo's default
# Beam, and the model's weight in natural logarithms.
SETTINGS = ((10, 0.0), (50, 0.0), (10, 0.5), (50, 0.5))


def ours(workload: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """The set decoded."""
    lm = read_lm(workload["lm"]) if workload["lm"] else None
    options = DecoderOptions(
        beam_size=workload["beam_size"],
        beam_threshold=workload["beam_threshold"],
        lm_weight=LN_10 * workload["alpha"] if lm else 1.0,
        log_add=True,
    )
    decoder = Decoder(Tokens.read(workload["tokens"]), lm, options)
    emissions = Emissions.load(workload["set"])
    inputs = [emissions.log_probs(n) for n in range(workload["last"])]

    def run() -> dict[str, Any]:
        return {"texts": [one[0].text for one in decoder.decode_batch(inputs)]}

    return run


def bench(report: Report) -> None:
    """A row for each beam, without the model and with it."""
    write_letters()
    path = path_of("validation")
    emissions = Emissions.load(path)
    references = emissions.texts[:NUM_UTTERANCES]
    frames = int(emissions.lengths[:NUM_UTTERANCES].sum())
    for beam, alpha in SETTINGS:
        settings = {
            "beam_size": beam,
            "beam_threshold": THRESHOLD,
            "alpha": alpha,
            "last": NUM_UTTERANCES,
        }
        workload = settings | {
            "set": str(path),
            "tokens": str(DATA / "tokens.txt"),
            "lm": str(LETTERS) if alpha else "",
        }
        with (
            Worker("benchmarks.decoding.bench_nemo:ours", workload) as mine,
            Worker(
                "benchmarks.decoding.peers.nemo_beams:beam_batch",
                workload,
                python=bench_python("nemo"),
            ) as theirs,
        ):
            found, expected = mine.run().extra["texts"], theirs.run().extra["texts"]
            measured = alternate(mine, theirs, pairs=3, warmup=0)
        model = ", 5-gram of letters" if alpha else ""
        report.row(
            what=f"letters{model}, beam {beam}, beside NeMo's beam_batch",
            workload=settings | {"set": "validation, hard", "frames": frames, "tokens": 29},
            measured=measured,
            notes={
                "texts": len(found),
                "texts equal": sum(map(str.__eq__, found, expected)),
                "our character error rate, %": round(
                    100 * character_error_rate(references, found), 2
                ),
                "the peer's, %": round(100 * character_error_rate(references, expected), 2),
                "our word error rate, %": round(100 * word_error_rate(references, found), 2),
                "the peer's word error rate, %": round(
                    100 * word_error_rate(references, expected), 2
                ),
                "ours, µs a frame": round(1e6 * measured.figures()[0].median / frames, 2),
            },
        )


if __name__ == "__main__":
    main(bench)
