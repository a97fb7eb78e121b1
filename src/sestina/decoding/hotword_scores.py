"""What hotwords bring to the score of a hypothesis.

In the search they ride on the language model, and what both say comes back as one number; here it
is taken apart again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sestina.decoding import _native
from sestina.decoding.lexicon import Lexicon
from sestina.decoding.options import DecoderOptions
from sestina.decoding.tokens import Tokens

__all__ = ["HotwordScores"]


@dataclass(frozen=True, slots=True, eq=False)
class HotwordScores:
    """The scores of one decoder's hotwords."""

    automaton: _native.PhraseAutomaton
    weight: float
    """What the search multiplies the automaton's scores with, as it does the language model's."""
    has_lm: bool
    """Whether there is a language model that it rides on."""
    lexicon: Lexicon | None
    tokens: Tokens
    options: DecoderOptions

    def parted(self, language: float, path: NDArray[np.int32]) -> tuple[float, float]:
        """The language model's own log10 score, and what hotwords add to the hypothesis's score.

        What part of a word that is not complete is expected to become counts as the former.

        Args:
            language: the sum of both, not weighted.
            path: (stretch, 3) of the hypothesis, see `Hypothesis`.
        """
        if not self.has_lm:
            return 0.0, self.weight * language
        own = self.automaton.score(self._said(path))
        return language - own, self.weight * own

    def _said(self, path: NDArray[np.int32]) -> list[str]:
        """What the automaton was asked about, in order."""
        if self.lexicon is not None and self.options.lm_level == "word":
            words = path[:, 2]
            return [
                self.lexicon.word(word) if word < len(self.lexicon) else ""  # no hotword
                for word in words[words >= 0].tolist()
            ]
        said = []
        is_between = self.lexicon is not None  # words, where silence counts for nothing
        blank = self.options.blank if self.options.criterion == "ctc" else None
        for token, start, word in path.tolist():
            name = self.tokens[token] if token >= 0 else blank
            if name == blank or start < 0:  # the search begins with a token that nobody said
                continue
            if not (is_between and name == self.options.silence):
                said.append(self.tokens[token])
                is_between = False
            is_between = is_between or (self.lexicon is not None and word >= 0)
        return said
