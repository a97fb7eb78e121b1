"""Sweeps our own settings on the tune set; writes their frontier beside the peers'.

    .venv/bin/python -m benchmarks.decoding.sweep_sestina build/decoding/sestina.jsonl

Lines and frontier are as in sweep_flashlight.py; the best is loosened as there.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.decoding.sets import BENCH, DATA
from benchmarks.decoding.sweeps import Sweep
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_lm

__all__ = ["Swept", "main"]

_WEIGHTS = ((2.5, 2.0), (3.0, 2.0), (3.5, 2.0), (3.5, 4.0), (4.0, 3.0), (4.5, 4.0))
_THRESHOLDS = (6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0)
_TOKENS = (4, 8)
_BEAMS = (10, 20, 50, 100, 200, 400)
_FRONTIER = Path(__file__).parent / "sestina_frontier.json"


class Swept:
    """Decoders of one lexicon and model."""

    def __init__(self, workload: dict[str, str]) -> None:
        """Loads both."""
        self.lexicon = Lexicon.read(workload["lexicon"], Tokens.read(workload["tokens"]))
        self.lm = read_lm(BENCH / "lm3.arpa.gz")

    def configure(self, setting: dict[str, object]) -> None:
        """Takes other options."""
        options = DecoderOptions(**setting)  # type: ignore[arg-type]  # of main's own making
        self.decoder = Decoder(self.lexicon, self.lm, options)

    def text(self, log_probs_tn: NDArray[np.float32]) -> str:
        """The text of one utterance."""
        return self.decoder.decode(log_probs_tn)[0].text


def main(log: Path) -> None:
    """Runs what the log does not have yet, then writes the frontier."""
    assert DATA.exists(), f"{DATA} holds the lexicon and the model"
    sweep = Sweep(log, Swept)
    for (weight, score), threshold, tokens, beam, log_add in itertools.product(
        _WEIGHTS, _THRESHOLDS, _TOKENS, _BEAMS, (False, True)
    ):
        sweep.measure(
            lm_weight=weight,
            word_score=score,
            beam_threshold=threshold,
            beam_size_token=tokens,
            beam_size=beam,
            log_add=log_add,
        )
    sweep.loosen()
    _FRONTIER.write_text(json.dumps(sweep.frontier(), indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
