"""Sweeps pyctcdecode's settings on the first 40 utterances of the tune set; writes its frontier.

    .venv-bench-decoding/bin/python -m benchmarks.decoding.sweep_pyctcdecode build/decoding/py.jsonl

First the weights at beam 100 and prunings looser than its defaults (-10 and -5, with which it errs
most at any weights), then the prunings and beams with the two best pairs. Lines and frontier are as
in sweep_flashlight.py.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

from benchmarks.decoding.sweeps import Sweep

__all__ = ["main"]

_UTTERANCES = 40
_ALPHAS = (0.3, 0.45, 0.65, 1.0, 1.3, 1.6, 2.0)
# Of -5 to -60, with three pairs of weights, the best by up to 3 points; its default is -10.
_UNKNOWN = -30.0
_BETAS = (-1.0, 1.0, 3.0, 5.0, 8.0)
_BEAMS = (50, 100, 200)
_BEAM_PRUNES = (-10.0, -15.0, -20.0, -30.0)
_TOKEN_MINIMA = (-5.0, -8.0, -12.0)
_FRONTIER = Path(__file__).parent / "pyctcdecode_frontier.json"


def main(log: Path) -> None:
    """Runs what the log does not have yet, then writes the frontier."""
    sweep = Sweep(log, "pyctcdecode_beams", utterances=_UTTERANCES)
    ranked = sorted(
        (
            sweep.measure(
                alpha=alpha,
                beta=beta,
                unk_score_offset=_UNKNOWN,
                beam_width=100,
                beam_prune_logp=-15.0,
                token_min_logp=-8.0,
            )
            for alpha, beta in itertools.product(_ALPHAS, _BETAS)
        ),
        key=lambda row: row["wer_percent"],
    )
    for best, width, prune, minimum in itertools.product(
        ranked[:2], _BEAMS, _BEAM_PRUNES, _TOKEN_MINIMA
    ):
        sweep.measure(
            alpha=best["alpha"],
            beta=best["beta"],
            unk_score_offset=_UNKNOWN,
            beam_width=width,
            beam_prune_logp=prune,
            token_min_logp=minimum,
        )
    _FRONTIER.write_text(json.dumps(sweep.frontier(), indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("error: give the file that keeps the sweep; e.g. build/decoding/py.jsonl")
    main(Path(sys.argv[1]))
