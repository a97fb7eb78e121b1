"""Settings of a decoder, each decoded once and kept as a line of JSON, and the best of them.

A line has the setting, `wer_percent` on the tune set, and `us_per_frame`: CPU microseconds of one
run on a machine that may do other things as well. The times say which settings are worth
measuring, no more.
"""

from __future__ import annotations

import importlib
import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.decoding.emissions import Emissions
from benchmarks.decoding.scoring import word_error_rate
from benchmarks.workers import ROOT

__all__ = ["MEASURED", "WORKLOAD", "Sweep", "decoded"]

_DATA = ROOT.parent / "shared" / "data" / "decoding"
MEASURED = ("wer_percent", "us_per_frame")
"""What a line of a log has besides its setting."""
WORKLOAD = {
    "set": str(ROOT / "build" / "decoding" / "tune_hard_letters.npz"),
    "tokens": str(_DATA / "tokens.txt"),
    "lexicon": str(_DATA / "bench" / "lexicon200k.txt.gz"),
    "lm": str(ROOT / "build" / "kenlm-oracle" / "lm3" / "probing.bin"),
}
"""What the peers are swept on; sets.py and recipes/kenlm_oracle.sh write the files."""


class Decoder(Protocol):
    """What `peers/` offer a sweep."""

    def configure(self, workload: dict[str, Any]) -> None:
        """Takes other options over the same lexicon and model."""

    def text(self, log_probs_tn: NDArray[np.float32]) -> str:
        """The text of one utterance."""


def decoded(workload: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """A set decoded with each of `settings`: rows of `us_per_frame` and `texts`, in their order.

    Keys of the workload: decoder (module:class, built of the workload), settings, set, last.
    """
    module, _, name = workload["decoder"].partition(":")
    decoder: Decoder = getattr(importlib.import_module(module), name)(workload)
    emissions = Emissions.load(workload["set"])
    inputs = [emissions.log_probs(n) for n in range(workload["last"])]
    num_frames = sum(map(len, inputs))

    def run() -> dict[str, Any]:
        rows = []
        for setting in workload["settings"]:
            decoder.configure(setting)
            start = time.process_time()
            texts = [decoder.text(log_probs_tn) for log_probs_tn in inputs]
            cost_s = time.process_time() - start
            rows.append({"us_per_frame": 1e6 * cost_s / num_frames, "texts": texts})
        return {"rows": rows}

    return run


class Sweep:
    """Settings measured and kept.

    Args:
        log: the file of lines; what it has is not measured again.
        peer: a module of `peers/`, whose `Decoder` is built of `WORKLOAD`; or such a class.
        utterances: how many of the tune set are decoded; default all.
        most_us: settings that take longer for a frame are not wanted.
    """

    def __init__(
        self,
        log: Path,
        peer: str | Callable[[dict[str, str]], Decoder],
        *,
        utterances: int | None = None,
        most_us: float = math.inf,
    ) -> None:
        self.log = log
        self._most_us = most_us
        # A peer by name, since it imports what only the environment of the peers has.
        made = (
            importlib.import_module(f"benchmarks.decoding.peers.{peer}").Decoder
            if isinstance(peer, str)
            else peer
        )
        self._decoder: Decoder = made(WORKLOAD)
        emissions = Emissions.load(WORKLOAD["set"])
        self._references = emissions.texts[:utterances]
        self._inputs = [emissions.log_probs(n) for n in range(len(self._references))]
        self._rows = self._read()

    def measure(self, **setting: Any) -> dict[str, Any]:
        """The line of a setting, from the file if it is there."""
        key = json.dumps(setting, sort_keys=True)
        if key not in self._rows:
            self._decoder.configure(setting)
            start = time.process_time()
            texts = [self._decoder.text(log_probs_tn) for log_probs_tn in self._inputs]
            cost_s = time.process_time() - start
            self._rows[key] = setting | {
                "wer_percent": round(100 * word_error_rate(self._references, texts), 3),
                "us_per_frame": round(1e6 * cost_s / sum(map(len, self._inputs)), 2),
            }
            with self.log.open("a") as file:
                file.write(json.dumps(self._rows[key]) + "\n")
        return self._rows[key]

    def frontier(self) -> list[dict[str, Any]]:
        """The lines than which no other is as fast and as right, fastest first."""
        best: list[dict[str, Any]] = []
        order = sorted(
            (row for row in self._rows.values() if row["us_per_frame"] <= self._most_us),
            key=lambda row: (row["us_per_frame"], row["wer_percent"]),
        )
        for row in order:
            if not best or row["wer_percent"] < best[-1]["wer_percent"]:
                best.append(row)
        return best

    def loosen(self) -> None:
        """Goes from the line that errs least to one that no neighbour betters."""
        best = self.frontier()[-1]
        while True:
            setting = {name: best[name] for name in best if name not in MEASURED}
            neighbours = [
                {"beam_size": 2 * setting["beam_size"]},
                {"beam_threshold": setting["beam_threshold"] + 10},
                {"beam_size_token": 29},
                *({"lm_weight": setting["lm_weight"] + by} for by in (-0.5, 0.5)),
                *({"word_score": setting["word_score"] + by} for by in (-1.0, 1.0)),
            ]
            rows = [self.measure(**setting | changed) for changed in neighbours]
            allowed = [row for row in rows if row["us_per_frame"] <= self._most_us]
            found = min(allowed, key=lambda row: row["wer_percent"], default=best)
            if found["wer_percent"] >= best["wer_percent"]:
                return
            best = found

    def _read(self) -> dict[str, dict[str, Any]]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        rows = [json.loads(line) for line in lines]
        keys = [
            {name: value for name, value in row.items() if name not in MEASURED} for row in rows
        ]
        return {json.dumps(key, sort_keys=True): row for key, row in zip(keys, rows, strict=True)}
