"""Language models: how probable a word is after those before it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sestina.core.errors import InvalidValueError
from sestina.decoding import _native
from sestina.decoding.reading import naming_path, read_bytes
from sestina.decoding.sources import Source, shared, unchanged

__all__ = ["LanguageModel", "read_arpa"]


class LanguageModel:
    """An n-gram model of words, immutable and shared by any number of decoders; see `read_arpa`."""

    def __init__(self, native: _native.NgramModel, source: Source | None = None) -> None:
        self._native = native
        self._source = source

    @property
    def order(self) -> int:
        """The longest n-gram it knows."""
        return self._native.order

    @property
    def counts(self) -> tuple[int, ...]:
        """How many n-grams of each order its file has."""
        return tuple(self._native.counts)

    def __contains__(self, word: str) -> bool:
        """Whether the model knows the word."""
        return self._native.word(word.encode(errors="surrogateescape")) != 0

    def scores(self, words: Sequence[str], *, begin: bool = True, end: bool = True) -> list[float]:
        """log10 of the probability of each word after those before it.

        Args:
            words: a sentence.
            begin: whether it starts where a sentence starts.
            end: whether it ends where a sentence ends; then one score more, of that end.
        """
        state, scores = self._native.start(begin), []
        for word in [*words, *(["</s>"] if end else [])]:
            number = self._native.word(word.encode(errors="surrogateescape"))
            score, state = self._native.step(state, number)
            scores.append(score)
        return scores

    def __repr__(self) -> str:
        """Its order and size."""
        return f"LanguageModel(order {self.order}, {sum(self.counts):,} n-grams)"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles its path and digest."""
        if self._source is None:
            raise InvalidValueError(
                "lm", self, expected="a model that was read from a file", remedy="use read_arpa"
            )
        return _read_again, (self._source.path, self._source.digest())

    @property
    def native(self) -> _native.NgramModel:
        """As the compiled search takes it."""
        return self._native


def read_arpa(path: str | Path) -> LanguageModel:
    """The n-gram model of an ARPA file, plain or `.gz`.

    Raises:
        FileFormatError: if it is damaged or no ARPA file, with the line.
    """
    path, source = Path(path), Source.of(path)
    with naming_path(path):
        if path.suffix != ".gz":
            path.open("rb").close()  # its errors name the file and the reason
            return LanguageModel(_native.NgramModel.read_arpa(os.fsencode(path)), source)
        return LanguageModel(_native.NgramModel.parse_arpa(read_bytes(path)), source)


def _read_again(path: Path, digest: str) -> LanguageModel:
    return shared((LanguageModel, digest), lambda: read_arpa(unchanged(path, digest)))
