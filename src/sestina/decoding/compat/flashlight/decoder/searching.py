"""What Flashlight Text's decoders over frames have in common: steps, results, and their input."""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sestina.core.errors import InvalidValueError, NonFiniteError, ShapeError
from sestina.decoding import _native
from sestina.decoding.compat.flashlight.decoder.options import CriterionType
from sestina.decoding.compat.flashlight.decoder.results import DecodeResult, RawResult

__all__ = ["FrameDecoder", "checked_criterion", "scores_of"]

_ALL: Final = 2**31 - 1  # hypotheses


class FrameDecoder(ABC):
    """A beam search over frames; a subclass says what is searched."""

    _least_left = 0
    """As many frames must be left for there to be a result before the end."""

    def __init__(self, num_tokens: int) -> None:
        self._num_tokens = num_tokens
        self._decoders: dict[int, _native.Decoder] = {}  # by width of the emissions
        self.decode_begin()

    @abstractmethod
    def _made(self, num_columns: int) -> _native.Decoder:
        """A compiled decoder for emissions with so many columns."""

    def decode(
        self, emissions: Any, T: int | None = None, N: int | None = None
    ) -> list[DecodeResult]:
        """All hypotheses that are left in the beam at the end, best first.

        Args:
            emissions: (T, N) float32 scores, or the address of such scores in memory.
            T: frames; needed for an address.
            N: tokens; needed for an address.

        Returns:
            Hypotheses; none if no path has a score.
        """
        scores = scores_of(emissions, T, N)
        self.decode_begin()
        self._step(scores)
        self.decode_end()
        return self.get_all_final_hypothesis()

    def decode_many(
        self, utterances: Sequence[NDArray[np.float32]], *, nbest: int, threads: int
    ) -> list[list[RawResult]]:
        """The best hypotheses of each utterance; the same ones whatever the number of threads."""
        if not utterances:
            return []
        decoder = self._decoder(utterances[0].shape[1])
        found = decoder.decode([self._ready(one) for one in utterances], nbest, threads)
        return [
            [self._raw(one, len(scores), ended=True) for one in hypotheses]
            for hypotheses, scores in zip(found, utterances, strict=True)
        ]

    def decode_begin(self) -> None:
        """Starts an utterance that comes in pieces."""
        self._search: _native.Search | None = None
        self._ended = False
        self._pruned = 0  # frames that are no longer shown
        self._forgotten = 0.0  # of the scores, what was subtracted with them

    def decode_step(self, emissions: Any, T: int | None = None, N: int | None = None) -> None:
        """Reads on; see `decode`.

        Raises:
            RuntimeError: after `decode_end`.
        """
        if self._ended:
            raise RuntimeError("the utterance has ended; call decode_begin for the next one")
        self._step(scores_of(emissions, T, N))

    def decode_end(self) -> None:
        """Ends the utterance."""
        self._search = self._search or self._decoder(self._num_tokens).search()
        self._ended = True

    def get_all_final_hypothesis(self) -> list[DecodeResult]:
        """All hypotheses in the beam, best first, each as far as it has come."""
        if self._left < self._least_left:
            return []
        return [DecodeResult.of(self._shown(raw)) for raw in self.raw_results(_ALL)]

    def get_best_hypothesis(self, look_back: int = 0) -> DecodeResult:
        """The best hypothesis as it was `look_back` frames ago.

        With a lexicon it goes further back to where a word has just ended, by 100 frames at most.
        Where it goes back, the scores are nevertheless those of now.
        """
        best = self._best()
        shown = self._frames_shown(best, look_back)
        if best is None or shown is None:
            return DecodeResult(0)
        score, acoustic, language, frames = self._shown(best)
        return DecodeResult.of((score, acoustic, language, frames[:, : shown + 1]))

    def prune(self, look_back: int = 0) -> None:
        """Forgets the frames before the one that `get_best_hypothesis` goes back to.

        What is left starts there, and its scores are relative to the best one.
        """
        best = self._best()
        shown = self._frames_shown(best, look_back)
        if best is None or not shown:
            return
        self._pruned += shown
        self._forgotten = best[0]

    def raw_results(self, nbest: int) -> list[RawResult]:
        """The best hypotheses in the beam, all frames of each."""
        if self._search is None:
            return []
        found = self._search.finish(nbest) if self._ended else self._search.beam(nbest)
        return [self._raw(one, self._search.frames, ended=self._ended) for one in found]

    @property
    def _left(self) -> int:
        """How many frames are shown."""
        decoded = 0 if self._search is None else self._search.frames + self._ended
        return decoded - self._pruned

    def _best(self) -> RawResult | None:
        return next(iter(self.raw_results(1)), None)

    def _frames_shown(self, best: RawResult | None, look_back: int) -> int | None:
        """How many frames of the best hypothesis it goes back to; None if there are none."""
        shown = self._left - look_back
        return shown if best is not None and shown >= self._least_left else None

    def _shown(self, raw: RawResult) -> RawResult:
        """Without what was pruned."""
        score, acoustic, language, frames = raw
        return score - self._forgotten, acoustic, language, frames[:, self._pruned :]

    def _step(self, scores: NDArray[np.float32]) -> None:
        ready = self._ready(scores)
        if self._search is None:
            self._search = self._decoder(scores.shape[1]).search()
        self._search.step(ready)

    def _decoder(self, num_columns: int) -> _native.Decoder:
        num_columns = max(num_columns, self._num_tokens)
        if num_columns not in self._decoders:
            self._decoders[num_columns] = self._made(num_columns)
        return self._decoders[num_columns]

    def _ready(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """As the compiled search takes them: no NaN, and a column for each token at least."""
        missing = self._num_tokens - scores.shape[1]
        if missing > 0:
            scores = np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf)
        # One pass: the sum is NaN or +inf exactly if an entry is (see as_emissions).
        with np.errstate(invalid="ignore"):
            total = float(np.maximum(scores, np.float32(-3e38)).sum(dtype=np.float64))
        if total == np.inf:
            raise NonFiniteError(
                "emissions",
                np.inf,
                expected="logarithms of probabilities",
                remedy="look at what the model was given",
            )
        # Flashlight's comparisons drop every path that reads NaN.
        return scores if np.isfinite(total) else np.where(np.isnan(scores), -np.inf, scores)

    @staticmethod
    def _raw(found: tuple[float, float, float, Any], num_frames: int, *, ended: bool) -> RawResult:
        """Frame by frame, with a silence before the first and, at the end, one after the last."""
        score, acoustic, language, path = found
        starts = path[:, 1] + 1
        raw = np.full((2, num_frames + 1 + ended), -1, np.int32)
        raw[0, : num_frames + 1] = np.repeat(path[:, 0], np.diff(starts, append=num_frames + 1))
        raw[1, starts] = path[:, 2]
        if ended:
            raw[0, -1] = path[0, 0]
        return score, acoustic, language, raw


def scores_of(emissions: Any, T: int | None, N: int | None) -> NDArray[np.float32]:
    """(frame, token) scores as an array, not copied.

    Raises:
        ShapeError: if the sizes are missing, negative or not those of the array.
        InvalidValueError: if the address is none.
    """
    if isinstance(emissions, (int, np.integer)):
        if T is None or N is None or T < 0 or N < 1:
            raise ShapeError(
                "(T, N)", (T, N), expected="frames and tokens", remedy="pass both with an address"
            )
        if T == 0:
            return np.zeros((0, N), np.float32)
        if emissions <= 0:
            raise InvalidValueError(
                "emissions",
                emissions,
                expected="the address of float32 scores",
                remedy="pass array.ctypes.data or tensor.data_ptr(), or the array itself",
            )
        block = (ctypes.c_float * (int(T) * int(N))).from_address(int(emissions))
        return np.ctypeslib.as_array(block).reshape(T, N)
    array = np.ascontiguousarray(emissions)
    if array.dtype != np.float32 or array.ndim != 2:
        raise ShapeError(
            "emissions",
            (array.shape, str(array.dtype)),
            expected="(T, N) float32 scores",
            remedy="convert them first",
        )
    if (T is not None and array.shape[0] < T) or (N is not None and array.shape[1] != N):
        raise ShapeError(
            "emissions", array.shape, expected=f"({T}, {N})", remedy="pass the array's own sizes"
        )
    return array[:T]


def checked_criterion(
    criterion: CriterionType, transitions: Sequence[float], num_columns: int
) -> list[float]:
    """The transitions that the search needs.

    Raises:
        InvalidValueError: if the criterion is not one over frames, or transitions are missing.
    """
    if criterion is CriterionType.S2S:
        raise InvalidValueError(
            "criterion_type",
            criterion,
            expected="CTC or ASG",
            remedy="use LexiconSeq2SeqDecoder or LexiconFreeSeq2SeqDecoder",
        )
    if criterion is CriterionType.CTC:
        return []
    if len(transitions) != num_columns**2:
        raise InvalidValueError(
            "transitions",
            f"{len(transitions)} scores",
            expected=f"{num_columns**2} for ASG, one for each pair of the {num_columns} tokens",
            remedy="pass the criterion's matrix, row by row",
        )
    return list(transitions)
