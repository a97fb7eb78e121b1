"""Small problems for pyctcdecode and its face; run it where pyctcdecode 0.5.0 is to record.

python -m tests.parity.pyctcdecode_problems tests/parity/pyctcdecode.json ARPA
"""

import json
import sys
from pathlib import Path

import numpy as np

LABELS = [" ", "b", "g", "n", "s", "u", "y", ""]
NUM_PROBLEMS = 60
KEPT = 40  # of the beams of each, the best ones


def logits_of(number):
    """Of one to four frames: so few that a beam can hold all that can be said."""
    rng = np.random.default_rng(number)
    return rng.normal(size=(1 + number % 4, len(LABELS))) * rng.uniform(0.5, 4.0)


def options_of(number):
    """Hotwords in every third problem, which are no search's to prune."""
    hotwords = {"hotwords": ["bu", "gs n"], "hotword_weight": 1.5} if number % 3 == 2 else {}
    return {"beam_width": 10_000, "beam_prune_logp": -1e4, "token_min_logp": -1e4, **hotwords}


def solved(decoder, number, kept=None):
    """The best beams, all if not said how many: text, logit_score, lm_score."""
    beams = decoder.decode_beams(logits_of(number), **options_of(number))[:kept]
    return [[beam[0], round(float(beam[-2]), 5), round(float(beam[-1]), 5)] for beam in beams]


def recorded(build, arpa):
    """The results without a model and with one."""
    decoders = {"free": build(LABELS), "model": build(LABELS, arpa, alpha=0.3, beta=0.7)}
    return {
        name: [solved(decoder, number, KEPT) for number in range(NUM_PROBLEMS)]
        for name, decoder in decoders.items()
    }


if __name__ == "__main__":
    from pyctcdecode import build_ctcdecoder

    target, model = sys.argv[1:]
    Path(target).write_text(json.dumps(recorded(build_ctcdecoder, model)) + "\n")
