"""Small problems for pyctcdecode and its face; run it where pyctcdecode 0.5.0 is to record.

python -m tests.parity.pyctcdecode_problems tests/parity/pyctcdecode.json ARPA
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

LABELS = [" ", "b", "g", "n", "s", "u", "y", ""]
NUM_PROBLEMS = 60
KEPT = 40  # of the beams of each, the best ones
PIECES = ["<unk>", "▁a", "▁b", "a", "b"]
PIECES_ARPA = """\\data\\
ngram 1=8
ngram 2=6

\\1-grams:
-1.5\t<unk>\t-0.1
-99\t<s>\t-0.4
-0.9\t</s>
-0.6\ta\t-0.3
-1.1\tb\t-0.5
-0.8\tab\t-0.2
-1.4\tbab\t-0.15
-1.2\tbaa

\\2-grams:
-0.3\t<s> ab
-0.2\ta b
-0.5\tab a
-0.25\t<unk> b
-0.7\tb </s>
-0.35\tab ab

\\end\\
"""
# All words of the model in half of the problems, else some.
PIECES_UNIGRAMS = (["a", "b", "ab", "bab", "baa"], ["ab", "b"])


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


def pieces_solved(build, arpa, number, kept=None):
    """Those of a problem with pieces and a model: the best beams in which no piece is unknown."""
    decoder = build(
        PIECES,
        arpa,
        unigrams=PIECES_UNIGRAMS[number % 2],
        alpha=0.7,
        beta=1.1,
        unk_score_offset=-4.0,
    )
    logits = np.random.default_rng(number).normal(size=(1 + number % 5, 6)) * 1.5
    logits[:, 0] = -80.0
    beams = decoder.decode_beams(
        logits, beam_width=10_000, beam_prune_logp=-1e4, token_min_logp=-1e4
    )
    beams = [beam for beam in beams if "⁇" not in beam[0]][:kept]
    return [[beam[0], round(float(beam[-2]), 5), round(float(beam[-1]), 5)] for beam in beams]


def recorded(build, arpa):
    """The results without a model, with one, and with pieces."""
    decoders = {"free": build(LABELS), "model": build(LABELS, arpa, alpha=0.3, beta=0.7)}
    found = {
        name: [solved(decoder, number, KEPT) for number in range(NUM_PROBLEMS)]
        for name, decoder in decoders.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pieces.arpa")
        path.write_text(PIECES_ARPA)
        found["pieces"] = [
            pieces_solved(build, str(path), number, KEPT) for number in range(NUM_PROBLEMS)
        ]
    return found


if __name__ == "__main__":
    from pyctcdecode import build_ctcdecoder

    target, model = sys.argv[1:]
    Path(target).write_text(json.dumps(recorded(build_ctcdecoder, model)) + "\n")
