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
from sestina.decoding.compat.flashlight.decoder.trie import Trie, TrieNode

__all__ = [
    "LM",
    "CriterionType",
    "DecodeResult",
    "KenLM",
    "LMState",
    "LexiconDecoder",
    "LexiconDecoderOptions",
    "LexiconFreeDecoder",
    "LexiconFreeDecoderOptions",
    "LexiconFreeSeq2SeqDecoderOptions",
    "LexiconSeq2SeqDecoderOptions",
    "SmearingMode",
    "Trie",
    "TrieNode",
    "ZeroLM",
]
