"""Word and character error rates of texts against references, with alignments and intervals.

Errors are the substitutions, deletions and insertions of an alignment with the fewest of them
(Levenshtein 1966); among several of those, one with the most units right. Both are one number to
minimise: a deletion or insertion costs S, a substitution S + 1, with S above any number of
substitutions. As deletions and insertions differ by the lengths' difference, that number tells all
three counts, and no path need be traced back.

Suffixes: u utterance, i unit of the reference, j unit of the text, d draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sestina.core.errors import InvalidValueError, OptionError, ShapeError
from sestina.core.text import display_width
from sestina.decoding.checks import check_kind

__all__ = ["Alignment", "Comparison", "ErrorRate", "Unit", "align", "compare", "error_rate"]

Unit = Literal["word", "character"]
Ints = NDArray[np.int64]

_CELLS = 1 << 15
"""Of the batches that are compared at once: they stay in the cache."""
_DRAWS_AT_ONCE = 1 << 20
_MOST_DRAWS = 1_000_000
"""The bounds' third digit changes no more from one seed to the next."""
_GAP = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """A text beside its reference; `str` of it shows one below the other."""

    pairs: tuple[tuple[str | None, str | None], ...]
    """Units of the reference and of the text; None where one has nothing to the other's."""

    @property
    def substitutions(self) -> int:
        """Units that stand for others."""
        return sum(None not in pair and pair[0] != pair[1] for pair in self.pairs)

    @property
    def deletions(self) -> int:
        """Units of the reference that the text lacks."""
        return sum(found is None for _, found in self.pairs)

    @property
    def insertions(self) -> int:
        """Units of the text that the reference lacks."""
        return sum(expected is None for expected, _ in self.pairs)

    @property
    def errors(self) -> int:
        """All three together."""
        return self.substitutions + self.deletions + self.insertions

    def __str__(self) -> str:
        """Three lines: the reference, the text, and S, D or I below each error."""
        columns = [
            (expected or _GAP, found or _GAP, _letter(expected, found))
            for expected, found in self.pairs
        ]
        widths = [max(map(display_width, column)) for column in columns]
        lines = []
        for cells in zip(*columns, strict=True):
            padded = [
                cell + " " * (width - display_width(cell))
                for cell, width in zip(cells, widths, strict=True)
            ]
            lines.append(" ".join(padded).rstrip())
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorRate:
    """The errors of a set of texts, by utterance; `str` of it is one line."""

    unit: Unit
    substitutions_u: Ints
    deletions_u: Ints
    insertions_u: Ints
    lengths_u: Ints
    """Units of each reference."""

    @cached_property
    def errors_u(self) -> Ints:
        """(utterance,) all errors."""
        return self.substitutions_u + self.deletions_u + self.insertions_u

    @property
    def errors(self) -> int:
        """All errors of the set."""
        return int(self.errors_u.sum())

    @property
    def rate(self) -> float:
        """Errors for each unit of the references; above 1 if the texts are long."""
        return self.errors / int(self.lengths_u.sum())

    def interval(
        self, *, level: float = 0.95, draws: int = 2000, seed: int = 0
    ) -> tuple[float, float]:
        """Between which bounds the rate lies, by the bootstrap over utterances.

        Args:
            level: the share of draws between the bounds.
            draws: sets of as many utterances, drawn with replacement.
            seed: of the draws.

        Raises:
            InvalidValueError: if one is no number.
            OptionError: if `level` is not between 0 and 1, `draws` not from 1 to 1000000, or `seed`
                below 0.

        Source: Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance
        evaluation", ICASSP 2004.

        Example:
            >>> errors = error_rate(["a b", "c d", "e f"], ["a b", "c", "e g"])
            >>> low, high = errors.interval()
            >>> low <= errors.rate <= high
            True
        """
        rates_d = _drawn(self.errors_u, self.lengths_u, draws, seed)
        return _bounds(rates_d, level)

    def __str__(self) -> str:
        """The rate and its parts."""
        kinds = {
            "substitutions": self.substitutions_u,
            "deletions": self.deletions_u,
            "insertions": self.insertions_u,
        }
        parts = ", ".join(f"{int(counts_u.sum())} {name}" for name, counts_u in kinds.items())
        return f"{100 * self.rate:.2f} % ({parts}; {int(self.lengths_u.sum())} {self.unit}s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two systems on the same utterances, drawn together."""

    difference: float
    """The first one's rate less the second one's."""
    low: float
    high: float
    """Between which bounds the difference lies."""
    share_lower: float
    """Draws in which the first one's rate is the lower one; those without a difference count half.
    """


def align(reference: str, text: str, *, unit: Unit = "word") -> Alignment:
    """The units of two texts beside one another, with the fewest errors.

    Memory and time grow with the product of the lengths: meant for sentences.

    Args:
        reference: what was said.
        text: what was understood.
        unit: "word", as white space parts them, or "character", white space being one space.

    Raises:
        InvalidValueError: if one is no text.
        OptionError: if the unit is another.

    Example:
        >>> print(align("the cat sat on the mat", "the cat sat the old mat"))
        the cat sat on the *   mat
        the cat sat *  the old mat
                    D      I
    """
    for name, given in (("reference", reference), ("text", text)):
        check_kind(name, given, str, "a text, empty for none")
    expected, found = _units(reference, unit), _units(text, unit)
    [reference_i], [text_j] = _numbered([expected], [found])
    substitution = len(expected) + len(found) + 1
    costs_ij = np.stack(list(_rows(reference_i[None], text_j[None], substitution)))[:, 0]
    pairs: list[tuple[str | None, str | None]] = []
    i, j = len(expected), len(found)
    while i or j:
        cost = costs_ij[i, j]
        if i and cost == costs_ij[i - 1, j] + substitution:
            i -= 1
            pairs.append((expected[i], None))
        elif j and cost == costs_ij[i, j - 1] + substitution:
            j -= 1
            pairs.append((None, found[j]))
        else:
            i, j = i - 1, j - 1
            pairs.append((expected[i], found[j]))
    return Alignment(pairs=tuple(reversed(pairs)))


def error_rate(
    references: Sequence[str], texts: Sequence[str], *, unit: Unit = "word"
) -> ErrorRate:
    """The errors of texts against what was said.

    Args:
        references: what was said in each utterance.
        texts: what was understood of it.
        unit: "word", as white space parts them, or "character", white space being one space.

    Raises:
        ShapeError: if there isn't one text for each reference.
        InvalidValueError: if there is no reference, all are empty, a single text is passed, or
            something else than texts.
        OptionError: if the unit is another.

    Example:
        >>> errors = error_rate(["a b c", "d e"], ["a x c", "d"])
        >>> errors.rate, errors.errors
        (0.4, 2)
        >>> print(errors)
        40.00 % (1 substitutions, 1 deletions, 0 insertions; 5 words)
    """
    for name, given in (("references", references), ("texts", texts)):
        if isinstance(given, str):  # a sequence of its letters, says Python
            raise InvalidValueError(
                name, given, expected="several texts", remedy="put a single one into a list"
            )
        for place, text in enumerate(given):
            check_kind(f"{name}[{place}]", text, str, "a text, empty for none")
    if len(references) != len(texts):
        raise ShapeError(
            "texts",
            len(texts),
            expected=f"{len(references)}, one for each reference",
            remedy="pass them in the same order, empty ones for what was not understood",
        )
    expected = [_units(text, unit) for text in references]
    found = [_units(text, unit) for text in texts]
    lengths_u = np.array([len(units) for units in expected], dtype=np.int64)
    if not lengths_u.any():
        raise InvalidValueError(
            "references",
            f"{len(references)} texts without a {unit}",
            expected="something that was said",
            remedy="look at how they were read",
        )
    added_u = np.array([len(units) for units in found], dtype=np.int64) - lengths_u
    substitution = int(max(2 * lengths_u + added_u)) + 1
    costs_u = _costs(*_numbered(expected, found), substitution)
    errors_u, substitutions_u = costs_u // substitution, costs_u % substitution
    insertions_u = (errors_u - substitutions_u + added_u) // 2
    return ErrorRate(
        unit=unit,
        substitutions_u=substitutions_u,
        deletions_u=insertions_u - added_u,
        insertions_u=insertions_u,
        lengths_u=lengths_u,
    )


def compare(
    first: ErrorRate,
    second: ErrorRate,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Comparison:
    """How two systems differ on the same utterances, by the paired bootstrap.

    Args:
        first: one system's errors.
        second: another one's, of the same utterances in the same order.
        level: the share of draws between the bounds.
        draws: sets of as many utterances, drawn with replacement.
        seed: of the draws.

    Raises:
        ShapeError: if the references' lengths are not the same.
        InvalidValueError, OptionError: as for `ErrorRate.interval`.

    Example:
        >>> said = ["a b", "c d", "e f"]
        >>> better, worse = error_rate(said, ["a b", "c", "e"]), error_rate(said, ["", "c", ""])
        >>> found = compare(better, worse)
        >>> found.difference, found.share_lower > 0.9
        (-0.5, True)
    """
    if first.unit != second.unit or not np.array_equal(first.lengths_u, second.lengths_u):
        raise ShapeError(
            "second",
            f"{len(second.lengths_u)} utterances of {second.lengths_u.sum()} {second.unit}s",
            expected=f"the first one's {len(first.lengths_u)} utterances, of "
            f"{first.lengths_u.sum()} {first.unit}s",
            remedy="measure both against the same references",
        )
    more_u = first.errors_u - second.errors_u
    differences_d = _drawn(more_u, first.lengths_u, draws, seed)
    low, high = _bounds(differences_d, level)
    lower = float((differences_d < 0).mean() + (differences_d == 0).mean() / 2)
    return Comparison(difference=first.rate - second.rate, low=low, high=high, share_lower=lower)


def _letter(expected: str | None, found: str | None) -> str:
    if expected is None:
        return "I"
    if found is None:
        return "D"
    return " " if expected == found else "S"


def _units(text: str, unit: Unit) -> list[str]:
    words = text.split()
    if unit == "word":
        return words
    if unit == "character":
        return list(" ".join(words))
    raise OptionError(
        "unit", unit, expected="one of word, character", remedy="count words or characters"
    )


def _numbered(
    expected: Sequence[Sequence[str]], found: Sequence[Sequence[str]]
) -> tuple[list[Ints], list[Ints]]:
    """Equal units get equal numbers, from 0."""
    numbers: dict[str, int] = {}
    as_numbers = [
        [
            np.array([numbers.setdefault(one, len(numbers)) for one in units], dtype=np.int64)
            for units in side
        ]
        for side in (expected, found)
    ]
    return as_numbers[0], as_numbers[1]


def _costs(expected: Sequence[Ints], found: Sequence[Ints], substitution: int) -> Ints:
    """The cost of each pair; pairs of like lengths are computed together."""
    costs_u = np.zeros(len(expected), dtype=np.int64)
    lengths = [(len(one), len(other)) for one, other in zip(expected, found, strict=True)]
    order = sorted(range(len(expected)), key=lambda place: lengths[place])
    start = 0
    while start < len(order):
        batch = [order[start]]
        widest = lengths[order[start]][1]
        for place in order[start + 1 :]:
            widest = max(widest, lengths[place][1])
            if (len(batch) + 1) * (widest + 1) > _CELLS:
                break
            batch.append(place)
        start += len(batch)
        reference_ui = _padded([expected[place] for place in batch], -1)
        text_uj = _padded([found[place] for place in batch], -2)
        ends_u = np.array([lengths[place] for place in batch])
        found_u = np.zeros(len(batch), dtype=np.int64)
        for i, costs_uj in enumerate(_rows(reference_ui, text_uj, substitution)):
            ending = np.flatnonzero(ends_u[:, 0] == i)
            found_u[ending] = costs_uj[ending, ends_u[ending, 1]]
        costs_u[batch] = found_u
    return costs_u


def _padded(sequences: Sequence[Ints], filler: int) -> Ints:
    widest = max(len(sequence) for sequence in sequences)
    padded = np.full((len(sequences), widest), filler, dtype=np.int64)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded


def _rows(reference_ui: Ints, text_uj: Ints, gap: int) -> Iterator[Ints]:
    """Row i, (utterance, j): what it costs to make the first j units of the first i."""
    steps_j = gap * np.arange(text_uj.shape[1] + 1)
    row_uj = np.broadcast_to(steps_j, (len(text_uj), len(steps_j))).copy()
    yield row_uj
    for unit_u in reference_ui.T:
        next_uj = row_uj + gap
        replaced_uj = row_uj[:, :-1] + (gap + 1) * (text_uj != unit_u[:, None])
        np.minimum(next_uj[:, 1:], replaced_uj, out=next_uj[:, 1:])
        # Insertions: the least over all j' < j of next[j'] + gap · (j − j').
        row_uj = np.minimum.accumulate(next_uj - steps_j, axis=1) + steps_j
        yield row_uj


def _drawn(values_u: Ints, lengths_u: Ints, draws: int, seed: int) -> NDArray[np.float64]:
    """Σ values / Σ lengths of sets of utterances drawn with replacement."""
    check_kind("draws", draws, Integral, "an integer")
    check_kind("seed", seed, Integral, "an integer")
    if not 1 <= draws <= _MOST_DRAWS:
        raise OptionError(
            "draws", draws, expected=f"1 to {_MOST_DRAWS} of them", remedy="draw some thousands"
        )
    if seed < 0:
        raise OptionError("seed", seed, expected="an integer, at least 0", remedy="pass e.g. 0")
    generator, count = np.random.default_rng(seed), len(values_u)
    rates = []
    at_once = max(1, _DRAWS_AT_ONCE // count)
    for start in range(0, draws, at_once):
        places_du = generator.integers(0, count, (min(at_once, draws - start), count))
        # Of a set that says nothing the rate is 0.
        lengths_d = np.maximum(lengths_u[places_du].sum(axis=1), 1)
        rates.append(values_u[places_du].sum(axis=1) / lengths_d)
    return np.concatenate(rates)


def _bounds(rates_d: NDArray[np.float64], level: float) -> tuple[float, float]:
    check_kind("level", level, Real, "a number")
    if not 0 < level < 1:
        raise OptionError("level", level, expected="between 0 and 1", remedy="pass e.g. 0.95")
    low, high = np.quantile(rates_d, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
