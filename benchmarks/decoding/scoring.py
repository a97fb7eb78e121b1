"""Word and character errors of texts against references, per utterance. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["aligned", "character_error_rate", "edits", "word_error_rate", "word_errors"]


def edits(reference: Sequence[object], guess: Sequence[object]) -> int:
    """The least number of substitutions, deletions and insertions from one to the other."""
    row = list(range(len(guess) + 1))
    for i, expected in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, found in enumerate(guess, 1):
            diagonal, row[j] = (
                row[j],
                min(row[j] + 1, row[j - 1] + 1, diagonal + (expected != found)),
            )
    return row[-1]


def aligned(reference: Sequence[object], guess: Sequence[object]) -> list[tuple[int, int]]:
    """Places of equal items, (in the reference, in the guess), in a cheapest alignment."""
    rows = [list(range(len(guess) + 1))]
    for i, expected in enumerate(reference, 1):
        above, row = rows[-1], [i]
        for j, found in enumerate(guess, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (expected != found)))
        rows.append(row)
    pairs = []
    i, j = len(reference), len(guess)
    while i and j:
        equal = reference[i - 1] == guess[j - 1]
        if rows[i][j] == rows[i - 1][j - 1] + (not equal):
            i, j = i - 1, j - 1
            pairs += [(i, j)] if equal else []
        elif rows[i][j] == rows[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def word_errors(references: Sequence[str], guesses: Sequence[str]) -> list[int]:
    """Word errors of each utterance."""
    pairs = zip(references, guesses, strict=True)
    return [edits(reference.split(), guess.split()) for reference, guess in pairs]


def word_error_rate(references: Sequence[str], guesses: Sequence[str]) -> float:
    """Word errors of the whole set, by its number of words."""
    return sum(word_errors(references, guesses)) / sum(len(text.split()) for text in references)


def character_error_rate(references: Sequence[str], guesses: Sequence[str]) -> float:
    """Character errors of the whole set, spaces included, by its number of characters."""
    pairs = zip(references, guesses, strict=True)
    return sum(edits(reference, guess) for reference, guess in pairs) / sum(map(len, references))
