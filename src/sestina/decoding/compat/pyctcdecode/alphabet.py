"""The labels of an acoustic model as pyctcdecode has them: " " between words, "" for the blank."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Final

from sestina.core.errors import FileFormatError, InvalidValueError
from sestina.decoding.compat.pyctcdecode.checks import text_of
from sestina.decoding.lexicon import Lexicon
from sestina.decoding.phrases import spelled
from sestina.decoding.tokens import Tokens

__all__ = [
    "BLANK",
    "BLANK_TOKEN_PTN",
    "BPE_TOKEN",
    "PIECE",
    "SPACE",
    "SPECIAL_TOKEN_PTN",
    "UNK_BPE_TOKEN",
    "UNK_TOKEN",
    "UNK_TOKEN_PTN",
    "Alphabet",
    "lexicon_of",
    "read_alphabet",
    "silence_of",
    "spelled_in",
    "token_names",
    "verify_alphabet_coverage",
]

BLANK = ""
SPACE = " "
PIECE = "▁"  # begins a word
# Names and values of pyctcdecode's; Hugging Face imports some and matches labels with them.
BPE_TOKEN = PIECE
UNK_TOKEN = "⁇"  # noqa: S105  no password
UNK_BPE_TOKEN = f"{PIECE}{UNK_TOKEN}{PIECE}"
SPECIAL_TOKEN_PTN = re.compile(r"^[<\[].+[>\]]$")
BLANK_TOKEN_PTN = re.compile(r"^[<\[]pad[>\]]$", re.IGNORECASE)
UNK_TOKEN_PTN = re.compile(r"^[<\[]unk[>\]]$", re.IGNORECASE)
_FOREIGN: Final = 0.2  # of the letters of all words, above which a warning is due
_logger = logging.getLogger(__name__)


class Alphabet:
    """Labels by column of the logits; `build_alphabet` brings those of a model into this form."""

    def __init__(self, labels: Sequence[str], is_bpe: bool) -> None:
        self._labels = list(labels)
        self._is_bpe = is_bpe

    @property
    def is_bpe(self) -> bool:
        """Whether the labels are pieces of words, of which `▁` begins one."""
        return self._is_bpe

    @property
    def labels(self) -> list[str]:
        """A copy of the labels."""
        return list(self._labels)

    @classmethod
    def build_alphabet(cls, labels: Sequence[str]) -> Alphabet:
        """The labels with their blank, space and unknown one under the names used here.

        `[pad]`, `<pad>` or else `_` is the blank, which is added as the last one if there is none;
        `|` is the space; WordPiece's `##` becomes SentencePiece's `▁`.

        Raises:
            InvalidValueError: if one occurs twice, or there are spaces among pieces of words.
        """
        if len(set(labels)) < len(labels):
            raise InvalidValueError(
                "labels", list(labels), expected="each one once", remedy="rename the second"
            )
        is_bpe = any(label.startswith(("##", PIECE)) for label in labels)
        if is_bpe and any(SPACE in label for label in labels):
            raise InvalidValueError(
                "labels", list(labels), expected="no space among pieces", remedy="leave it out"
            )
        named = _of_pieces(labels) if is_bpe else _of_letters(labels)
        if BLANK not in named:
            named.append(BLANK)
        if not is_bpe and SPACE not in named:
            _logger.warning("no label is a space, so that every result is one word")
        return cls(named, is_bpe)

    def dumps(self) -> str:
        """As JSON."""
        return json.dumps({"labels": self._labels, "is_bpe": self._is_bpe})

    @classmethod
    def loads(cls, s: str) -> Alphabet:
        """What `dumps` made.

        Raises:
            InvalidValueError: if it is something else.
        """
        try:
            found = json.loads(s)
        except (ValueError, RecursionError):  # no JSON, or of thousands of brackets
            found = None
        match found:
            case {"labels": [*labels], "is_bpe": bool(is_bpe), **others} if not others and all(
                isinstance(label, str) for label in labels
            ):
                return cls(labels, is_bpe)
        raise InvalidValueError(
            "alphabet",
            s[:80],
            expected="JSON with labels, all of them texts, and is_bpe",
            remedy="save the decoder anew",
        )


def read_alphabet(path: str | Path) -> Alphabet:
    """The alphabet of a file.

    Raises:
        FileFormatError: if it has something else.
    """
    try:
        return Alphabet.loads(text_of(path))
    except InvalidValueError as error:
        raise FileFormatError(path, error.problem, remedy=error.remedy) from error


def verify_alphabet_coverage(alphabet: Alphabet, unigrams: Collection[str]) -> None:
    """Warns in the log if more than a fifth of the letters of some words are no labels.

    Names of a model's own, as `<unk>` is one, are no words.
    """
    letters = {
        letter for word in unigrams if not SPECIAL_TOKEN_PTN.fullmatch(word) for letter in word
    }
    foreign = letters.difference(alphabet.labels)
    if len(foreign) > _FOREIGN * len(letters):
        _logger.warning(
            "%d of the %d letters of the unigrams are no labels: %s",
            len(foreign),
            len(letters),
            "".join(sorted(foreign)[:20]),
        )


def _of_letters(labels: Sequence[str]) -> list[str]:
    named = [BLANK if BLANK_TOKEN_PTN.fullmatch(label) else label for label in labels]
    if SPACE not in named:
        named = [SPACE if label == "|" else label for label in named]
    if BLANK not in named:
        named = [BLANK if label == "_" else label for label in named]
    return [UNK_TOKEN if UNK_TOKEN_PTN.fullmatch(label) else label for label in named]


def _of_pieces(labels: Sequence[str]) -> list[str]:
    named = list(labels)
    if any(label.startswith("##") for label in labels):
        kept = {BLANK, PIECE, UNK_BPE_TOKEN}
        named = [
            label.removeprefix("##")
            if label.startswith("##") or label in kept or SPECIAL_TOKEN_PTN.fullmatch(label)
            else PIECE + label
            for label in labels
        ]
    named = [BLANK if BLANK_TOKEN_PTN.fullmatch(label) else label for label in named]
    return [UNK_BPE_TOKEN if UNK_TOKEN_PTN.fullmatch(label) else label for label in named]


def token_names(alphabet: Alphabet, *, as_pieces: bool = False) -> list[str]:
    """The labels, those of blank and space under names that a lexicon can write.

    Args:
        alphabet: the labels.
        as_pieces: whether letters count as pieces of words, whose texts a language model is given
            where no lexicon spells them: a column that no frame has begins a word as pieces do.
    """
    labels = alphabet.labels
    names = [
        _unused("<blank>", labels)
        if label == BLANK
        else _unused("<space>", labels)
        if label == SPACE
        else label
        for label in labels
    ]
    if not alphabet.is_bpe and SPACE not in labels:
        names.append(_unused("<space>", labels))  # a column that no frame has
    return [*names, PIECE] if as_pieces and not alphabet.is_bpe else names


def silence_of(alphabet: Alphabet, tokens: Tokens) -> str:
    """The name of the space, of those that `token_names` gave."""
    labels = alphabet.labels
    return tokens[labels.index(SPACE) if SPACE in labels else len(labels)]


def _unused(name: str, labels: Collection[str]) -> str:
    return _unused(f"<{name}>", labels) if name in labels else name


def spelled_in(word: str, tokens: Tokens) -> Sequence[str]:
    """A word's tokens, none if some are missing."""
    try:
        return spelled(word, tokens)
    except InvalidValueError:
        return ()


def lexicon_of(words: Iterable[str], tokens: Tokens, silence: str) -> Lexicon:
    """The words that can be spelled, ended by the silence if there is one."""
    ends = [silence] if silence else []
    spellings = {
        word: " ".join([*spelling, *ends])
        for word in sorted(set(words))
        if (spelling := spelled_in(word, tokens))
    }
    return Lexicon.from_spellings(spellings, tokens)
