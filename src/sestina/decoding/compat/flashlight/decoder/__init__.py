"""The names of `flashlight.lib.text.decoder`."""

from sestina.decoding.compat.flashlight.decoder.free import LexiconFreeDecoder
from sestina.decoding.compat.flashlight.decoder.kenlm import KenLM
from sestina.decoding.compat.flashlight.decoder.language_models import LM, LMState, ZeroLM
from sestina.decoding.compat.flashlight.decoder.lexicon import LexiconDecoder
from sestina.decoding.compat.flashlight.decoder.options import (
    CriterionType,
    LexiconDecoderOptions,
    LexiconFreeDecoderOptions,
    LexiconFreeSeq2SeqDecoderOptions,
    LexiconSeq2SeqDecoderOptions,
    SmearingMode,
)
from sestina.decoding.compat.flashlight.decoder.results import DecodeResult
from sestina.decoding.compat.flashlight.decoder.seq2seq import (
    EmittingModelState,
    LexiconFreeSeq2SeqDecoder,
    LexiconSeq2SeqDecoder,
    create_emitting_model_state,
    get_obj_from_emitting_model_state,
)
from sestina.decoding.compat.flashlight.decoder.trie import Trie, TrieNode

__all__ = [
    "LM",
    "CriterionType",
    "DecodeResult",
    "EmittingModelState",
    "KenLM",
    "LMState",
    "LexiconDecoder",
    "LexiconDecoderOptions",
    "LexiconFreeDecoder",
    "LexiconFreeDecoderOptions",
    "LexiconFreeSeq2SeqDecoder",
    "LexiconFreeSeq2SeqDecoderOptions",
    "LexiconSeq2SeqDecoder",
    "LexiconSeq2SeqDecoderOptions",
    "SmearingMode",
    "Trie",
    "TrieNode",
    "ZeroLM",
    "create_emitting_model_state",
    "get_obj_from_emitting_model_state",
]
