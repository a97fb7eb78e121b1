"""flashlight-text 0.0.7 with its KenLM, called as TorchAudio's `ctc_decoder` calls it.

Each function takes the workload, builds a decoder and returns a `run` that decodes the set and
returns {"texts": [...]}. Keys of the workload:

    set                     path of an `Emissions` file, float16 or float32
    first, last             the slice of its utterances; default all
    tokens, lexicon, lm     paths; the lexicon may be gzipped; without `lm` the model is ZeroLM
    beam_size               default 50; beam_size_token: default all tokens; beam_threshold: 50
    lm_weight, word_score   default 2 and 0; unk_score: -inf ("-inf" in JSON); sil_score: 0
    log_add                 default false; smearing: "none", "max" (default), "logadd"
    blank, sil, unk         default "-", "|", "<unk>"

`lexicon_free` has a token-level `lm` or none, and prints tokens: the separator becomes a space.
"""

import gzip
import itertools
import shutil
import tempfile
from pathlib import Path

import numpy as np
from flashlight.lib.text.decoder import (
    CriterionType,
    LexiconDecoder,
    LexiconDecoderOptions,
    LexiconFreeDecoder,
    LexiconFreeDecoderOptions,
    SmearingMode,
    Trie,
    ZeroLM,
)
from flashlight.lib.text.decoder.kenlm import KenLM
from flashlight.lib.text.dictionary import Dictionary, create_word_dict, load_words

from benchmarks.decoding.emissions import Emissions

__all__ = ["Decoder", "lexicon", "lexicon_free", "load", "utterances"]


class Decoder:
    """A decoder of a lexicon and all that it must outlive: Flashlight keeps pointers only."""

    def __init__(self, workload):
        """Loads tokens, lexicon and model."""
        self.tokens = Dictionary(str(workload["tokens"]))
        words = _load_words(workload["lexicon"])
        self.words = create_word_dict(words)
        self.lm = KenLM(str(workload["lm"]), self.words) if workload.get("lm") else ZeroLM()
        self.blank = self.tokens.get_index(workload.get("blank", "-"))
        self.sil = self.tokens.get_index(workload.get("sil", "|"))
        self.unk = self.words.get_index(workload.get("unk", "<unk>"))
        self.trie = Trie(self.tokens.index_size(), self.sil)
        start = self.lm.start(False)  # noqa: FBT003 - Flashlight's signature
        for word, spellings in words.items():
            index = self.words.get_index(word)
            _, score = self.lm.score(start, index)
            for spelling in spellings:
                self.trie.insert([self.tokens.get_index(token) for token in spelling], index, score)
        smearing = workload.get("smearing", "max").upper()
        if smearing != "NONE":
            self.trie.smear(getattr(SmearingMode, smearing))
        self.configure(workload)

    def configure(self, workload):
        """Takes other options over the same lexicon and model: a sweep loads them once."""
        self.decoder = LexiconDecoder(
            LexiconDecoderOptions(
                workload.get("beam_size", 50),
                workload.get("beam_size_token") or self.tokens.index_size(),
                float(workload.get("beam_threshold", 50)),
                float(workload.get("lm_weight", 2)),
                float(workload.get("word_score", 0)),
                float(workload.get("unk_score", "-inf")),
                float(workload.get("sil_score", 0)),
                workload.get("log_add", False),
                CriterionType.CTC,
            ),
            self.trie,
            self.lm,
            self.sil,
            self.blank,
            self.unk,
            [],
            False,  # noqa: FBT003 - as above: the model is of words, not of tokens
        )

    def hypotheses(self, log_probs_tn):
        """All hypotheses of one utterance, best first (Flashlight's results as they are)."""
        return self.decoder.decode(log_probs_tn.ctypes.data, *log_probs_tn.shape)

    def text(self, log_probs_tn):
        """The words of the best hypothesis of one utterance."""
        results = self.hypotheses(log_probs_tn)
        return " ".join(self.words_of(results[0])) if results else ""

    def words_of(self, result):
        """The words of one result."""
        return [self.words.get_entry(word) for word in result.words if word >= 0]

    def tokens_of(self, result):
        """Token indices and their times as TorchAudio gives them: of the raw path, 1 too late."""
        path = [
            (frame, token)
            for frame, token in enumerate(result.tokens)
            if frame == 0 or result.tokens[frame - 1] != token
        ]
        path = [(frame, token) for frame, token in path if token != self.blank]
        return [token for _, token in path], [frame for frame, _ in path]


def lexicon(workload):
    """The set decoded with a lexicon."""
    decoder = Decoder(workload)
    inputs = utterances(workload)

    def run():
        return {"texts": [decoder.text(log_probs_tn) for log_probs_tn in inputs]}

    return run


def lexicon_free(workload):
    """The set decoded without a lexicon."""
    tokens = Dictionary(str(workload["tokens"]))
    lm = KenLM(str(workload["lm"]), tokens) if workload.get("lm") else ZeroLM()
    blank = tokens.get_index(workload.get("blank", "-"))
    sil = tokens.get_index(workload.get("sil", "|"))
    names = [tokens.get_entry(index) for index in range(tokens.index_size())]
    names[sil] = " "
    names[blank] = ""
    decoder = LexiconFreeDecoder(
        LexiconFreeDecoderOptions(
            workload.get("beam_size", 50),
            workload.get("beam_size_token") or len(names),
            float(workload.get("beam_threshold", 50)),
            float(workload.get("lm_weight", 2)),
            float(workload.get("sil_score", 0)),
            workload.get("log_add", False),
            CriterionType.CTC,
        ),
        lm,
        sil,
        blank,
        [],
    )
    inputs = utterances(workload)

    def run():
        texts = []
        for log_probs_tn in inputs:
            results = decoder.decode(log_probs_tn.ctypes.data, *log_probs_tn.shape)
            path = results[0].tokens if results else []
            collapsed = "".join(names[token] for token, _ in itertools.groupby(path))
            texts.append(" ".join(collapsed.split()))
        return {"texts": texts}

    return run


def load(workload):
    """Lexicon, trie and model loaded, and nothing decoded."""
    return lambda: {"words": Decoder(workload).words.index_size()}


def _load_words(path):
    # Flashlight reads plain files only.
    path = Path(path)
    if path.suffix != ".gz":
        return load_words(str(path))
    with tempfile.TemporaryDirectory() as folder, gzip.open(path) as packed:
        plain = Path(folder, path.stem)
        with plain.open("wb") as file:
            shutil.copyfileobj(packed, file)
        return load_words(str(plain))


def utterances(workload):
    """Log-probabilities of the set's utterances, float32."""
    emissions = Emissions.load(workload["set"])
    part = range(len(emissions))[workload.get("first") : workload.get("last")]
    return [np.ascontiguousarray(emissions.log_probs(n), np.float32) for n in part]
