"""N-gram models of KenLM and ARPA files, which need no KenLM."""

from __future__ import annotations

from sestina.core.errors import FileFormatError
from sestina.decoding.compat.flashlight.decoder.language_models import LM, LMState
from sestina.decoding.compat.flashlight.dictionary import Dictionary
from sestina.decoding.language_models import NgramModel, read_lm

__all__ = ["KenLM"]


class _NgramState(LMState):
    """With the number that the model has for it."""

    number: int


class KenLM(LM):
    """An n-gram model; words are given by their index in a dictionary.

    Args:
        path: of an ARPA file, plain or packed, a binary file of KenLM, or one of `compile_lm`.
        usr_token_dict: the words. Those that the model lacks are its unknown word.

    Raises:
        RuntimeError: if the file can't be opened or is no such model.
    """

    def __init__(self, path: str, usr_token_dict: Dictionary) -> None:
        try:
            self._model = read_lm(path)
        except (FileFormatError, OSError) as error:
            raise RuntimeError(str(error)) from error
        self._words = [
            usr_token_dict.get_entry(index).encode(errors="surrogateescape")
            for index in range(usr_token_dict.index_size())
        ]
        self._ids = [self._model.native.word(word) for word in self._words]
        self._walk = self._model.native.walk()

    def start(self, start_with_nothing: bool) -> LMState:
        """The state at the start of a sentence, or without any context."""
        state = _NgramState()
        state.number = self._walk.start(not start_with_nothing)
        return state

    def score(self, state: LMState, usr_token_idx: int) -> tuple[LMState, float]:
        """The state after a word, and log10 of the word's probability.

        Raises:
            RuntimeError: if the dictionary has no such index.
        """
        if not 0 <= usr_token_idx < len(self._words):
            raise RuntimeError(f"[KenLM] Invalid user token index: {usr_token_idx}")
        return self._step(state, usr_token_idx, self._words[usr_token_idx])

    def finish(self, state: LMState) -> tuple[LMState, float]:
        """The state after the sentence, and log10 of the probability that it ends."""
        return self._step(state, -1, b"</s>")

    def _step(self, state: LMState, index: int, word: bytes) -> tuple[LMState, float]:
        assert isinstance(state, _NgramState)
        score, number = self._walk.step(state.number, word)
        after = state.child(index)
        assert isinstance(after, _NgramState)
        after.number = number
        return after, score

    @property
    def model(self) -> NgramModel:
        """As the compiled search takes it."""
        return self._model

    @property
    def ids(self) -> list[int]:
        """By index of the dictionary, the model's own."""
        return self._ids
