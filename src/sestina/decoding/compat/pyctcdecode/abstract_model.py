"""Language models with pyctcdecode's methods, and how the compiled search asks them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sestina.decoding.compat.pyctcdecode.constants import LOG_BASE_CHANGE_FACTOR
from sestina.decoding.custom_models import BatchedLanguageModel

__all__ = ["UNKNOWN", "AbstractLanguageModel", "Asked"]

UNKNOWN: Final = "<unk>"
"""What stands for words that no unigram is."""


class AbstractLanguageModel(ABC):
    """A model of words: derive from it, or use `LanguageModel`."""

    @property
    @abstractmethod
    def order(self) -> int:
        """One more than the words before that count; the search here does not ask."""

    @abstractmethod
    def get_start_state(self) -> Any:
        """The state before the first word."""

    @abstractmethod
    def score_partial_token(self, partial_token: str) -> float:
        """What an unfinished word costs while it lasts; the search here does not ask."""

    @abstractmethod
    def score(self, prev_state: Any, word: str, is_last_word: bool = False) -> tuple[float, Any]:
        """What a word is worth after a state, with all weights, and the state after it.

        Args:
            prev_state: what `get_start_state` or this method returned.
            word: the next one.
            is_last_word: whether the end of the sentence counts, too.
        """

    @property
    def unigrams(self) -> Collection[str]:
        """The words that the model tells apart: all others reach it as `<unk>`.

        pyctcdecode has no such attribute. Without any, every word reaches the model as it is; with
        them the search foresees words, and finds more with the same beam.
        """
        return ()

    def save_to_dir(self, filepath: str | Path) -> None:
        """Writes the model into a directory; not unless a class of your own does.

        Raises:
            NotImplementedError: here.
        """
        raise NotImplementedError(f"{type(self).__name__} has no save_to_dir of its own")

    @classmethod
    def load_from_dir(cls, filepath: str | Path) -> AbstractLanguageModel:
        """What `save_to_dir` wrote; not unless a class of your own does.

        Raises:
            NotImplementedError: here.
        """
        raise NotImplementedError(f"{cls.__name__} has no load_from_dir of its own")

    def reset_params(self, **params: Any) -> None:  # noqa: B027  for those that have some
        """Changes weights, in a class of your own that has some."""


class _Said:
    """A state by the words that led to it: pyctcdecode's own need not be comparable."""

    __slots__ = ("before", "state", "words")

    def __init__(self, words: tuple[str, ...], before: Any, state: Any) -> None:
        self.words = words
        self.before = before  # the state before the last word
        self.state = state

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Said) and self.words == other.words

    def __hash__(self) -> int:
        return hash(self.words)


class Asked(BatchedLanguageModel):
    """Any model with these methods, for the compiled search.

    Args:
        lm: the model.
        state: the one to begin with.
        worth: what hotwords are worth besides, as natural logarithms; given where no lexicon tells
            words apart, so that all of them come by their texts.
    """

    highest_score = math.inf

    def __init__(
        self, lm: AbstractLanguageModel, state: Any, worth: Mapping[str, float] | None = None
    ) -> None:
        self._lm = lm
        self._state = state
        self._by_text = worth is not None
        self._worth = worth or {}

    def start(self) -> Hashable:
        """Where the state that it was made with leads."""
        return _Said((), None, self._state)

    def score_batch(
        self, states: list[Any], words: list[str]
    ) -> tuple[Sequence[float], Sequence[Hashable]]:
        """Word by word, in log10: the search multiplies with the factor that was taken out."""
        scores, after = [], []
        for said, word in zip(states, words, strict=True):
            if self._by_text and word == UNKNOWN:  # foreseen of a word that is not complete
                scores.append(0.0)
                after.append(said)
                continue
            score, state = self._lm.score(said.state, word)
            scores.append((score + self._worth.get(word, 0.0)) / LOG_BASE_CHANGE_FACTOR)
            after.append(_Said((*said.words, word), said.state, state))
        return scores, after

    def finish_batch(self, states: list[Any]) -> list[float]:
        """What the last word is worth more for being the last one."""
        found = []
        for said in states:
            if not said.words:
                found.append(0.0)
                continue
            last = self._lm.score(said.before, said.words[-1], is_last_word=True)[0]
            within = self._lm.score(said.before, said.words[-1])[0]
            found.append((last - within) / LOG_BASE_CHANGE_FACTOR)
        return found
