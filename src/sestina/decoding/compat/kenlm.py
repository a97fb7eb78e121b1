"""The names of KenLM's Python module 0.3.0, over our readers of its files.

Example:
    >>> from sestina.decoding import samples
    >>> from sestina.decoding.compat import kenlm
    >>> model = kenlm.Model(str(samples.sample().arpa_path))
    >>> model.score("the") == model.score("the", bos=True, eos=True)
    True

Differences: scores agree to 1e-5, as KenLM's own kinds of files do with each other; a state belongs
to the model that wrote it, and another one's is an error; `Config` is kept but not needed.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

from sestina.core.errors import InvalidValueError
from sestina.decoding.language_models import read_lm

__all__ = [
    "ARPALoadComplain",
    "Config",
    "FullScoreReturn",
    "LanguageModel",
    "LoadMethod",
    "Model",
    "State",
]


class LoadMethod:
    """How a binary file is read; see `Config`."""

    LAZY = 0
    POPULATE_OR_LAZY = 1
    POPULATE_OR_READ = 2
    READ = 3
    PARALLEL_READ = 4


class ARPALoadComplain:
    """What to say of ARPA files, which load slower than others."""

    ALL = 0
    EXPENSIVE = 1
    NONE = 2


class Config:
    """Settings of a model; LAZY maps its file into memory, the others read it."""

    def __init__(self) -> None:
        self.load_method = LoadMethod.POPULATE_OR_READ
        self.arpa_complain = ARPALoadComplain.ALL
        self.show_progress = True


class State:
    """What a model remembers of the words so far; empty at first. Equal ones have one future."""

    __slots__ = ("model", "number")

    def __init__(self) -> None:
        self.model: Model | None = None  # whose it is
        self.number = 0  # that model's name of it; 0 is the empty one

    def _key(self) -> tuple[int, int]:
        # The empty state is every model's.
        return (id(self.model), self.number) if self.number else (0, 0)

    def __eq__(self, other: object) -> bool:
        """Whether all that follows is worth the same."""
        return self._key() == other._key() if isinstance(other, State) else NotImplemented

    def __lt__(self, other: State) -> bool:
        """Some order."""
        return self._key() < other._key()

    def __le__(self, other: State) -> bool:
        """Some order."""
        return self._key() <= other._key()

    def __hash__(self) -> int:
        """Equal states' are equal; it changes when a model writes to the state."""
        return hash(self._key())

    def __copy__(self) -> State:
        """Another one, of the same model."""
        copied = State()
        copied.model, copied.number = self.model, self.number
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> State:
        """As a plain copy: the model is shared."""
        return self.__copy__()

    def __reduce__(self) -> NoReturn:
        """Refused, as KenLM's refuse."""
        raise TypeError("states do not pickle; pickle the words, and score them again")


class FullScoreReturn:
    """Of a word: log10 of its probability, the words of the n-gram found, whether it is unknown."""

    __slots__ = ("_found",)

    def __init__(self, log_prob: float, ngram_length: int, oov: bool) -> None:
        self._found = (log_prob, ngram_length, oov)

    @property
    def log_prob(self) -> float:
        """log10 of the probability."""
        return self._found[0]

    @property
    def ngram_length(self) -> int:
        """How many words the n-gram has that was found, the word itself included."""
        return self._found[1]

    @property
    def oov(self) -> bool:
        """Whether the model does not know the word."""
        return self._found[2]

    def __repr__(self) -> str:
        """Its three values."""
        return f"FullScoreReturn{self._found!r}"


class Model:
    """An n-gram model of an ARPA file, or one of KenLM's binary files.

    States are remembered by the model, each one once, as long as it lives. Any number of threads
    may use it; they wait for each other.

    Args:
        path: the file.
        config: how to load it.

    Raises:
        OSError: if the file can't be opened, or is damaged or of another kind.
    """

    def __init__(self, path: str | bytes, config: Config | None = None) -> None:
        self._path = os.path.abspath(os.fsencode(path))  # noqa: PTH100  bytes, as KenLM has it
        self._config = Config() if config is None else config
        lazy = self._config.load_method in (LoadMethod.LAZY, LoadMethod.POPULATE_OR_LAZY)
        try:
            self._lm = read_lm(os.fsdecode(self._path), load="mmap" if lazy else "memory")
        except ValueError as error:  # KenLM knows but one kind of error here
            raise OSError(f"cannot read model {os.fsdecode(path)!r}: {error}") from error
        self._walk = self._lm.native.walk()  # names the states, by numbers
        self._lock = threading.Lock()  # a walk is one thread's at a time

    @property
    def order(self) -> int:
        """The longest n-gram it knows."""
        return self._lm.order

    @property
    def path(self) -> bytes:
        """Of the file, from the root."""
        return self._path

    def __contains__(self, word: str | bytes) -> bool:
        """Whether it knows a word."""
        return self._lm.native.word(_bytes_of(word)) != 0

    def __repr__(self) -> str:
        """Its file's name."""
        return f"<Model from {os.path.basename(self._path)!r}>"  # noqa: PTH119  bytes

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles its path."""
        return Model, (self._path,)

    def score(self, sentence: str | bytes, bos: bool = True, eos: bool = True) -> float:
        """log10 of the probability of a sentence.

        Args:
            sentence: words with spaces between, without `<s>`.
            bos: whether it starts where a sentence starts.
            eos: whether it ends where a sentence ends.
        """
        walk, total = self._lm.native.walk(), 0.0  # one of its own, whose states need not last
        state = walk.start(bos)
        for word in _bytes_of(sentence).split():
            score, state = walk.step(state, word)
            total += score
        return total + walk.finish(state) if eos else total

    def perplexity(self, sentence: str | bytes) -> float:
        """10 to the power of what the words and the end of a sentence cost on average."""
        return math.pow(10.0, -self.score(sentence) / (len(_bytes_of(sentence).split()) + 1))

    def full_scores(
        self,
        sentence: str | bytes,
        bos: bool = True,
        eos: bool = True,
    ) -> Iterator[tuple[float, int, bool]]:
        """Of each word: log10 of its probability, words of the n-gram found, whether unknown.

        Args:
            sentence: words with spaces between, without `<s>`.
            bos: whether it starts where a sentence starts.
            eos: whether it ends where a sentence ends; then that end comes last.
        """
        state = self._start(sentence=bos)
        for word in _bytes_of(sentence).split() + [b"</s>"] * eos:
            found, state = self._full(state, word)
            yield found

    def BeginSentenceWrite(self, state: State) -> None:
        """Makes a state that of a sentence's begin."""
        self._write(state, self._start(sentence=True))

    def NullContextWrite(self, state: State) -> None:
        """Makes a state that of no words before."""
        self._write(state, self._start(sentence=False))

    def BaseScore(self, in_state: State, word: str, out_state: State) -> float:
        """log10 of the probability of a word after a state; the state after it is written.

        Raises:
            InvalidValueError: if `in_state` is another model's.
        """
        before, text = self._number_of(in_state), _bytes_of(word)
        with self._lock:
            score, after = self._walk.step(before, text)
        self._write(out_state, after)
        return score

    def BaseFullScore(self, in_state: State, word: str, out_state: State) -> FullScoreReturn:
        """As `BaseScore`, with the n-gram's length and whether the word is unknown.

        Raises:
            InvalidValueError: if `in_state` is another model's.
        """
        found, after = self._full(self._number_of(in_state), _bytes_of(word))
        self._write(out_state, after)
        return FullScoreReturn(*found)

    def _full(self, state: int, word: bytes) -> tuple[tuple[float, int, bool], int]:
        with self._lock:
            length = self._walk.matched(state, word)
            score, after = self._walk.step(state, word)
        return (score, length, self._lm.native.word(word) == 0), after

    def _start(self, *, sentence: bool) -> int:
        with self._lock:
            return self._walk.start(sentence)

    def _write(self, state: State, number: int) -> None:
        state.model, state.number = self, number

    def _number_of(self, state: State) -> int:
        if state.model is self:
            return state.number
        if state.number:
            raise InvalidValueError(
                "in_state", state, expected="a state of this model", remedy="begin with its own"
            )
        return self._start(sentence=False)


LanguageModel = Model


def _bytes_of(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise TypeError(f"expected str or bytes, found {type(text).__name__}")
    return text.encode(errors="surrogateescape")
