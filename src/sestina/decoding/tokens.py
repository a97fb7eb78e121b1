"""The tokens of an acoustic model: their spellings, and which column of its scores each one is."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from sestina.core.errors import FileFormatError, InvalidValueError, UnknownNameError
from sestina.decoding import _native
from sestina.decoding.sources import Source, shared, unchanged

__all__ = ["Spelling", "Tokens"]

Spelling = Literal["none", "letters", "sentencepiece", "wordpiece"]
"""How tokens make words that have no text of their own; none if all words have one."""


class Tokens:
    """Tokens by index: index n is column n of the emissions.

    Args:
        entries: a spelling for each index, or several that share it (the first is its name).

    Raises:
        InvalidValueError: if there is none, or one is empty or occurs twice.

    Example:
        >>> tokens = Tokens(["-", "|", "a", "b"])
        >>> tokens.index("b"), tokens[1], len(tokens)
        (3, '|', 4)
    """

    def __init__(self, entries: Sequence[str | Sequence[str]]) -> None:
        spellings = [(entry,) if isinstance(entry, str) else tuple(entry) for entry in entries]
        seen: dict[str, int] = {}
        for index, names in enumerate(spellings):
            for name in names or ("",):
                if not name:
                    raise InvalidValueError(
                        f"token {index}",
                        name,
                        expected="a spelling of at least one character",
                        remedy="give every index a name; columns without a meaning need one, too",
                    )
                if name in seen:
                    raise InvalidValueError(
                        f"token {index}",
                        name,
                        expected=f"a new spelling, as index {seen[name]} has this one",
                        remedy="rename one of the two",
                    )
                seen[name] = index
        if not spellings:
            raise InvalidValueError(
                "entries",
                entries,
                expected="at least one token",
                remedy="pass the model's labels in the order of its outputs",
            )
        self._names = tuple(names[0] for names in spellings)
        self._indices = seen
        self._source: Source | None = None
        self._table = _native.TokenTable(list(seen.items()), len(spellings))

    @classmethod
    def read(cls, path: str | Path) -> Tokens:
        """The tokens of a file: one index a line, its spellings parted by white space.

        Empty lines count for nothing, nor does the byte order mark of some editors.

        Raises:
            FileFormatError: if it is no UTF-8, has no token or has one twice.
        """
        source = Source.of(path)
        data = Path(path).read_bytes().removeprefix(codecs.BOM_UTF8)
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise FileFormatError(
                path,
                f"byte {error.start} is not UTF-8",
                remedy="save the tokens as UTF-8 text, one per line",
            ) from error
        # Split as bytes: a token may be a space of another kind, or a line separator of Unicode.
        lines = [line.split() for line in data.split(b"\n")]
        entries = [[field.decode() for field in fields] for fields in lines if fields]
        try:
            tokens = cls(entries)
        except InvalidValueError as error:
            index = error.name.removeprefix("token ")
            of_index = [number for number, fields in enumerate(lines, start=1) if fields]
            raise FileFormatError(
                path,
                error.args[0].partition(";")[0],
                line=of_index[int(index)] if index.isdigit() else None,
                remedy=error.remedy,
            ) from None
        tokens._source = source
        return tokens

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles its path and digest if it was read from a file, else its spellings."""
        if self._source is not None:
            return _read_again, (self._source.path, self._source.digest())
        entries: list[list[str]] = [[] for _ in self._names]
        for spelling, index in self._indices.items():
            entries[index].append(spelling)
        return _made_again, (tuple(map(tuple, entries)),)

    def index(self, spelling: str) -> int:
        """The index of a spelling.

        Raises:
            UnknownNameError: if no token is spelled so; names the nearest.
        """
        if spelling not in self._indices:
            raise UnknownNameError(
                "token",
                spelling,
                expected=f"one of the {len(self)} tokens",
                remedy=f"the nearest is {self._table.nearest(spelling)!r}",
            )
        return self._indices[spelling]

    def __getitem__(self, index: int) -> str:
        """The name of an index."""
        return self._names[index]

    def __iter__(self) -> Iterator[str]:
        """The tokens by index."""
        return (self[index] for index in range(len(self)))

    def __len__(self) -> int:
        """How many indices there are, which is the width of the emissions."""
        return len(self._names)

    def __contains__(self, spelling: object) -> bool:
        """Whether a token is spelled so."""
        return spelling in self._indices

    def __repr__(self) -> str:
        """Their number, and the first of them."""
        shown = " ".join(self._names[:8])
        return f"Tokens({len(self)}: {shown}{' …' if len(self) > 8 else ''})"

    @cached_property
    def spelling(self) -> Spelling:
        """How they make words: pieces (`▁` begins a word, or `##` goes on with one) or letters."""
        if any(name.startswith("▁") for name in self._names):
            return "sentencepiece"
        return "wordpiece" if any(name.startswith("##") for name in self._names) else "letters"

    @property
    def table(self) -> _native.TokenTable:
        """As the compiled readers take them."""
        return self._table


def _read_again(path: Path, digest: str) -> Tokens:
    return shared((Tokens, digest), lambda: Tokens.read(unchanged(path, digest)))


def _made_again(entries: tuple[tuple[str, ...], ...]) -> Tokens:
    return shared((Tokens, entries), lambda: Tokens(entries))
