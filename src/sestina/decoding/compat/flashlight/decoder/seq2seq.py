"""Flashlight Text's sequence-to-sequence decoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sestina.core.errors import NonFiniteError, ShapeError
from sestina.decoding import _native
from sestina.decoding.compat.flashlight.decoder.language_models import LM
from sestina.decoding.compat.flashlight.decoder.models import model_of
from sestina.decoding.compat.flashlight.decoder.options import (
    LexiconFreeSeq2SeqDecoderOptions,
    LexiconSeq2SeqDecoderOptions,
)
from sestina.decoding.compat.flashlight.decoder.results import DecodeResult
from sestina.decoding.compat.flashlight.decoder.trie import Trie

__all__ = [
    "EmittingModelState",
    "LexiconFreeSeq2SeqDecoder",
    "LexiconSeq2SeqDecoder",
    "create_emitting_model_state",
    "get_obj_from_emitting_model_state",
]

_ALL: Final = 2**31 - 1  # hypotheses
_PADDING: Final = 3  # entries of a result beyond the tokens, as Flashlight has them

UpdateFunction = Callable[
    [Any, int, int, list[int], list[int], list[Any], int],
    tuple[Sequence[Sequence[float]], Sequence[Any]],
]


class EmittingModelState:
    """Whatever a model remembers of a hypothesis; made by `create_emitting_model_state`."""

    def __init__(self, remembered: object) -> None:
        self.remembered = remembered


def create_emitting_model_state(remembered: object, /) -> EmittingModelState:
    """A state that holds the object."""
    return EmittingModelState(remembered)


def get_obj_from_emitting_model_state(state: EmittingModelState, /) -> Any:
    """The object that a state holds."""
    return state.remembered


class _Seq2SeqDecoder:
    """A beam search over a model's tokens; a subclass says which."""

    def __init__(
        self,
        trie: Trie | None,
        lm: LM,
        update_func: UpdateFunction,
        max_output_length: int,
        options: _native.Seq2SeqOptions,
    ) -> None:
        self._trie = trie
        self._lm = lm
        self._update = update_func
        self._max_length = max_output_length
        self._options = options
        self._decoders: dict[int, _native.Seq2SeqDecoder] = {}  # by number of tokens
        self._found: list[DecodeResult] = []

    def decode_step(self, emissions: Any, T: int, N: int) -> None:
        """Decodes an utterance from beginning to end.

        Args:
            emissions: given to the update function as it is.
            T: frames, given to the update function.
            N: tokens.

        Raises:
            ShapeError, NonFiniteError: if the update function returns what can't be used.
            Exception: whatever the update function raises; the decoder can be used on.
        """
        self._found = []
        search = self._decoder(N).search()
        states: list[Any] = [None]
        steps = 0
        for step in range(self._max_length):
            tokens, parents = search.rows()
            if not len(tokens):
                break
            states = [states[row] for row in parents.tolist()] if step else states
            rows, states = self._asked(emissions, T, N, tokens, parents, states, step)
            place = search.step(rows)
            if place is not None:
                raise NonFiniteError(
                    f"scores of step {step}[{place[0]}, {place[1]}]",
                    float(rows[place]),
                    expected="a number or minus infinity",
                    remedy="look at what the model was given",
                )
            steps += 1
        self._found = [self._result(one, steps) for one in search.finish(_ALL)]

    def _asked(
        self,
        emissions: Any,
        num_frames: int,
        num_tokens: int,
        tokens: NDArray[np.int32],
        parents: NDArray[np.int32],
        states: list[Any],
        step: int,
    ) -> tuple[NDArray[np.float32], list[Any]]:
        """The model's scores of every token after each hypothesis, and its states."""
        last, places = tokens.tolist(), parents.tolist() if step else [-1]
        scores, after = self._update(
            emissions, num_tokens, num_frames, last, places, list(states), step
        )
        rows = np.ascontiguousarray(scores, dtype=np.float32)
        if rows.shape != (len(last), num_tokens) or len(after) != len(last):
            raise ShapeError(
                f"the result of update_func in step {step}",
                (rows.shape, len(after)),
                expected=f"{(len(last), num_tokens)} scores and {len(last)} states",
                remedy="score every token after each of the hypotheses given",
            )
        # A hypothesis without a state is dropped.
        dropped = [row for row, state in enumerate(after) if state is None]
        if dropped:
            rows = rows.copy()
            rows[dropped] = -np.inf
        return rows, list(after)

    def _result(
        self, found: tuple[float, float, float, bool, NDArray[np.int32]], steps: int
    ) -> DecodeResult:
        """Flush right, as Flashlight has it; the end is repeated until the last step."""
        score, acoustic, language, finished, path = found
        length = self._max_length + _PADDING
        frames = np.full((2, length), -1, np.int32)
        first = length - steps
        frames[:, first : first + len(path)] = path.T
        if finished:
            frames[0, first + len(path) :] = self._options.eos
        return DecodeResult.of((score, acoustic, language, frames))

    def get_all_final_hypothesis(self) -> list[DecodeResult]:
        """All hypotheses in the beam, best first, whether or not they have come to their end."""
        return list(self._found)

    def get_best_hypothesis(self, look_back: int = 0) -> DecodeResult:
        """The best hypothesis; `look_back` changes nothing."""
        return self._found[0] if self._found else DecodeResult(0)

    def prune(self, look_back: int = 0) -> None:
        """Does nothing."""

    def _decoder(self, num_tokens: int) -> _native.Seq2SeqDecoder:
        if num_tokens not in self._decoders:
            trie = None if self._trie is None else self._trie.native
            num_words = num_tokens if trie is None else max(trie.largest_word + 1, num_tokens)
            model, ids, merge = model_of(self._lm, num_words)
            self._options.joining = getattr(_native.Joining, merge.name)
            self._decoders[num_tokens] = _native.trie_seq2seq_decoder(
                trie, model, ids, num_tokens, self._options
            )
        return self._decoders[num_tokens]


def _native_options(
    given: LexiconSeq2SeqDecoderOptions | LexiconFreeSeq2SeqDecoderOptions, eos_idx: int
) -> _native.Seq2SeqOptions:
    made = _native.Seq2SeqOptions()
    for name in ("beam_size", "beam_threshold", "lm_weight", "eos_score", "log_add"):
        setattr(made, name, getattr(given, name))
    made.beam_size_token = given.beam_size_token
    made.flashlight = True
    made.eos = eos_idx
    return made


class LexiconSeq2SeqDecoder(_Seq2SeqDecoder):
    """Beam search for the words of a trie in what a model says token by token.

    Args:
        options: of the search.
        trie: the words' spellings. As in Flashlight Text, where the keywords of this argument and
            the next are each other's, both orders are taken.
        lm: scores words by the trie's labels; or tokens, with `is_token_lm`.
        eos_idx: the token that ends a sequence.
        update_func: called once a step with the emissions, N, T, the last token of each hypothesis,
            its row in the last step, its state from there, and the step; it returns a row of N
            scores and a state for each. A hypothesis without a state (None) is dropped.
        max_output_length: of a sequence, in tokens.
        is_token_lm: whether the language model scores tokens.
    """

    def __init__(
        self,
        options: LexiconSeq2SeqDecoderOptions,
        lm: Trie | LM,
        trie: LM | Trie,
        eos_idx: int,
        update_func: UpdateFunction,
        max_output_length: int,
        is_token_lm: bool,
    ) -> None:
        words, model = (lm, trie) if isinstance(lm, Trie) else (trie, lm)
        if not isinstance(words, Trie) or not isinstance(model, LM):
            raise TypeError(
                f"a trie and a language model are {type(lm).__name__} and {type(trie).__name__}, "
                "expected a Trie and an LM; pass one of each"
            )
        made = _native_options(options, eos_idx)
        made.word_score = options.word_score
        made.token_lm = is_token_lm
        super().__init__(words, model, update_func, max_output_length, made)


class LexiconFreeSeq2SeqDecoder(_Seq2SeqDecoder):
    """Beam search for what a model says token by token; see `LexiconSeq2SeqDecoder`."""

    def __init__(
        self,
        options: LexiconFreeSeq2SeqDecoderOptions,
        lm: LM,
        eos_idx: int,
        update_func: UpdateFunction,
        max_output_length: int,
    ) -> None:
        made = _native_options(replace(options), eos_idx)
        super().__init__(None, lm, update_func, max_output_length, made)
