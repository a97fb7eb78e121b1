"""What hotwords bring to the score of a hypothesis.

In the search they ride on the language model, and what both say comes back as one number; here it
is taken apart again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sestina.decoding import _native

__all__ = ["HotwordScores"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HotwordScores:
    """The scores of one decoder's hotwords."""

    automaton: _native.PhraseAutomaton
    weight: float
    """What the search multiplies the automaton's scores with, as it does the language model's."""
    has_lm: bool
    """Whether there is a language model that it rides on."""
    name: Callable[[int], str]
    """What the automaton calls a word, or a token, of that number."""
    by_word: bool
    """Whether it counts words; else it counts tokens."""
    blank: int
    """The number of the blank, -1 if there is none."""
    silence: int
    """In a lexicon that of the token between words, which then counts for nothing; else -1."""

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
        if self.by_word:
            words = path[:, 2]
            return [self.name(word) for word in words[words >= 0].tolist()]
        said = []
        is_between = True  # words
        for token, start, word in path.tolist():
            if token == self.blank or start < 0:  # the search begins with a token that nobody said
                continue
            if not (token == self.silence and is_between):
                said.append(self.name(token))
                is_between = False
            is_between = is_between or word >= 0
        return said
