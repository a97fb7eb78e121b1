"""What a search has found."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Hypothesis", "Timed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A token or word, and the frames in which it was said."""

    text: str
    start: int
    """Its first frame."""
    end: int
    """The frame after its last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """One reading of an utterance."""

    words: tuple[Timed, ...]
    """In the order in which they were said; without the silence around them."""
    tokens: tuple[Timed, ...]
    """Of its best path, blanks left out."""
    score: float
    """What it was ranked by."""
    acoustic_score: float
    """The sum of the emissions along its best path."""
    language_score: float
    """The sum of the language model's log10 scores, not weighted."""

    @property
    def text(self) -> str:
        """The words, parted by spaces."""
        return " ".join(word.text for word in self.words)
