"""NeMo 3.0.0's own search for CTC (`beam_batch`): torch, on the CPU, a model of tokens or none.

`beam_batch` takes the workload and returns a `run` that decodes the set in one batch and returns
{"texts": [...]}. Keys: set, last, tokens (the first one is the blank), lm (ARPA of tokens, may be
gzipped), beam_size, beam_threshold (default 20, NeMo's), alpha (of the model, in natural
logarithms).
"""

import gzip
import importlib
import importlib.util
import sys
import tempfile
import types
from pathlib import Path

import torch

from benchmarks.decoding.emissions import Emissions

__all__ = ["beam_batch"]

_OFFSET = 100  # NeMo names the token of a column by the character of that number and this


def _search():
    """NeMo's classes, without the models and data sets that its packages import on their way.

    Those need torchaudio and what the wheel of 3.0.0 lacks (nemo.utils.webdataset).
    """
    asr = "nemo.collections.asr"
    _bare(asr)
    biasing = _bare(f"{asr}.parts.context_biasing")
    boosting = importlib.import_module(f"{asr}.parts.context_biasing.boosting_graph_batched")
    biasing.GPUBoostingTreeModel = boosting.GPUBoostingTreeModel
    search = importlib.import_module(f"{asr}.parts.submodules.ctc_batched_beam_decoding")
    models = importlib.import_module(f"{asr}.parts.submodules.ngram_lm")
    return search.BatchedBeamCTCComputer, models.NGramGPULanguageModel


def _bare(name):
    """A package whose own file is not run."""
    [root] = importlib.util.find_spec("nemo").submodule_search_locations
    package = types.ModuleType(name)
    package.__path__ = [str(Path(root, *name.split(".")[1:]))]
    sys.modules[name] = package
    return package


def beam_batch(workload):
    """The set decoded."""
    computer_of, model_of = _search()
    torch.set_num_threads(1)
    names = Path(workload["tokens"]).read_text().split()
    letters = names[1:]
    emissions = Emissions.load(workload["set"])
    ones = [torch.from_numpy(emissions.log_probs(n)) for n in range(workload["last"])]
    padded = torch.nn.utils.rnn.pad_sequence(ones, batch_first=True)
    padded = padded.roll(-1, dims=2)  # it wants the blank last
    lengths = torch.tensor([len(one) for one in ones])
    models = None
    if workload.get("lm"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "tokens.arpa")
            path.write_text(_renamed(workload["lm"], letters))
            models = [model_of.from_arpa(path, vocab_size=len(letters))]
    search = computer_of(
        blank_index=len(letters),
        beam_size=workload["beam_size"],
        beam_threshold=float(workload.get("beam_threshold", 20)),
        fusion_models=models,
        fusion_models_alpha=[float(workload["alpha"])] if models else None,
        allow_cuda_graphs=False,
    )

    def run():
        with torch.inference_mode():
            found = search(padded, lengths).to_hyps_list(score_norm=False)
        texts = ("".join(letters[token] for token in one.y_sequence.tolist()) for one in found)
        return {"texts": [" ".join(text.replace("|", " ").split()) for text in texts]}

    return run


def _renamed(path, letters):
    """The model with NeMo's names of its tokens."""
    names = {letter: chr(_OFFSET + number) for number, letter in enumerate(letters)}
    lines = []
    with gzip.open(path, "rt") if str(path).endswith(".gz") else Path(path).open() as file:
        for line in file.read().splitlines():
            fields = line.split("\t")
            if len(fields) > 1:
                fields[1] = " ".join(names.get(token, token) for token in fields[1].split())
            lines.append("\t".join(fields))
    return "\n".join(lines) + "\n"
