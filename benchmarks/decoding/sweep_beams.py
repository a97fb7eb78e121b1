"""Sweeps weights at each beam on the tune set; writes the best setting of each beam.

    .venv/bin/python -m benchmarks.decoding.sweep_beams sestina build/decoding/beams.jsonl
    .venv-bench-decoding/bin/python -m benchmarks.decoding.sweep_beams flashlight LOG

and `pyctcdecode`, on the first 40 utterances. Pruning is wide, so that the beam is what limits the
search; each system sums paths. Lines are as in sweep_flashlight.py; the best settings, smallest
beam first, go to <system>_beams.json.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.decoding.sweeps import Sweep

__all__ = ["main"]

_BEAMS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_WEIGHTS = ((2.5, 2.0), (3.5, 2.0), (3.5, 4.0), (4.5, 4.0))
_WIDE = {"beam_threshold": 25.0, "beam_size_token": 8, "log_add": True}
# Its time grows to milliseconds a frame; the weights are the best of sweep_pyctcdecode.py.
_PEER_BEAMS = _BEAMS[:8]
_PEER_WEIGHTS = ((0.65, 1.0), (1.0, 3.0))
_PEER_WIDE = {"unk_score_offset": -30.0, "beam_prune_logp": -15.0, "token_min_logp": -12.0}


def _settings(system: str) -> list[list[dict[str, Any]]]:
    """Those to try, for each beam."""
    if system == "pyctcdecode":
        return [
            [_PEER_WIDE | {"beam_width": beam, "alpha": a, "beta": b} for a, b in _PEER_WEIGHTS]
            for beam in _PEER_BEAMS
        ]
    return [
        [_WIDE | {"beam_size": beam, "lm_weight": w, "word_score": s} for w, s in _WEIGHTS]
        for beam in _BEAMS
    ]


def main(system: str, log: Path) -> None:
    """Runs what the log does not have yet, then writes the best."""
    if system == "sestina":  # by name, since the peers' environments lack it
        sweep = Sweep(log, importlib.import_module("benchmarks.decoding.sweep_sestina").Swept)
    elif system == "flashlight":
        sweep = Sweep(log, "flashlight_text")
    else:
        sweep = Sweep(log, "pyctcdecode_beams", utterances=40)
    best = [
        min((sweep.measure(**one) for one in some), key=lambda row: row["wer_percent"])
        for some in _settings(system)
    ]
    path = Path(__file__).parent / f"{system}_beams.json"
    path.write_text(json.dumps(best, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("sestina", "flashlight", "pyctcdecode"):
        sys.exit("error: give the system and the file that keeps the sweep")
    main(sys.argv[1], Path(sys.argv[2]))
