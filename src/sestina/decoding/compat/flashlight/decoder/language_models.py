"""Language models as Flashlight Text has them: states and scores of words by the user's index."""

from __future__ import annotations

from typing import Any, Self

__all__ = ["LM", "LMState", "ZeroLM"]


class LMState:
    """What a language model remembers of a hypothesis. Two are equal if they are the same object.

    `children` are the states after each word or token that was asked for.
    """

    children: dict[int, LMState]

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """A state without children, whether or not a subclass calls this class's constructor."""
        state = super().__new__(cls)
        state.children = {}
        return state

    def child(self, usr_index: int) -> LMState:
        """The state after a word or token, the same one each time."""
        found = self.children.get(usr_index)
        if found is None:
            found = self.children[usr_index] = LMState.__new__(type(self))
        return found

    def compare(self, state: LMState) -> int:
        """0 for itself, otherwise -1 or 1, which order the states in some way."""
        return 0 if self is state else -1 if id(self) < id(state) else 1


class LM:
    """A language model; what a subclass must have. Scores are log10 of probabilities."""

    def start(self, start_with_nothing: bool) -> LMState:
        """The state at the start of a sentence, or without any context."""
        raise RuntimeError('Tried to call pure virtual function "LM::start"')

    def score(self, state: LMState, usr_token_idx: int) -> tuple[LMState, float]:
        """The state after a word, and the word's score."""
        raise RuntimeError('Tried to call pure virtual function "LM::score"')

    def finish(self, state: LMState) -> tuple[LMState, float]:
        """The state after the sentence, and the score of its end."""
        raise RuntimeError('Tried to call pure virtual function "LM::finish"')


class ZeroLM(LM):
    """No language model: every word scores 0."""

    def start(self, start_with_nothing: bool) -> LMState:
        """A state."""
        return LMState()

    def score(self, state: LMState, usr_token_idx: int) -> tuple[LMState, float]:
        """The state after a word, and 0."""
        return state.child(usr_token_idx), 0.0

    def finish(self, state: LMState) -> tuple[LMState, float]:
        """The state itself, and 0."""
        return state, 0.0
