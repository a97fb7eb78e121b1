"""What a search has found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sestina.decoding.tokens import Spelling, Tokens

__all__ = ["Hypothesis", "Naming", "TimedText"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedText:
    """A token or word, and the frames in which it was said."""

    text: str
    start: int
    """Its first frame."""
    end: int
    """The frame after its last."""
    confidence: float | None = None
    """How probable a word is to be right, from 0 to 1; None unless that was asked for."""


_END = TimedText(text="", start=0, end=0)  # of the input


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Naming:
    """What the numbers of a search stand for."""

    tokens: Tokens | Mapping[int, str]
    word: Callable[[int], str]
    blank: str
    silence: str
    spelling: Spelling = "none"
    """How tokens make words that have no text of their own."""
    unknown: int = -1
    """The number of words that the search has spelled out; -1 if it spells none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Hypothesis:
    """One reading of an utterance. Words, tokens and times are made when they are first asked for.

    Two are equal if they score the same and say the same at the same times.
    """

    score: float
    """What it was ranked by."""
    acoustic_score: float
    """The sum of the emissions along its best path."""
    language_score: float
    """The sum of the language model's log10 scores, not weighted."""
    hotword_score: float = 0.0
    """What its hotwords add to the score."""
    path: NDArray[np.int32]
    """(stretch, 3): token, first frame (-1: before all), and the word that ends there or -1."""
    num_frames: int
    naming: Naming
    confidences: tuple[float, ...] | None = None
    """That of each word, if it was asked for."""

    @cached_property
    def text(self) -> str:
        """The words, parted by spaces."""
        if self.naming.spelling != "none" or self.naming.unknown >= 0:
            return " ".join(word.text for word in self.words)
        ended = self.path[:, 2]
        return " ".join(map(self.naming.word, ended[ended >= 0].tolist()))

    @cached_property
    def tokens(self) -> tuple[TimedText, ...]:
        """The tokens of its best path, blanks left out."""
        return tuple(stretch for _, stretch, _ in self._stretches())

    @cached_property
    def words(self) -> tuple[TimedText, ...]:
        """The words in the order in which they were said; without the silence around them.

        Without a lexicon they are what the silence parts, or pieces begin: `▁` begins a word (as
        SentencePiece has it), `##` goes on with one (as WordPiece does).
        """
        return tuple(word for word, _ in self._words())

    def words_until(self, stretch: int) -> int:
        """How many of its words end before this stretch of the path."""
        return sum(1 for _, end in self._words() if end < stretch)

    def _words(self) -> list[tuple[TimedText, int]]:
        """Each word, and the stretch of the path that ends it."""
        if self.naming.spelling != "none":
            return self._spelled_words(self.naming.spelling)
        words: list[tuple[TimedText, int]] = []
        spoken: list[TimedText] = []  # of the word at hand
        for place, stretch, word in self._stretches():
            if stretch.text != self.naming.silence:
                spoken.append(stretch)
            if word >= 0:
                text = self.naming.word(word)
                if word == self.naming.unknown:
                    text = "".join(token.text for token in spoken)
                words.append((self._said(text, spoken or [stretch], len(words)), place))
                spoken = []
        return words

    def _spelled_words(self, spelling: Spelling) -> list[tuple[TimedText, int]]:
        words: list[tuple[TimedText, int]] = []
        spoken: list[TimedText] = []
        stretches = [*self._stretches(), (len(self.path), _END, -1)]
        for place, stretch, _ in stretches:
            parts = stretch is _END or stretch.text == self.naming.silence
            begins = (spelling == "sentencepiece" and stretch.text.startswith("▁")) or (
                spelling == "wordpiece" and not stretch.text.startswith("##")
            )
            if (parts or begins) and spoken:
                text = "".join(token.text.lstrip("▁").removeprefix("##") for token in spoken)
                if text:
                    word = self._said(text, spoken, len(words))
                    words.append((word, place))
                spoken = []
            if not parts:
                spoken.append(stretch)
        return words

    def _said(self, text: str, spoken: list[TimedText], number: int) -> TimedText:
        sure = self.confidences[number] if self.confidences is not None else None
        return TimedText(text=text, start=spoken[0].start, end=spoken[-1].end, confidence=sure)

    def _stretches(self) -> list[tuple[int, TimedText, int]]:
        """Each token with its place in the path, its frames, and the word that it ends, or -1."""
        ends = [*self.path[1:, 1].tolist(), self.num_frames]
        found = []
        rows = zip(self.path.tolist(), ends, strict=True)
        for place, ((token, start, word), end) in enumerate(rows):
            text = self.naming.tokens[token] if token >= 0 else self.naming.blank
            # Flashlight's searches start with a silence that may last.
            stretch = TimedText(text=text, start=max(start, 0), end=end)
            if text != self.naming.blank and stretch.end > stretch.start:
                found.append((place, stretch, word))
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles its numbers, and of the names those that occur."""
        tokens, _, words = (set(column[column >= 0].tolist()) for column in self.path.T)
        names = (
            {token: self.naming.tokens[token] for token in tokens},
            {word: self.naming.word(word) for word in words},
            self.naming.blank,
            self.naming.silence,
            self.naming.spelling,
            self.naming.unknown,
        )
        scores = (self.score, self.acoustic_score, self.language_score, self.hotword_score)
        return _restored, (scores, self.path, self.num_frames, names, self.confidences)

    def __eq__(self, other: object) -> bool:
        """Whether they score the same and say the same at the same times."""
        if not isinstance(other, Hypothesis):
            return NotImplemented
        return (self.score, self.words, self.tokens) == (other.score, other.words, other.tokens)

    def __hash__(self) -> int:
        """By what it says."""
        return hash((self.score, self.text))

    def __repr__(self) -> str:
        """What it says, and its score."""
        return f"Hypothesis({self.text!r}, score={self.score:.3f})"


def _restored(
    scores: tuple[float, float, float, float],
    path: NDArray[np.int32],
    num_frames: int,
    names: tuple[dict[int, str], dict[int, str], str, str, Spelling, int],
    confidences: tuple[float, ...] | None,
) -> Hypothesis:
    tokens, words, blank, silence, spelling, unknown = names
    return Hypothesis(
        score=scores[0],
        acoustic_score=scores[1],
        language_score=scores[2],
        hotword_score=scores[3],
        path=path,
        num_frames=num_frames,
        naming=Naming(
            tokens=tokens,
            word=words.__getitem__,
            blank=blank,
            silence=silence,
            spelling=spelling,
            unknown=unknown,
        ),
        confidences=confidences,
    )
