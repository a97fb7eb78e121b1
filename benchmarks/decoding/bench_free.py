"""Without a lexicon and without a language model, beside fast-ctc-decode's prefix search.

Ours sums, prunes below a threshold and tries a frame's best tokens, as chosen on the tune set: the
cheapest setting whose character error rate there is no higher than fast-ctc-decode's at its cut of
.001. That is a narrow one, since these emissions gain nothing from a wide beam; the second row has
one that keeps what is e³ times less probable, and the third is unpruned on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.decoding.emissions import Emissions
from benchmarks.decoding.scoring import character_error_rate
from benchmarks.decoding.sets import DATA, path_of, texts
from benchmarks.harness import Report, Worker, alternate, at_most, bench_python, main
from sestina.decoding import Decoder, DecoderOptions, Tokens

NUM_UTTERANCES = 100
BEAM = 50
SETTINGS: tuple[dict[str, Any], ...] = tuple(
    {"beam_threshold": threshold, "beam_size_token": tokens}
    for threshold in (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
    for tokens in (4, 8)
)


def ours(workload: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """The set decoded."""
    options = DecoderOptions(
        beam_size=BEAM,
        beam_threshold=workload["beam_threshold"],
        beam_size_token=workload["beam_size_token"],
        log_add=True,
    )
    decoder = Decoder(Tokens.read(workload["tokens"]), None, options)
    emissions = Emissions.load(workload["set"])
    inputs = [emissions.log_probs(n) for n in range(workload["last"])]

    def run() -> dict[str, Any]:
        return {"texts": [decoder.decode(log_probs_tn)[0].text for log_probs_tn in inputs]}

    return run


def peer(workload: Mapping[str, Any]) -> Worker:
    """fast-ctc-decode on the same set."""
    return Worker(
        "benchmarks.decoding.peers.fast_ctc:prefixes", workload, python=bench_python("decoding")
    )


def chosen(cut: float) -> dict[str, Any]:
    """Our cheapest setting that errs no more on the tune set."""
    files = {"set": str(path_of("tune")), "tokens": str(DATA / "tokens.txt"), "last": 100}
    references = texts("tune")[:100]
    with peer(files | {"beam_size": BEAM, "beam_cut_threshold": cut}) as theirs:
        most = character_error_rate(references, theirs.run().extra["texts"])
    found = []
    for setting in SETTINGS:
        with Worker("benchmarks.decoding.bench_free:ours", files | setting) as mine:
            mine.run()
            sample = mine.run()
        if character_error_rate(references, sample.extra["texts"]) <= most:
            found.append((sample.process_s, setting))
    return min(found, key=lambda one: one[0])[1]


def bench(report: Report) -> None:
    """One row for each cut."""
    references = texts("validation")[:NUM_UTTERANCES]
    path = path_of("validation")
    emissions = Emissions.load(path)
    frames = sum(len(emissions.log_probs(n)) for n in range(NUM_UTTERANCES))
    files = {"set": str(path), "tokens": str(DATA / "tokens.txt"), "last": NUM_UTTERANCES}
    unpruned = {"beam_threshold": 1e9, "beam_size_token": None}
    wide = {"beam_threshold": 3.0, "beam_size_token": 4}
    for what, cut, setting in (
        ("chosen on the tune set", 0.001, chosen(0.001)),
        ("threshold 3", 0.001, wide),
        ("unpruned", 0.0, unpruned),
    ):
        with (
            Worker("benchmarks.decoding.bench_free:ours", files | setting) as mine,
            peer(files | {"beam_size": BEAM, "beam_cut_threshold": cut}) as theirs,
        ):
            found, expected = mine.run().extra["texts"], theirs.run().extra["texts"]
            measured = alternate(mine, theirs, warmup=1, pairs=20 if cut else 5)
        per_frame = round(1e6 * measured.figures()[0].median / frames, 2)
        report.row(
            what=f"without a lexicon or a model, {what}",
            workload=setting | {"beam": BEAM, "peer's cut": cut, "tokens": 29, "frames": frames},
            measured=measured,
            target=at_most(4e-6 * frames) if cut else None,
            notes={
                "ours, µs a frame": per_frame,
                "our character error rate, %": round(
                    100 * character_error_rate(references, found), 3
                ),
                "the peer's, %": round(100 * character_error_rate(references, expected), 3),
            },
        )


if __name__ == "__main__":
    main(bench)
