"""What a search has found, as pyctcdecode tells it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sestina.decoding.compat.pyctcdecode.alphabet import PIECE
from sestina.decoding.results import Hypothesis

__all__ = ["OutputBeam", "OutputBeamMPSafe", "merged", "words_of_pieces"]


class OutputBeamMPSafe(NamedTuple):
    """One reading of an utterance, of a batch."""

    text: str
    text_frames: list[tuple[str, tuple[int, int]]]
    logit_score: float
    lm_score: float


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

    def without_state(self) -> OutputBeamMPSafe:
        """As batches give it."""
        return OutputBeamMPSafe(self.text, self.text_frames, self.logit_score, self.lm_score)


def merged(beams: Sequence[OutputBeam]) -> list[OutputBeam]:
    """Those of one text as one, whose probability is their sum; best first, as they come.

    A search without a lexicon tells a last word from the same one with a space after it.
    """
    found: dict[str, OutputBeam] = {}
    for beam in beams:
        first = found.setdefault(beam.text, beam)
        if first is not beam:
            score = float(np.logaddexp(first.lm_score, beam.lm_score))
            logit_score = first.logit_score + score - first.lm_score
            found[beam.text] = first._replace(logit_score=logit_score, lm_score=score)
    return sorted(found.values(), key=lambda beam: -beam.lm_score)


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
