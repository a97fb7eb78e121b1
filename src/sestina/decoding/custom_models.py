"""Language models that are written in Python."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sestina.core.errors import InvalidValueError
from sestina.decoding import _native
from sestina.decoding.language_models import LanguageModel

__all__ = ["BatchedLanguageModel", "StepwiseLanguageModel", "StepwiseScorer"]


class BatchedLanguageModel(LanguageModel):
    """A model of your own: derive from it and write `start` and `score_batch`.

    It is asked once per frame for all words that can end there. While it works, what the other
    threads of `Decoder.decode_batch` ask is gathered for its next call, so that a model that is
    faster in batches gains from more threads than there are processors. One call is made at a time.

    A state stands for all that was said. It is any hashable object: hypotheses whose states are
    equal are one from then on (with `merge="context"`), so equal states must give equal scores.

    Example:
        >>> import numpy as np
        >>> from sestina.decoding import BatchedLanguageModel, Decoder, Lexicon, Tokens
        >>> class Alternating(BatchedLanguageModel):
        ...     def start(self):
        ...         return None
        ...     def score_batch(self, states, words):
        ...         scores = [-2.0 if word == state else 0.0 for state, word in zip(states, words)]
        ...         return scores, words
        >>> tokens = Tokens(["-", "|", "a", "b"])
        >>> lexicon = Lexicon.from_spellings({"a": "a |", "b": "b |"}, tokens)
        >>> silence = [.01, .97, .01, .01]
        >>> emissions_tn = np.log([[.01, .01, .6, .38], silence] * 2)
        >>> Decoder(lexicon, Alternating()).decode(emissions_tn)[0].text
        'b a'
    """

    highest_score: float = 0.0
    """No score is above it. The lower it is the sooner a search can drop words unasked."""

    def __init__(self) -> None:
        """Nothing is kept: a class of your own need not call this."""

    @abstractmethod
    def start(self) -> Hashable:
        """The state at the beginning of a sentence."""

    @abstractmethod
    def score_batch(
        self, states: list[Any], words: list[str]
    ) -> tuple[Sequence[float] | NDArray[np.floating[Any]], Sequence[Hashable]]:
        """Of each pair of a state and a word: the score of the word, and the state after it.

        Args:
            states: what `start` or this method returned.
            words: as many, or tokens in a search of tokens; `<unk>` for one that is not known.

        Returns:
            log10 of probabilities, at most `highest_score`, and as many states.
        """

    def finish_batch(self, states: list[Any]) -> Sequence[float] | NDArray[np.floating[Any]]:
        """Of each state log10 of the probability that the sentence ends; by default `</s>`'s."""
        return self.score_batch(states, ["</s>"] * len(states))[0]

    def __contains__(self, word: str) -> bool:
        """Whether the model knows the word; all of them by default."""
        return True

    @property
    def native(self) -> _native.LanguageModel:
        """As the compiled search takes it; another one each time."""
        return _native.PythonModel(
            _BatchedDriver(self),
            by_index=False,
            by_identity=False,
            highest_score=self.highest_score,
        )

    __reduce__ = object.__reduce__  # type: ignore[assignment]  # pickles if its attributes do


class StepwiseScorer(Protocol):
    """A model that is asked word by word, as TorchAudio's `CTCDecoderLM` is."""

    def start(self, start_with_nothing: bool, /) -> Any:  # noqa: FBT001  TorchAudio's signature
        """The state at the beginning; with True that of no context at all."""

    def score(self, state: Any, index: int, /) -> tuple[Any, float]:
        """The state after a word (or token), and its score."""

    def finish(self, state: Any, /) -> tuple[Any, float]:
        """The state after the end, and the end's score."""


class StepwiseLanguageModel(LanguageModel):
    """A model with the methods of TorchAudio's `CTCDecoderLM`, for a decoder.

    It is given the numbers of the lexicon's words (`Lexicon.index`; that of what the lexicon lacks
    is the number of its words), or in a search of tokens those of tokens. Two states are equal if
    they are the same object, so it should keep what it made of a state and a word, to return it
    again.

    Args:
        scorer: the model.
        highest_score: no score is above it. The lower it is the sooner a search can drop words
            unasked; infinity if not known.
    """

    def __init__(self, scorer: StepwiseScorer, *, highest_score: float = np.inf) -> None:
        super().__init__(
            _native.PythonModel(
                _StepwiseDriver(scorer, highest_score),
                by_index=True,
                by_identity=True,
                highest_score=highest_score,
            )
        )
        self._scorer = scorer
        self._highest_score = highest_score

    @property
    def scorer(self) -> StepwiseScorer:
        """The model."""
        return self._scorer

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the scorer."""
        return _stepwise, (self._scorer, self._highest_score)


def _stepwise(scorer: StepwiseScorer, highest_score: float) -> StepwiseLanguageModel:
    return StepwiseLanguageModel(scorer, highest_score=highest_score)


class _BatchedDriver:
    """What `_native.PythonModel` calls, for a `BatchedLanguageModel`."""

    def __init__(self, lm: BatchedLanguageModel) -> None:
        self._lm = lm

    def start(self, sentence: bool) -> Hashable:  # noqa: FBT001  called by compiled code
        if not sentence:
            raise InvalidValueError(
                "begin", sentence, expected="True", remedy="score whole sentences with this model"
            )
        return self._lm.start()

    def score(self, states: list[Any], words: list[str]) -> tuple[NDArray[np.float32], list[Any]]:
        answer: Any = self._lm.score_batch(states, words)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise _unusable("score_batch", answer, "a pair of scores and states")
        after = list(answer[1])
        if len(after) != len(states):
            raise _unusable("score_batch", after, f"{len(states)} states")
        return _scores("score_batch", answer[0], len(states), self._lm.highest_score), after

    def finish(self, states: list[Any]) -> NDArray[np.float32]:
        return _scores("finish_batch", self._lm.finish_batch(states), len(states), np.inf)

    def knows(self, word: str) -> bool:
        return word in self._lm


class _StepwiseDriver:
    """What `_native.PythonModel` calls, for a `StepwiseScorer`."""

    def __init__(self, scorer: StepwiseScorer, highest_score: float) -> None:
        self._scorer = scorer
        self._highest_score = highest_score

    def start(self, sentence: bool) -> Any:  # noqa: FBT001  called by compiled code
        return self._scorer.start(not sentence)

    def score(self, states: list[Any], words: list[int]) -> tuple[NDArray[np.float32], list[Any]]:
        pairs = [self._scorer.score(one, word) for one, word in zip(states, words, strict=True)]
        scores = _scores("score", [score for _, score in pairs], len(states), self._highest_score)
        return scores, [state for state, _ in pairs]

    def finish(self, states: list[Any]) -> NDArray[np.float32]:
        found = [self._scorer.finish(state)[1] for state in states]
        return _scores("finish", found, len(states), np.inf)

    def knows(self, word: str) -> bool:
        # Only `scores` and `in` ask.
        raise InvalidValueError(
            "word", word, expected="nothing: the model takes numbers", remedy="ask its scorer"
        )


def _scores(name: str, given: Any, count: int, highest: float) -> NDArray[np.float32]:
    scores = np.array(given, dtype=np.float32)
    if scores.shape != (count,):
        raise _unusable(name, given, f"{count} scores")
    # A comparison that NaN fails, too.
    wrong = np.flatnonzero(~(scores <= highest))
    if len(wrong):
        raise _unusable(name, float(scores[wrong[0]]), f"scores of at most {highest:g}")
    return scores


def _unusable(name: str, value: object, expected: str) -> InvalidValueError:
    return InvalidValueError(
        f"the result of {name}", value, expected=expected, remedy="correct the language model"
    )
