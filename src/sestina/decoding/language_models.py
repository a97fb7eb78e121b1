"""Language models: how probable a word is after those before it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from sestina.core.errors import InvalidValueError, NonFiniteError
from sestina.core.files import atomic_path
from sestina.decoding import _native
from sestina.decoding.reading import naming_path, read_pieces
from sestina.decoding.sources import Source, shared, unchanged

__all__ = [
    "CombinedModel",
    "LanguageModel",
    "Load",
    "NgramModel",
    "bytes_of",
    "combine",
    "compile_lm",
    "read_arpa",
    "read_lm",
]

Load = Literal["memory", "mmap"]

_GZIP = b"\x1f\x8b"
_HEAD_BYTES = 64


class LanguageModel:
    """What a decoder asks how probable words are; immutable, shared by any number of decoders."""

    def __init__(self, native: _native.LanguageModel) -> None:
        self._native = native

    def __contains__(self, word: str) -> bool:
        """Whether the model knows the word."""
        return self.native.word(bytes_of(word)) != 0

    def scores(self, words: Sequence[str], *, begin: bool = True, end: bool = True) -> list[float]:
        """log10 of the probability of each word after those before it.

        Args:
            words: a sentence.
            begin: whether it starts where a sentence starts.
            end: whether it ends where a sentence ends; then one score more, of that end.

        Raises:
            NonFiniteError: if a score is infinite or NaN: the model's file is damaged.
        """
        walk, scores = self.native.walk(), []
        state = walk.start(begin)
        for word in words:
            score, state = walk.step(state, bytes_of(word))
            scores.append(score)
        if end:
            scores.append(walk.finish(state))
        for score in scores:
            if math.isnan(score) or score == math.inf:
                raise NonFiniteError(
                    "a score of the language model",
                    score,
                    expected="a number or minus infinity",
                    remedy="its file is damaged or its code is wrong: make it anew",
                )
        return scores

    def __reduce__(self) -> tuple[Any, ...]:
        """Refused: only what was read from a file pickles, as its path and digest."""
        raise InvalidValueError(
            "lm", self, expected="a model that was read from a file", remedy="use read_lm"
        )

    @property
    def native(self) -> _native.LanguageModel:
        """As the compiled search takes it."""
        return self._native


class NgramModel(LanguageModel):
    """A model of n-grams that was read from a file by `read_lm`."""

    def __init__(
        self,
        native: _native.NgramModel | _native.KenlmModel,
        source: Source | None = None,
        load: Load = "memory",
    ) -> None:
        super().__init__(native)
        self._ngrams = native
        self._source = source
        self._load: Load = load

    @property
    def order(self) -> int:
        """The longest n-gram it knows."""
        return self._ngrams.order

    @property
    def counts(self) -> tuple[int, ...]:
        """How many n-grams of each order its file has."""
        return tuple(self._ngrams.counts)

    @property
    def native(self) -> _native.NgramModel | _native.KenlmModel:
        """As the compiled search takes it."""
        return self._ngrams

    @cached_property
    def words(self) -> frozenset[str]:
        """All that it knows, but for `<s>`, `</s>` and `<unk>`; none if its file has no texts."""
        texts = (text.decode(errors="surrogateescape") for text in self._ngrams.texts() if text)
        return frozenset(texts) - {"<s>", "</s>", "<unk>"}

    @property
    def source(self) -> Source | None:
        """The file that it was read from."""
        return self._source

    def __repr__(self) -> str:
        """Its order and size."""
        return f"NgramModel(order {self.order}, {sum(self.counts):,} n-grams)"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles its path and digest."""
        if self._source is None:
            return super().__reduce__()
        return _read_again, (self._source.path, self._source.digest(), self._load)


class CombinedModel(LanguageModel):
    """Several models as one; made by `combine`."""

    def __init__(self, parts: Sequence[tuple[LanguageModel, float]]) -> None:
        super().__init__(_native.CombinedModel([(lm.native, weight) for lm, weight in parts]))
        self._parts = tuple(parts)

    @property
    def parts(self) -> tuple[tuple[LanguageModel, float], ...]:
        """The models and their weights."""
        return self._parts

    def __repr__(self) -> str:
        """Its parts."""
        return f"combine({list(self._parts)})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles its parts."""
        return CombinedModel, (self._parts,)


def combine(parts: Iterable[tuple[LanguageModel, float]]) -> CombinedModel:
    """A model whose log10 scores are the weighted sums of those of others.

    Each part scores a word that it does not know as its unknown one. Parts may have different
    orders and vocabularies, and be of any kind; `lm_weight` of the decoder's options multiplies the
    sum.

    Args:
        parts: models and weights; a weight may be negative, to take a model's influence out.

    Raises:
        InvalidValueError: if there is no part, one is no language model or its weight is not
            finite, or some take the search's own numbers for words and others texts.

    Example:
        >>> from sestina.decoding import combine, read_arpa, samples
        >>> lm = read_arpa(samples.sample().arpa_path)
        >>> half = combine([(lm, 0.25), (lm, 0.25)])
        >>> round(lm.scores(["the"])[0] / half.scores(["the"])[0], 3)
        2.0
    """
    parts = [(lm, float(weight)) for lm, weight in parts]
    for lm, weight in parts:
        if not isinstance(lm, LanguageModel):
            raise InvalidValueError(
                "lm", lm, expected="a LanguageModel", remedy="read one with read_lm"
            )
        if not math.isfinite(weight):
            raise InvalidValueError("weight", weight, expected="a finite number", remedy="pass one")
    if len({lm.native.by_index for lm, _ in parts}) != 1:
        raise InvalidValueError(
            "parts",
            parts,
            expected="at least one model, and all of them to take words or all of them numbers",
            remedy="wrap those that take the search's numbers so that they take words",
        )
    return CombinedModel(parts)


def read_lm(path: str | Path, *, load: Load = "memory") -> NgramModel:
    """The n-gram model of a file, whose kind its first bytes tell.

    Read are ARPA files, plain or packed by gzip; KenLM's binary files, hash tables and tries of all
    kinds, which are asked where they lie; and what `compile_lm` makes.

    Args:
        path: the file.
        load: "memory" reads all of a binary file at once. "mmap" reads what is needed when it is,
            from pages that all processes share; such a file must not be written to while it is in
            use. Text is always read.

    Raises:
        FileFormatError: if the file is damaged or of no such kind, with the line of a text.
        InvalidValueError: if `load` is neither.
    """
    if load not in ("memory", "mmap"):
        raise InvalidValueError("load", load, expected="memory or mmap", remedy="pass one of them")
    path, source = Path(path), Source.of(path)
    loading, name = getattr(_native.Loading, load), os.fsencode(path)
    with path.open("rb") as file:  # its errors name the file and the reason
        head = file.read(_HEAD_BYTES)
    native: _native.NgramModel | _native.KenlmModel
    with naming_path(path):
        match _native.file_kind(head):
            case "kenlm":
                native = _native.KenlmModel.read(name, loading)
            case "cache":
                native = _native.NgramModel.read_cache(name, loading)
            case _:
                native = _parse(path, packed=head.startswith(_GZIP))
    return NgramModel(native, source, load)


def read_arpa(path: str | Path) -> NgramModel:
    """The n-gram model of an ARPA file, plain or packed by gzip.

    Raises:
        FileFormatError: if it is damaged or no ARPA file, with the line.
    """
    path, source = Path(path), Source.of(path)
    with path.open("rb") as file:
        packed = file.read(len(_GZIP)) == _GZIP
    with naming_path(path):
        return NgramModel(_parse(path, packed=packed), source)


def compile_lm(source: str | Path | NgramModel, target: str | Path) -> None:
    """Writes a model to a file that `read_lm` opens without parsing, whose pages processes share.

    The file is for machines of the same byte order and for this version of sestina; a later one may
    ask to compile anew.

    Args:
        source: an ARPA file, a trie of KenLM, or a model that was read from one.
        target: the file to write. Until all of it is written what was there stays.

    Raises:
        FileFormatError: if the source can't be read, or is one of KenLM's hash tables, whose
            n-grams can't be listed, or has no texts of its words.
    """
    model = source if isinstance(source, NgramModel) else read_lm(source)
    native = model.native
    if isinstance(native, _native.KenlmModel):
        with naming_path(model.source.path if model.source else "lm"):
            native = native.compile()
    with atomic_path(target) as partial:
        native.write_cache(os.fsencode(partial))


def _parse(path: Path, *, packed: bool) -> _native.NgramModel:
    if not packed:
        return _native.NgramModel.read_arpa(os.fsencode(path))
    reader = _native.ArpaReader()
    for piece in read_pieces(path):
        reader.push(piece)
    return reader.finish()


def _read_again(path: Path, digest: str, load: Load) -> NgramModel:
    return shared((NgramModel, digest, load), lambda: read_lm(unchanged(path, digest), load=load))


def bytes_of(word: str) -> bytes:
    """A word as model files have it.

    Raises:
        InvalidValueError: if it is no text.
    """
    try:
        return word.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raise InvalidValueError(
            "word",
            ascii(word),
            expected="text, without halves of surrogate pairs",
            remedy="decode what it came from as UTF-8",
        ) from None
