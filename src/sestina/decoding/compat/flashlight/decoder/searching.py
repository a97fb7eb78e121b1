"""What Flashlight Text's decoders over frames have in common: steps, results, and their input."""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sestina.core.errors import InvalidValueError, NonFiniteError, ShapeError
from sestina.decoding import _native
from sestina.decoding.compat.flashlight.decoder.kenlm import KenLM
from sestina.decoding.compat.flashlight.decoder.language_models import LM, ZeroLM
from sestina.decoding.compat.flashlight.decoder.results import DecodeResult, RawResult

__all__ = ["FrameDecoder", "model_of"]

_ALL = 2**31 - 1  # hypotheses


class FrameDecoder(ABC):
    """A beam search over frames; a subclass says what is searched."""

    def __init__(self) -> None:
        self._decoders: dict[int, _native.Decoder] = {}  # by width of the emissions
        self._search: _native.Search | None = None
        self._ended = False

    @abstractmethod
    def _made(self, num_columns: int) -> _native.Decoder:
        """A compiled decoder for emissions with so many columns."""

    @property
    @abstractmethod
    def _num_tokens(self) -> int:
        """How many columns the emissions have at least."""

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
        self._begin(scores.shape[1])
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
        ready = [self._ready(one) for one in utterances]
        found = decoder.decode(ready, nbest, threads)
        return [
            [self._raw(one, len(scores) + 2) for one in hypotheses]
            for hypotheses, scores in zip(found, utterances, strict=True)
        ]

    def decode_begin(self) -> None:
        """Starts an utterance that comes in pieces."""
        self._search, self._ended = None, False

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
        """All hypotheses in the beam, best first."""
        return [DecodeResult.of(raw) for raw in self.raw_results(_ALL)]

    def raw_results(self, nbest: int) -> list[RawResult]:
        """The best hypotheses in the beam."""
        if self._search is None:
            return []
        length = self._search.frames + 2
        return [self._raw(one, length) for one in self._search.finish(nbest)]

    def _begin(self, num_columns: int) -> None:
        self.decode_begin()
        self._search = self._decoder(num_columns).search()

    def _step(self, scores: NDArray[np.float32]) -> None:
        if self._search is None:
            self._begin(scores.shape[1])
        assert self._search is not None
        self._search.step(self._ready(scores))

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
                expected="logarithms",
                remedy="look at what the model was given",
            )
        # Flashlight's comparisons drop every path that reads NaN.
        return scores if np.isfinite(total) else np.where(np.isnan(scores), -np.inf, scores)

    @staticmethod
    def _raw(found: tuple[float, float, float, Any], length: int) -> RawResult:
        """Frame by frame, with a silence before the first frame and one after the last."""
        score, acoustic, language, path = found
        starts = path[:, 1] + 1
        raw = np.full((2, length), -1, np.int32)
        raw[0, :-1] = np.repeat(path[:, 0], np.diff(starts, append=length - 1))
        raw[0, -1] = path[0, 0]
        raw[1, starts] = path[:, 2]
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


def model_of(lm: LM, num_words: int) -> tuple[Any, list[int], _native.Merge]:
    """A compiled model, its id of each of the user's words, and when hypotheses are the same."""
    if isinstance(lm, KenLM):
        return lm.model.native, lm.ids, _native.Merge.history
    if isinstance(lm, ZeroLM):
        return _native.NoModel(), [0] * num_words, _native.Merge.history
    raise NotImplementedError
