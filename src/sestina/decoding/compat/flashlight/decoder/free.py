"""Flashlight Text's `LexiconFreeDecoder`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sestina.decoding import _native
from sestina.decoding.compat.flashlight.decoder.language_models import LM
from sestina.decoding.compat.flashlight.decoder.models import model_of
from sestina.decoding.compat.flashlight.decoder.options import (
    CriterionType,
    LexiconFreeDecoderOptions,
)
from sestina.decoding.compat.flashlight.decoder.searching import FrameDecoder, checked_criterion

__all__ = ["LexiconFreeDecoder"]


class LexiconFreeDecoder(FrameDecoder):
    """Beam search for tokens; results are Flashlight Text's.

    Args:
        options: of the search.
        lm: scores tokens.
        sil_token_idx: the token between words.
        blank_token_idx: CTC's blank; not read for ASG.
        transitions: for ASG, N × N scores: to token n from token m at [n · N + m].
    """

    def __init__(
        self,
        options: LexiconFreeDecoderOptions,
        lm: LM,
        sil_token_idx: int,
        blank_token_idx: int,
        transitions: Sequence[float],
    ) -> None:
        super().__init__(max(sil_token_idx, blank_token_idx) + 1)
        self._options = replace(options)
        self._lm = lm
        self._silence, self._blank = sil_token_idx, blank_token_idx
        self._transitions = list(transitions)

    def _made(self, num_columns: int) -> _native.Decoder:
        given, made = self._options, _native.SearchOptions()
        transitions = checked_criterion(given.criterion_type, self._transitions, num_columns)
        for name in ("beam_size", "beam_threshold", "lm_weight", "sil_score", "log_add"):
            setattr(made, name, getattr(given, name))
        made.beam_size_token = min(given.beam_size_token, num_columns)
        made.flashlight = True
        made.asg = given.criterion_type is CriterionType.ASG
        made.silence = self._silence
        made.blank = 0 if made.asg else self._blank
        model, ids, made.merge = model_of(self._lm, num_columns)
        return _native.trie_decoder(None, model, ids, num_columns, made, transitions)

    def get_options(self) -> LexiconFreeDecoderOptions:
        """The options of the search."""
        return replace(self._options)

    def get_sil_idx(self) -> int:
        """The token between words."""
        return self._silence

    def get_blank_idx(self) -> int:
        """CTC's blank."""
        return self._blank

    def get_transitions(self) -> list[float]:
        """ASG's scores of pairs."""
        return list(self._transitions)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles what it was made of."""
        return type(self), (
            self._options,
            self._lm,
            self._silence,
            self._blank,
            self._transitions,
        )
