"""Sweeps Flashlight's settings on the tune set; writes its frontier of time against word errors.

    .venv-bench-decoding/bin/python -m benchmarks.decoding.sweep_flashlight build/decoding/fl.jsonl

First the weights: every pair at beam 100, threshold 15, 8 tokens, for both merges. Then, with the
two best pairs of each merge, every threshold × tokens × beam. Then the best of all these is
loosened step by step for as long as it errs less, up to 1.6 ms a frame, so that no edge of the grid
is taken for the best. Each setting is one line of the file and is not run again. The frontier,
settings than which none was both faster and better, goes to flashlight_frontier.json; sweeps.py
says what its times are worth.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

from benchmarks.decoding.sweeps import Sweep

__all__ = ["main"]

_PAIRS = [
    *[(1.5, 0.5), (1.5, 1.5), (2.0, 1.0), (2.5, 2.0), (3.0, 1.0), (3.0, 3.0), (3.5, 2.0)],
    *[(3.5, 4.0), (4.0, 1.0), (4.0, 3.0), (4.0, 5.0), (5.0, 3.0), (5.0, 5.0)],
]
_THRESHOLDS = (8, 10, 12, 15, 20, 25)
_TOKENS = (4, 8, 29)
_BEAMS = (20, 50, 100, 150, 200)
_FRONTIER = Path(__file__).parent / "flashlight_frontier.json"


def main(log: Path) -> None:
    """Runs what the log does not have yet, then writes the frontier."""
    sweep = Sweep(log, "flashlight_text", most_us=1600)
    for log_add in (False, True):
        ranked = sorted(
            (
                sweep.measure(
                    lm_weight=lm_weight,
                    word_score=word_score,
                    beam_threshold=15,
                    beam_size_token=8,
                    beam_size=100,
                    log_add=log_add,
                )
                for lm_weight, word_score in _PAIRS
            ),
            key=lambda row: row["wer_percent"],
        )
        for best, beam, threshold, tokens in itertools.product(
            ranked[:2], _BEAMS, _THRESHOLDS, _TOKENS
        ):
            sweep.measure(
                lm_weight=best["lm_weight"],
                word_score=best["word_score"],
                beam_threshold=threshold,
                beam_size_token=tokens,
                beam_size=beam,
                log_add=log_add,
            )
    sweep.loosen()
    _FRONTIER.write_text(json.dumps(sweep.frontier(), indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("error: give the file that keeps the sweep; e.g. build/decoding/fl.jsonl")
    main(Path(sys.argv[1]))
