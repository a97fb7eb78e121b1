"""One search in pieces: see `Stream`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sestina.decoding import _native
from sestina.decoding.checks import MOST, check_count
from sestina.decoding.results import Hypothesis, TimedText

__all__ = ["Stream"]

Check: TypeAlias = Callable[[Any], NDArray[np.float32]]
Read: TypeAlias = Callable[[Any, int, str], list[Hypothesis]]


class Stream:
    """A search that takes its emissions in pieces; made by `Decoder.stream`.

    However the frames are cut, the result is that of one piece. One thread at a time.

    Example:
        >>> import numpy as np
        >>> from sestina.decoding import Decoder, Lexicon, Tokens
        >>> lexicon = Lexicon.from_spellings({"a": "a"}, Tokens(["-", "|", "a"]))
        >>> stream = Decoder(lexicon).stream()
        >>> for frame in np.log([[.1, .1, .8], [.8, .1, .1], [.1, .1, .8]]):
        ...     stream.step(frame[None])
        >>> stream.best()[0].text
        'a a'
    """

    def __init__(self, search: _native.Search, check: Check, read: Read) -> None:
        self._search = search
        self._check = check
        self._read = read
        self._last: Hypothesis | None = None
        self._num_settled = 0

    def step(self, emissions_tn: Any) -> None:
        """Reads on.

        Args:
            emissions_tn: (frame, token) natural logarithms; any number of frames.

        Raises:
            ShapeError, DtypeError, NonFiniteError: for emissions that can't be read; the search is
                as it was.
        """
        self._search.step(self._check(emissions_tn))

    def best(self, *, nbest: int = 1) -> list[Hypothesis]:
        """The best readings if the utterance ended here; it may go on all the same.

        Raises:
            InvalidValueError: if no reading has a probability above 0.
            RuntimeError: if the search is at work in another thread.
        """
        check_count("nbest", nbest)
        found = self._search.finish(min(nbest, MOST))
        return self._read(found, self._search.frames, "emissions so far")

    def partial(self) -> tuple[Hypothesis, int]:
        """The best reading so far, and how many of its words will not change any more.

        Words that the last partial reading had as well are not made anew, so that one costs little
        however long the stream is.

        Raises:
            InvalidValueError: if no reading has a probability above 0.
            RuntimeError: if the search is at work in another thread.
        """
        best = self.best()[0]
        length = self._search.settled()
        if self._last is not None:
            best = replace(best, begun=self._last.first_words(self._common(best.path)))
        self._last, self._num_settled = best, length
        return best, best.words_within(length)

    def take(self) -> list[TimedText]:
        """The words that will not change any more, which the stream then forgets.

        Readings begin with what comes after them from now on, so that a stream of any length takes
        no more memory than what is not settled yet. Scores go on counting what was taken; what its
        hotwords gave counts as the language model's.

        Raises:
            InvalidValueError: if no reading has a probability above 0.
            RuntimeError: if the search is at work in another thread.
        """
        best, count = self.partial()
        if count:
            self._search.forget(best.first_words(self._num_settled).path_length)
            self._last, self._num_settled = None, 0
        return list(best.words[:count])

    def _common(self, path: NDArray[np.int32]) -> int:
        """How much of a path is that of the last partial reading, too."""
        assert self._last is not None
        begin = self._num_settled  # of the last, which all readings since begin with
        end = min(len(path), len(self._last.path))
        differ = (path[begin:end] != self._last.path[begin:end]).any(axis=1)
        return begin + int(differ.argmax()) if differ.any() else end

    def restart(self) -> None:
        """Forgets all frames, for the next utterance."""
        self._search.begin()
        self._last, self._num_settled = None, 0
