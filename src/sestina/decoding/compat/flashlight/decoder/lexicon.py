"""Flashlight Text's `LexiconDecoder`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sestina.decoding import _native
from sestina.decoding.compat.flashlight.decoder.language_models import LM
from sestina.decoding.compat.flashlight.decoder.options import LexiconDecoderOptions
from sestina.decoding.compat.flashlight.decoder.searching import FrameDecoder, model_of
from sestina.decoding.compat.flashlight.decoder.trie import Trie

__all__ = ["LexiconDecoder"]


class LexiconDecoder(FrameDecoder):
    """Beam search for the words of a trie; results are Flashlight Text's.

    Args:
        options: of the search.
        trie: the words' spellings. Kept as it is now for the first emissions' sake.
        lm: scores words, by the trie's labels; or tokens, with `is_token_lm`.
        sil_token_idx: the token between words.
        blank_token_idx: CTC's blank.
        unk_token_idx: the label of what is no word of the trie.
        transitions: for ASG, N × N scores: to token n from token m at [n · N + m].
        is_token_lm: whether the language model scores tokens.
    """

    def __init__(
        self,
        options: LexiconDecoderOptions,
        trie: Trie,
        lm: LM,
        sil_token_idx: int,
        blank_token_idx: int,
        unk_token_idx: int,
        transitions: Sequence[float],
        is_token_lm: bool,
    ) -> None:
        super().__init__()
        self._options = replace(options)
        self._trie = trie
        self._lm = lm
        self._silence, self._blank, self._unknown = sil_token_idx, blank_token_idx, unk_token_idx
        self._transitions = list(transitions)
        self._is_token_lm = is_token_lm

    @property
    def _num_tokens(self) -> int:
        return self._trie.native.num_tokens

    def _made(self, num_columns: int) -> _native.Decoder:
        given, made = self._options, _native.SearchOptions()
        if self._is_token_lm or given.criterion_type.name != "CTC":
            raise NotImplementedError
        for name in ("beam_size", "beam_threshold", "lm_weight", "word_score", "unk_score"):
            setattr(made, name, getattr(given, name))
        made.sil_score, made.log_add = given.sil_score, given.log_add
        made.beam_size_token = min(given.beam_size_token, num_columns)
        made.flashlight = True
        made.silence, made.blank, made.unk_word = self._silence, self._blank, self._unknown
        num_words = max(self._trie.native.largest_word, self._unknown) + 1
        model, ids, made.merge = model_of(self._lm, num_words)
        return _native.trie_decoder(self._trie.native, model, ids, num_columns, made)
