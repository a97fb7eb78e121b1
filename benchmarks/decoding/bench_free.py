"""Without a lexicon and a language model, beside fast-ctc-decode's prefix search and Flashlight.

Ours sums, prunes below a threshold and tries a frame's best tokens, as chosen on the tune set: the
cheapest setting whose character error rate there is no higher than fast-ctc-decode's at its cut of
.001. That is a narrow one, since these emissions gain nothing from a wide beam; the second row has
one that keeps what is e³ times less probable, and the third is unpruned on both sides. Flashlight's
settings are chosen by the same rule; where none errs so little, it has the one that errs least.
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
    {"beam_threshold": threshold, "beam_size_token": tokens, "log_add": True}
    for threshold in (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
    for tokens in (4, 8)
)


def ours(workload: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """The set decoded."""
    options = DecoderOptions(
        beam_size=BEAM,
        beam_threshold=workload["beam_threshold"],
        beam_size_token=workload["beam_size_token"],
        log_add=workload["log_add"],
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


def flashlight(workload: Mapping[str, Any]) -> Worker:
    """Flashlight on the same set."""
    return Worker(
        "benchmarks.decoding.peers.flashlight_text:lexicon_free",
        {"lm_weight": 0, **workload},
        python=bench_python("decoding"),
    )


def ours_of(workload: Mapping[str, Any]) -> Worker:
    """Ours."""
    return Worker("benchmarks.decoding.bench_free:ours", workload)


def chosen(cut: float, make: Callable[[Mapping[str, Any]], Worker]) -> dict[str, Any]:
    """The cheapest setting that errs no more than fast-ctc-decode on the tune set."""
    files = {"set": str(path_of("tune")), "tokens": str(DATA / "tokens.txt"), "last": 100}
    references = texts("tune")[:100]
    with peer(files | {"beam_size": BEAM, "beam_cut_threshold": cut}) as theirs:
        most = character_error_rate(references, theirs.run().extra["texts"])
    found = []
    for setting in SETTINGS:
        with make(files | {"beam_size": BEAM} | setting) as mine:
            mine.run()
            sample = mine.run()
        rate = character_error_rate(references, sample.extra["texts"])
        found.append((max(rate, most), sample.process_s, setting))
    return min(found, key=lambda one: one[:2])[2]


def bench(report: Report) -> None:
    """One row for each cut."""
    references = texts("validation")[:NUM_UTTERANCES]
    path = path_of("validation")
    emissions = Emissions.load(path)
    frames = sum(len(emissions.log_probs(n)) for n in range(NUM_UTTERANCES))
    files = {"set": str(path), "tokens": str(DATA / "tokens.txt"), "last": NUM_UTTERANCES}
    unpruned = {"beam_threshold": 1e9, "beam_size_token": None, "log_add": True}
    wide = {"beam_threshold": 3.0, "beam_size_token": 4, "log_add": True}
    best = chosen(0.001, ours_of)
    for what, make, theirs_set, setting in (
        ("chosen on the tune set", peer, {"beam_cut_threshold": 0.001}, best),
        ("threshold 3", peer, {"beam_cut_threshold": 0.001}, wide),
        ("unpruned", peer, {"beam_cut_threshold": 0.0}, unpruned),
        ("beside Flashlight", flashlight, chosen(0.001, flashlight), best),
        ("unpruned, beside Flashlight", flashlight, unpruned, unpruned),
    ):
        pruned = setting is not unpruned
        with (
            ours_of(files | setting) as mine,
            make(files | {"beam_size": BEAM} | theirs_set) as theirs,
        ):
            found, expected = mine.run().extra["texts"], theirs.run().extra["texts"]
            measured = alternate(mine, theirs, warmup=1 if pruned else 0, pairs=20 if pruned else 3)
        per_frame = round(1e6 * measured.figures()[0].median / frames, 2)
        report.row(
            what=f"without a lexicon or a model, {what}",
            workload=setting | {"beam": BEAM, "peer": theirs_set, "tokens": 29, "frames": frames},
            measured=measured,
            target=at_most(4e-6 * frames) if pruned else None,
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
