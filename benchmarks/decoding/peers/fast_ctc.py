"""fast-ctc-decode 0.3.7: a prefix search without lexicon or language model.

`prefixes` takes the workload and returns a `run` that decodes the set and returns {"texts": [...]}.
Keys: set, first, last (as for the others), tokens, beam_size (default 5), beam_cut_threshold
(default 0: tokens less probable in a frame are not tried). It wants the blank first and
probabilities, which are made of the log-probabilities beforehand, untimed.
"""

from pathlib import Path

import numpy as np
from fast_ctc_decode import beam_search

from benchmarks.decoding.emissions import Emissions

__all__ = ["prefixes"]


def prefixes(workload):
    """The set decoded."""
    names = Path(workload["tokens"]).read_text().split()
    assert names[0] == "-", "the shared tokens have the blank first"
    letters = ["", *(" " if name == "|" else name for name in names[1:])]
    emissions = Emissions.load(workload["set"])
    part = range(len(emissions))[workload.get("first") : workload.get("last")]
    inputs = [np.exp(emissions.log_probs(n)) for n in part]
    beam_size = workload.get("beam_size", 5)
    cut = float(workload.get("beam_cut_threshold", 0))

    def run():
        texts = []
        for probs_tn in inputs:
            text, _ = beam_search(probs_tn, letters, beam_size=beam_size, beam_cut_threshold=cut)
            texts.append(" ".join(text.split()))
        return {"texts": texts}

    return run
