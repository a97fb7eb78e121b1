"""pyctcdecode 0.5.0 with KenLM.

`beams` takes the workload, builds a decoder and returns a `run` that decodes the set and returns
{"texts": [...]}. Keys of the workload:

    set, first, last        path of an `Emissions` file and the slice of its utterances; default all
    tokens, lexicon, lm     paths: the words of the lexicon (gzipped or not) are its unigrams
    alpha, beta             default 0.5 and 1.5; unk_score_offset: -10
    beam_width              default 100; beam_prune_logp: -10; token_min_logp: -5
    hotwords                default none; hotword_weight: 10

alpha multiplies natural logarithms: Flashlight's lm_weight is 2.3026 times as large.
"""

import gzip
from pathlib import Path

from pyctcdecode import build_ctcdecoder

from benchmarks.decoding.emissions import Emissions

__all__ = ["Decoder", "beams"]


class Decoder:
    """A decoder whose weights may change: `reset_params` of the same model."""

    def __init__(self, workload):
        """Loads the model and its unigrams."""
        names = Path(workload["tokens"]).read_text().split()
        self.decoder = build_ctcdecoder(
            ["" if name == "-" else " " if name == "|" else name for name in names],
            str(workload["lm"]) if workload.get("lm") else None,
            _words(workload["lexicon"]) if workload.get("lexicon") else None,
        )
        self.configure(workload)

    def configure(self, workload):
        """Takes other weights and prunings over the same model."""
        self.decoder.reset_params(
            alpha=float(workload.get("alpha", 0.5)),
            beta=float(workload.get("beta", 1.5)),
            unk_score_offset=float(workload.get("unk_score_offset", -10)),
        )
        self.pruning = {
            "beam_width": workload.get("beam_width", 100),
            "beam_prune_logp": float(workload.get("beam_prune_logp", -10)),
            "token_min_logp": float(workload.get("token_min_logp", -5)),
            "hotwords": workload.get("hotwords"),
            "hotword_weight": float(workload.get("hotword_weight", 10)),
        }

    def text(self, log_probs_tn):
        """The text of one utterance."""
        return self.decoder.decode(log_probs_tn, **self.pruning)


def beams(workload):
    """The set decoded."""
    decoder = Decoder(workload)
    emissions = Emissions.load(workload["set"])
    part = range(len(emissions))[workload.get("first") : workload.get("last")]
    inputs = [emissions.log_probs(n) for n in part]

    def run():
        return {"texts": [decoder.text(log_probs_tn) for log_probs_tn in inputs]}

    return run


def _words(path):
    read = gzip.open if Path(path).suffix == ".gz" else open
    with read(path, "rt") as file:
        return list(dict.fromkeys(line.split()[0] for line in file if line.strip()))
