"""What a search has found."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sestina.decoding.tokens import Spelling, Tokens

__all__ = ["Begun", "Hypothesis", "Naming", "Parts", "TimedText"]


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Begun:
    """The first words of a reading, where an earlier one of the same stream has them already."""

    words: list[tuple[TimedText, int]] = field(default_factory=list)
    """Each with the stretch of the path that ends it."""
    path_length: int = 0
    """How much of the path they are made of."""


Parts: TypeAlias = "Callable[[Hypothesis], tuple[float, float]]"
"""Takes apart what a search knows as one number: the language model's own log10 score, and what
hotwords add to the score of the hypothesis."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Hypothesis:
    """One reading of an utterance. Words, tokens and times are made when they are first asked for.

    Two are equal if they score the same and say the same at the same times.
    """

    score: float
    """What it was ranked by."""
    acoustic_score: float
    """The sum of the emissions along its best path."""
    carried_score: float
    """What the language model and all that rides on it gave to the search, not weighted."""
    path: NDArray[np.int32]
    """(stretch, 3): token, first frame (-1: before all), and the word that ends there or -1."""
    num_frames: int
    naming: Naming
    confidences: tuple[float, ...] | None = None
    """That of each word, if it was asked for."""
    parts: Parts | None = None
    """What parts the carried score; None if it is the language model's alone."""
    begun: Begun = field(default_factory=Begun)
    """The words with which it is known to begin."""

    @property
    def language_score(self) -> float:
        """The sum of the language model's log10 scores, not weighted."""
        return self._parted[0]

    @property
    def hotword_score(self) -> float:
        """What its hotwords add to the score."""
        return self._parted[1]

    @cached_property
    def _parted(self) -> tuple[float, float]:
        return (self.carried_score, 0.0) if self.parts is None else self.parts(self)

    @cached_property
    def text(self) -> str:
        """The words, parted by spaces."""
        is_spelled = self.naming.spelling != "none" or self.naming.unknown >= 0
        if is_spelled or self.begun.words:
            return " ".join(word.text for word in self.words)
        ended = self.path[:, 2]
        return " ".join(map(self.naming.word, ended[ended >= 0].tolist()))

    @cached_property
    def tokens(self) -> tuple[TimedText, ...]:
        """The tokens of its best path, blanks left out."""
        return tuple(stretch for _, stretch, _ in self._stretches(0))

    @cached_property
    def words(self) -> tuple[TimedText, ...]:
        """The words in the order in which they were said; without the silence around them.

        Without a lexicon they are what the silence parts, or pieces begin: `▁` begins a word (as
        SentencePiece has it), `##` goes on with one (as WordPiece does).
        """
        return tuple(word for word, _ in self.ended_words)

    @cached_property
    def ended_words(self) -> list[tuple[TimedText, int]]:
        """Each word, and the stretch of the path that ends it."""
        if self.naming.spelling != "none":
            return self._spelled_words(self.naming.spelling)
        words = self.begun.words.copy()
        spoken: list[TimedText] = []  # of the word at hand
        for place, stretch, word in self._stretches(self.begun.path_length):
            if stretch.text != self.naming.silence:
                spoken.append(stretch)
            if word >= 0:
                text = self.naming.word(word)
                if word == self.naming.unknown:
                    text = "".join(token.text for token in spoken)
                words.append((self._said(text, spoken or [stretch], len(words)), place))
                spoken = []
        return words

    def first_words(self, length: int) -> Begun:
        """The words that are the same in each reading whose path begins with this much of it."""
        count = self.words_within(length)
        if count == 0:
            return Begun()
        end = self.ended_words[count - 1][1]
        resumed = end if self.naming.spelling != "none" else end + 1
        return Begun(words=self.ended_words[:count], path_length=resumed)

    def words_within(self, length: int) -> int:
        """How many of its words, with their times, this much of its path tells."""
        # A word's last frame is known once what comes after it is.
        return bisect.bisect_left(self.ended_words, length - 1, key=_end)

    def _spelled_words(self, spelling: Spelling) -> list[tuple[TimedText, int]]:
        words = self.begun.words.copy()
        spoken: list[TimedText] = []
        stretches = [
            *self._stretches(self.begun.path_length),
            (len(self.path), _END, -1),
        ]
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

    def _stretches(self, begin: int) -> list[tuple[int, TimedText, int]]:
        """Each token with its place in the path, its frames, and the word that it ends, or -1."""
        ends = [*self.path[begin + 1 :, 1].tolist(), self.num_frames]
        found = []
        rows = zip(self.path[begin:].tolist(), ends, strict=True)
        for place, ((token, start, word), end) in enumerate(rows, begin):
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
        scores = (self.score, self.acoustic_score, self.carried_score, self._parted)
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


def _end(word: tuple[TimedText, int]) -> int:
    return word[1]


def _restored(
    scores: tuple[float, float, float, tuple[float, float]],
    path: NDArray[np.int32],
    num_frames: int,
    names: tuple[dict[int, str], dict[int, str], str, str, Spelling, int],
    confidences: tuple[float, ...] | None,
) -> Hypothesis:
    tokens, words, blank, silence, spelling, unknown = names
    return Hypothesis(
        score=scores[0],
        acoustic_score=scores[1],
        carried_score=scores[2],
        parts=lambda _: scores[3],
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
