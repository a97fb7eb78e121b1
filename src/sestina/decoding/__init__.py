"""Turn token scores over time into text: beam search with a lexicon and a language model.

>>> import numpy as np
>>> from sestina.decoding import Decoder, Lexicon, Tokens
>>> tokens = Tokens(["-", "|", "a", "b"])  # blank, silence, letters: the columns of the emissions
>>> lexicon = Lexicon.from_spellings({"ab": "a b |", "ba": "b a |"}, tokens)
>>> emissions_tn = np.log([[.1, .1, .7, .1], [.1, .1, .1, .7], [.1, .7, .1, .1]])
>>> Decoder(lexicon).decode(emissions_tn)[0].text
'ab'

No torch is loaded; tensors of torch are taken as they are.
"""

from sestina.decoding.best_path import greedy
from sestina.decoding.custom_models import BatchedLanguageModel, StepwiseLanguageModel
from sestina.decoding.decoder import Decoder
from sestina.decoding.error_rates import (
    Alignment,
    Comparison,
    ErrorRate,
    align,
    compare,
    error_rate,
)
from sestina.decoding.language_models import (
    LanguageModel,
    NgramModel,
    combine,
    compile_lm,
    read_arpa,
    read_lm,
)
from sestina.decoding.lattice import Consensus, Lattice
from sestina.decoding.lexicon import Lexicon
from sestina.decoding.options import DecoderOptions
from sestina.decoding.phrases import Grammar
from sestina.decoding.results import Hypothesis, TimedText
from sestina.decoding.seq2seq import Seq2SeqDecoder, Seq2SeqHypothesis, Seq2SeqOptions
from sestina.decoding.stream import Stream
from sestina.decoding.tokens import Tokens
from sestina.decoding.tuning import Trial, Tuning, TuningOptions, tune

__all__ = [
    "Alignment",
    "BatchedLanguageModel",
    "Comparison",
    "Consensus",
    "Decoder",
    "DecoderOptions",
    "ErrorRate",
    "Grammar",
    "Hypothesis",
    "LanguageModel",
    "Lattice",
    "Lexicon",
    "NgramModel",
    "Seq2SeqDecoder",
    "Seq2SeqHypothesis",
    "Seq2SeqOptions",
    "StepwiseLanguageModel",
    "Stream",
    "TimedText",
    "Tokens",
    "Trial",
    "Tuning",
    "TuningOptions",
    "align",
    "combine",
    "compare",
    "compile_lm",
    "error_rate",
    "greedy",
    "read_arpa",
    "read_lm",
    "tune",
]
