"""What a search has found, as pyctcdecode tells it."""

from __future__ import annotations

from typing import Any, NamedTuple

from sestina.decoding.compat.pyctcdecode.alphabet import PIECE
from sestina.decoding.results import Hypothesis

__all__ = ["OutputBeam", "OutputBeamMPSafe", "words_of_pieces"]


class OutputBeam(NamedTuple):
    """One reading of an utterance."""

    text: str
    last_lm_state: Any
    """A `State`, or what a model of one's own returned."""
    text_frames: list[tuple[str, tuple[int, int]]]
    """Each word with its first frame and the one after its last."""
    logit_score: float
    lm_score: float
    """What it was ranked by: the sum of logit_score and what the words are worth."""


class OutputBeamMPSafe(NamedTuple):
    """One reading of an utterance, of a batch."""

    text: str
    text_frames: list[tuple[str, tuple[int, int]]]
    logit_score: float
    lm_score: float


def words_of_pieces(hypothesis: Hypothesis) -> list[tuple[str, tuple[int, int]]]:
    """A piece with `▁` in front begins a word; one with `▁` behind ends it."""
    words: list[tuple[str, tuple[int, int]]] = []
    ended = True
    for token in hypothesis.tokens:
        text = token.text.strip(PIECE)
        if ended or token.text.startswith(PIECE):
            words.append((text, (token.start, token.end)))
        else:
            said, (start, _) = words.pop()
            words.append((said + text, (start, token.end)))
        ended = len(token.text) > 1 and token.text.endswith(PIECE)
    return [(word, frames) for word, frames in words if word]
