"""One search in pieces: see `Stream`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sestina.decoding import _native
from sestina.decoding.checks import MOST, check_count
from sestina.decoding.results import Hypothesis

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

        Raises:
            InvalidValueError: if no reading has a probability above 0.
            RuntimeError: if the search is at work in another thread.
        """
        best = self.best()[0]
        return best, best.words_until(self._search.settled())

    def restart(self) -> None:
        """Forgets all frames, for the next utterance."""
        self._search.begin()
