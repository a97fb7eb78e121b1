"""Words and how they are spelled in tokens."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sestina.core.errors import FileFormatError, InvalidValueError
from sestina.core.files import bytes_digest
from sestina.decoding import _native
from sestina.decoding.phrases import spelled
from sestina.decoding.reading import Problem, naming_path, read_bytes
from sestina.decoding.sources import Source, shared, unchanged
from sestina.decoding.tokens import Tokens

__all__ = ["Lexicon"]


class Lexicon:
    """A prefix tree of spellings, immutable and shared by any number of decoders.

    Made by `read` or `from_spellings`. Words are numbered in the order of their first appearance.

    Example:
        >>> tokens = Tokens(["-", "|", "a", "b"])
        >>> lexicon = Lexicon.from_spellings({"ab": "a b |", "a": ["a |"]}, tokens)
        >>> len(lexicon), lexicon.word(0), lexicon.index("a")
        (2, 'ab', 1)
    """

    def __init__(
        self, native: _native.Lexicon, tokens: Tokens, source: Source | None = None
    ) -> None:
        self._native = native
        self._tokens = tokens
        self._source = source

    @classmethod
    def read(cls, path: str | Path, tokens: Tokens) -> Lexicon:
        """The lexicon of a text file, plain or `.gz`.

        Each line is a word and its tokens, parted by spaces or tabs; a word may have several lines.
        A byte order mark counts for nothing.

        Raises:
            FileFormatError: if a token is unknown or a word has none, with the line; or if there
                is no word.
        """
        path, source = Path(path), Source.of(path)
        text = read_bytes(path).removeprefix(codecs.BOM_UTF8)
        with naming_path(path):
            native = _native.Lexicon.parse(text, tokens.table)
        if native.num_words == 0:
            raise FileFormatError(path, "it has no word", remedy="look at how it was written")
        return cls(native, tokens, source)

    @classmethod
    def from_spellings(
        cls,
        spellings: Mapping[str, str | Sequence[str]] | Iterable[tuple[str, str]],
        tokens: Tokens,
    ) -> Lexicon:
        """A lexicon of words and their spellings.

        Args:
            spellings: of each word its tokens, parted by spaces; or several such spellings.
            tokens: what the spellings are made of.

        Raises:
            InvalidValueError: if a token is unknown, or a word is empty or has a space or no
                spelling.
        """
        pairs = spellings.items() if isinstance(spellings, Mapping) else spellings
        lines = []
        for word, given in pairs:
            if len(_encoded(word).split()) != 1:
                raise InvalidValueError(
                    "word", word, expected="no white space in it", remedy="write it as one word"
                )
            several = [given] if isinstance(given, str) else given
            if not several:
                raise InvalidValueError(
                    "word", word, expected="a spelling of it", remedy="spell it, or leave it out"
                )
            lines += [f"{word} {one.replace(chr(10), ' ')}" for one in several]
        try:
            native = _native.Lexicon.parse(_encoded("\n".join(lines)), tokens.table)
        except Problem as problem:
            raise InvalidValueError(
                f"spelling {problem.line}",
                lines[problem.line - 1],
                expected=f"known tokens, but {problem.reason}",
                remedy=problem.remedy,
            ) from None
        return cls(native, tokens)

    def with_words(self, words: Iterable[str], end: str | None = None) -> Lexicon:
        """These words as well, those that are not there yet spelled with their letters.

        Args:
            words: to be there.
            end: the token that ends them; the one that all other spellings end in, if there is
                one, unless it is given.

        Raises:
            InvalidValueError: if a letter is no token.
        """
        new = [word for word in dict.fromkeys(words) if word not in self]
        if not new:
            return self
        if end is None:
            end = self._tokens[self._native.last_token] if self._native.last_token >= 0 else ""
        pairs = ((word, " ".join([*spelled(word, self._tokens), end])) for word in new)
        more = Lexicon.from_spellings(pairs, self._tokens)
        return Lexicon(self._native.extended(more.native), self._tokens)

    def only(self, words: Iterable[str]) -> Lexicon:
        """The lexicon of these words, as far as they are in this one."""
        numbers = [self.index(word) for word in words]
        kept = [number for number in numbers if number is not None]
        return Lexicon(self._native.restricted(kept), self._tokens)

    def word(self, index: int) -> str:
        """The word of that number."""
        return self._native.word(index).decode(errors="surrogateescape")

    def index(self, word: str) -> int | None:
        """The number of a word, or None if it isn't in the lexicon."""
        found = self._native.find(_encoded(word))
        return None if found < 0 else found

    def __len__(self) -> int:
        """How many words there are."""
        return self._native.num_words

    def __contains__(self, word: str) -> bool:
        """Whether the word is in the lexicon."""
        return self.index(word) is not None

    def __repr__(self) -> str:
        """Its size."""
        return f"Lexicon({len(self)} words, {self._native.num_spellings} spellings)"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles its path and digest if it was read from a file, else its words and spellings."""
        if self._source is not None:
            return _read_again, (self._source.path, self._source.digest(), self._tokens)
        return _made_again, (self._lines(), self._tokens)

    def _lines(self) -> bytes:
        """What `read` would read it from."""
        lines = []
        for number in range(self._native.num_spellings):
            word, spelling = self._native.spelling(number)
            spelled = " ".join(self._tokens[token] for token in spelling)
            lines.append(self._native.word(word) + b" " + spelled.encode())
        return b"\n".join(lines)

    @property
    def tokens(self) -> Tokens:
        """What the spellings are made of."""
        return self._tokens

    @property
    def native(self) -> _native.Lexicon:
        """As the compiled search takes it."""
        return self._native


def _read_again(path: Path, digest: str, tokens: Tokens) -> Lexicon:
    # The tokens are shared as well, so that equal ones are the same.
    return shared((Lexicon, digest, tokens), lambda: Lexicon.read(unchanged(path, digest), tokens))


def _made_again(lines: bytes, tokens: Tokens) -> Lexicon:
    return shared(
        (Lexicon, bytes_digest(lines), tokens),
        lambda: Lexicon(_native.Lexicon.parse(lines, tokens.table), tokens),
    )


def _encoded(text: str) -> bytes:
    """UTF-8; words that came from other bytes give those back."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError as error:
        raise InvalidValueError(
            "text", text, expected="characters that UTF-8 has", remedy="correct the word"
        ) from error
