"""The names of `flashlight.lib.text.dictionary`: entries by index, and lexicon files.

Errors are those of Flashlight Text 0.0.7, so that code that catches them goes on working. Unlike
there, words keep the order of their file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

__all__ = ["Dictionary", "create_word_dict", "load_words", "pack_replabels", "unpack_replabels"]

_UNKNOWN = "<unk>"


class Dictionary:
    """Entries by index; several may share one, of which the first is its name.

    Args:
        filename: of a file with an index a line, its entries parted by white space, empty lines
            counting for nothing; or the entries themselves. Nothing if neither is given.
        tkns: the entries, too.

    Raises:
        RuntimeError: if the file can't be opened.
        ValueError: if an entry occurs twice.

    Example:
        >>> letters = Dictionary(["-", "|", "a"])
        >>> letters.get_index("a"), letters.get_entry(1), letters.index_size()
        (2, '|', 3)
    """

    def __init__(
        self, filename: str | Sequence[str] = (), *, tkns: Sequence[str] | None = None
    ) -> None:
        self._indices: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._default = -1
        if isinstance(filename, str):
            self._read(filename)
            return
        for entry in filename if tkns is None else tkns:
            self.add_entry(entry)

    def _read(self, path: str) -> None:
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise RuntimeError(f"Dictionary - cannot open file  {path}") from error
        # Split as bytes: a token may be a space of another kind, or a line separator of Unicode.
        for line in data.split(b"\n"):
            index = len(self._names)
            for field in line.split():
                self.add_entry(field.decode(errors="surrogateescape"), index)

    def add_entry(self, entry: str, idx: int | None = None) -> None:
        """Adds an entry under an index; under the next free one if none is given."""
        if entry in self._indices:
            kind = "entry" if idx is None else "entry name"
            raise ValueError(f"Duplicate {kind} in dictionary '{entry}'")
        if idx is None:
            idx = len(self._names)
            while idx in self._names:
                idx += 1
        self._indices[entry] = idx
        self._names.setdefault(idx, entry)

    def get_entry(self, idx: int) -> str:
        """The name of an index."""
        if idx not in self._names:
            raise ValueError(f"Unknown index in dictionary '{idx}'")
        return self._names[idx]

    def get_index(self, entry: str) -> int:
        """The index of an entry; of one that isn't there, the default if that was set."""
        found = self._indices.get(entry, self._default)
        if found < 0 and entry not in self._indices:
            raise ValueError(f"Unknown entry in dictionary: '{entry}'")
        return found

    def set_default_index(self, idx: int) -> None:
        """Sets the index of whatever isn't there."""
        self._default = idx

    @property
    def entries(self) -> Mapping[str, int]:
        """Each entry's index."""
        return self._indices

    def contains(self, entry: str) -> bool:
        """Whether the entry is there."""
        return entry in self._indices

    def entry_size(self) -> int:
        """How many entries there are."""
        return len(self._indices)

    def index_size(self) -> int:
        """How many indices there are."""
        return len(self._names)

    def is_contiguous(self) -> bool:
        """Whether the indices run from 0 without a gap."""
        return all(index in self._names for index in range(len(self._names)))

    def map_entries_to_indices(self, entries: Iterable[str]) -> list[int]:
        """The index of each entry."""
        return [self.get_index(entry) for entry in entries]

    def map_indices_to_entries(self, indices: Iterable[int]) -> list[str]:
        """The name of each index."""
        return [self.get_entry(index) for index in indices]


def create_word_dict(lexicon: Mapping[str, Sequence[Sequence[str]]]) -> Dictionary:
    """A dictionary of a lexicon's words, with `<unk>` for all others.

    Raises:
        ValueError: if `<unk>` isn't in the lexicon.
    """
    words = Dictionary(list(lexicon))
    words.set_default_index(words.get_index(_UNKNOWN))
    return words


def load_words(filename: str, max_words: int = -1) -> dict[str, list[list[str]]]:
    """The spellings of each word of a lexicon file, and `<unk>` without one.

    Args:
        filename: of lines `WORD token token …`, parted by spaces or tabs.
        max_words: how many words are read at most; -1 for all.

    Raises:
        ValueError: if the file can't be opened.
        RuntimeError: for a line without a token.
    """
    try:
        data = Path(filename).read_bytes()
    except OSError as error:
        raise ValueError(f"text::loadWords - can't open file {filename}") from error
    lexicon: dict[str, list[list[str]]] = {}
    lines = data.decode(errors="surrogateescape").removesuffix("\n").split("\n") if data else []
    for line in lines:
        if len(lexicon) == max_words:
            break
        fields = line.split()
        if len(fields) < 2:
            raise RuntimeError(f"[loadWords] Invalid line: {line}")
        lexicon.setdefault(fields[0], []).append(fields[1:])
    lexicon.pop(_UNKNOWN, None)
    return lexicon | {_UNKNOWN: []}


def pack_replabels(tokens: Sequence[int], dict: Dictionary, max_reps: int) -> list[int]:
    """Writes a token's repetitions as one of the tokens `<1>` to `<max_reps>`, as ASG has them.

    Raises:
        ValueError: if the dictionary lacks one of these.

    Example:
        >>> letters = Dictionary(["a", "b", "<1>", "<2>"])
        >>> pack_replabels([0, 0, 0, 1], letters, 2)
        [0, 3, 1]
    """
    if not tokens or max_reps <= 0:
        return list(tokens)
    labels = [dict.get_index(f"<{k}>") for k in range(1, max_reps + 1)]
    packed: list[int] = []
    repeats = 0
    for place, token in enumerate(tokens):
        if place and token == tokens[place - 1] and repeats < max_reps:
            repeats += 1
            continue
        if repeats:
            packed.append(labels[repeats - 1])
            repeats = 0
        packed.append(token)
    return packed + ([labels[repeats - 1]] if repeats else [])


def unpack_replabels(tokens: Sequence[int], dict: Dictionary, max_reps: int) -> list[int]:
    """Undoes `pack_replabels`; labels that follow no token say nothing.

    Example:
        >>> unpack_replabels([0, 3, 1], Dictionary(["a", "b", "<1>", "<2>"]), 2)
        [0, 0, 0, 1]
    """
    if not tokens or max_reps <= 0:
        return list(tokens)
    repeats_of = {dict.get_index(f"<{k}>"): k for k in range(1, max_reps + 1)}
    unpacked: list[int] = []
    previous = -1
    for token in tokens:
        if token not in repeats_of:
            unpacked.append(token)
            previous = token
        elif previous >= 0:
            unpacked += [previous] * repeats_of[token]
            previous = -1
    return unpacked
