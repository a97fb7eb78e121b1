"""Flashlight Text's `LexiconDecoder`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sestina.decoding import _native
from sestina.decoding.compat.flashlight.decoder.language_models import LM
from sestina.decoding.compat.flashlight.decoder.models import model_of
from sestina.decoding.compat.flashlight.decoder.options import (
    CriterionType,
    LexiconDecoderOptions,
)
from sestina.decoding.compat.flashlight.decoder.results import RawResult
from sestina.decoding.compat.flashlight.decoder.searching import FrameDecoder, checked_criterion
from sestina.decoding.compat.flashlight.decoder.trie import Trie

__all__ = ["LexiconDecoder"]

_FURTHEST_BACK: Final = 100  # frames that it looks for the end of a word


class LexiconDecoder(FrameDecoder):
    """Beam search for the words of a trie; results are Flashlight Text's.

    Args:
        options: of the search.
        trie: the words' spellings, as they are when the first emissions come.
        lm: scores words, by the trie's labels; or tokens, with `is_token_lm`.
        sil_token_idx: the token between words.
        blank_token_idx: CTC's blank; not read for ASG.
        unk_token_idx: the label of what is no word of the trie.
        transitions: for ASG, N × N scores: to token n from token m at [n · N + m].
        is_token_lm: whether the language model scores tokens.

    Example:
        >>> from math import inf
        >>> import numpy as np
        >>> from sestina.decoding.compat.flashlight.decoder import *
        >>> trie = Trie(4, 1)  # tokens: blank, silence, a, b
        >>> _ = trie.insert([2, 3, 1], 0, 0.0)
        >>> ctc = CriterionType.CTC
        >>> options = LexiconDecoderOptions(50, 4, 50.0, 2.0, 0.0, -inf, 0.0, False, ctc)
        >>> decoder = LexiconDecoder(options, trie, ZeroLM(), 1, 0, -1, [], False)
        >>> frames = [[.1, .1, .7, .1], [.1, .1, .1, .7], [.1, .7, .1, .1]]
        >>> scores = np.log(frames, dtype=np.float32)
        >>> best = decoder.decode(scores.ctypes.data, *scores.shape)[0]
        >>> best.tokens, best.words
        ([1, 2, 3, 1, 1], [-1, -1, -1, 0, -1])
    """

    _least_left = 1

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
        super().__init__(trie.native.num_tokens)
        self._options = replace(options)
        self._trie = trie
        self._lm = lm
        self._silence, self._blank, self._unknown = sil_token_idx, blank_token_idx, unk_token_idx
        self._transitions = list(transitions)
        self._is_token_lm = is_token_lm

    def _made(self, num_columns: int) -> _native.Decoder:
        given, made = self._options, _native.SearchOptions()
        transitions = checked_criterion(given.criterion_type, self._transitions, num_columns)
        for name in ("beam_size", "beam_threshold", "lm_weight", "word_score", "unk_score"):
            setattr(made, name, getattr(given, name))
        made.sil_score, made.log_add = given.sil_score, given.log_add
        made.beam_size_token = min(given.beam_size_token, num_columns)
        made.flashlight = True
        made.asg = given.criterion_type is CriterionType.ASG
        made.token_lm = self._is_token_lm
        made.silence, made.unk_word = self._silence, self._unknown
        made.blank = 0 if made.asg else self._blank
        num_words = max(self._trie.native.largest_word, self._unknown) + 1
        model, ids, made.merge = model_of(self._lm, num_columns if self._is_token_lm else num_words)
        return _native.trie_decoder(self._trie.native, model, ids, num_columns, made, transitions)

    def _frames_shown(self, best: RawResult | None, look_back: int) -> int | None:
        """Back to where the frame before ended a word, but not beyond the limit."""
        shown = super()._frames_shown(best, look_back)
        if best is None or shown is None:
            return None
        words = best[3][1, self._pruned :]
        lowest = max(shown - _FURTHEST_BACK, 0)
        while shown > lowest and words[shown - 1] < 0:
            shown -= 1
        return shown
