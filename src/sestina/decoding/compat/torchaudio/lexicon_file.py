"""Lexicon files, read by the compiled reader, with the errors that TorchAudio's users catch."""

from __future__ import annotations

from pathlib import Path

from sestina.core.errors import FileFormatError
from sestina.decoding import _native
from sestina.decoding.compat.flashlight.dictionary import Dictionary
from sestina.decoding.reading import naming_path, read_bytes

__all__ = ["read_lexicon", "words_of"]


def read_lexicon(path: str, tokens: Dictionary) -> _native.Lexicon:
    """The words of a lexicon file and their spellings.

    Raises:
        ValueError: if the file can't be opened or has a token that is unknown.
        RuntimeError: for a word without a spelling.
    """
    table = _native.TokenTable(list(tokens.entries.items()), tokens.index_size())
    try:
        with naming_path(path):
            return _native.Lexicon.parse(read_bytes(Path(path)), table)
    except OSError as error:
        raise ValueError(f"text::loadWords - can't open file {path}") from error
    except FileFormatError as error:
        raise _as_theirs(error, tokens) from error


def _as_theirs(error: FileFormatError, tokens: Dictionary) -> Exception:
    """Of their type, and beginning with their message."""
    if error.line is None:
        return error
    lines = read_bytes(error.path).decode(errors="surrogateescape").split("\n")
    fields = lines[error.line - 1].split()
    if len(fields) < 2:
        return RuntimeError(f"[loadWords] Invalid line: {lines[error.line - 1]} ({error})")
    unknown = next((field for field in fields[1:] if not tokens.contains(field)), None)
    if unknown is None:
        return error
    return ValueError(f"Unknown entry in dictionary: '{unknown}' ({error})")


def words_of(lexicon: _native.Lexicon) -> list[str]:
    """Its words in the order of the file."""
    return [
        lexicon.word(word).decode(errors="surrogateescape") for word in range(lexicon.num_words)
    ]
