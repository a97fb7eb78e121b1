"""Hotwords and grammars, as the command line and files give them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from sestina.core.errors import FileFormatError, OptionError

__all__ = ["read_grammar", "read_hotwords"]


def read_hotwords(
    given: Iterable[str], path: Path | None, *, default_score: float
) -> dict[str, float]:
    """Phrases and their scores; a phrase may come again with the same score.

    Args:
        given: each `PHRASE` or `PHRASE:SCORE`.
        path: a file with one of these a line; lines without text are left out.
        default_score: of phrases without one.

    Raises:
        OptionError: for a phrase without words, or one that came before with another score.
        FileFormatError: for such a line, or if the file is no UTF-8.
    """
    found: dict[str, float] = {}
    for number, line in enumerate(_lines(path), 1) if path is not None else ():
        if line.strip():
            phrase, score = _parted(line, default_score)
            if not phrase:
                raise FileFormatError(
                    path or "",
                    f"{line.strip()!r} has no words, expected PHRASE or PHRASE:SCORE",
                    line=number,
                    remedy="write a phrase, or take the line out",
                )
            if found.setdefault(phrase, score) != score:
                raise FileFormatError(
                    path or "",
                    f"{phrase!r} has the score {score:g}, expected {found[phrase]:g} as above",
                    line=number,
                    remedy="leave one of the lines out",
                )
    for text in given:
        phrase, score = _parted(text, default_score)
        if not phrase:
            raise OptionError(
                "--hotword", text, expected="PHRASE or PHRASE:SCORE", remedy="write a phrase"
            )
        if found.setdefault(phrase, score) != score:
            raise OptionError(
                "--hotword",
                text,
                expected=f"the score {found[phrase]:g}, with which {phrase!r} was given before",
                remedy="give it once",
            )
    return found


def read_grammar(path: Path | None) -> list[str] | None:
    """The phrases of a file, one a line, of which a reading is one; None without a file.

    Raises:
        FileFormatError: if it has no phrases, or is no UTF-8.
    """
    if path is None:
        return None
    phrases = [" ".join(line.split()) for line in _lines(path) if line.strip()]
    if not phrases:
        raise FileFormatError(
            path, "it has no phrases, expected one a line", remedy="write what may be said"
        )
    return phrases


def _parted(text: str, default_score: float) -> tuple[str, float]:
    """The phrase with single spaces, and its score: what follows the last colon, if a number."""
    phrase, colon, number = text.rpartition(":")
    try:
        score = float(number) if colon else default_score
    except ValueError:  # a colon of the phrase's own
        phrase, score = text, default_score
    if not colon:
        phrase = text
    if not math.isfinite(score):
        raise OptionError(
            f"score of {phrase!r}", score, expected="a finite number", remedy="choose 1 to 10"
        )
    return " ".join(phrase.split()), score


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FileFormatError(
            path, f"byte {error.start} is not UTF-8", remedy="save the phrases as UTF-8"
        ) from error
