"""An n-gram model with interpolated Kneser-Ney smoothing, in the ARPA format.

p(w|h) = max(c(hw) − D, 0)/c(h) + D·N(h)/c(h) · p(w|h'), with h' the history h less its first word,
N(h) the number of words seen after h and D = n₁/(n₁ + 2n₂) for each order, n₁ and n₂ being the
n-grams counted once and twice (Kneser and Ney 1995, interpolated as in Chen and Goodman 1999).
Below the highest order c counts the words seen before an n-gram rather than the n-gram itself.
"""

from __future__ import annotations

import gzip
import io
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

__all__ = ["estimate", "write_arpa"]

Ngram = tuple[str, ...]

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"


def estimate(
    sentences: Iterable[str], order: int, vocabulary: Iterable[str] = ()
) -> list[dict[Ngram, tuple[float, float]]]:
    """For each order from 1 the n-grams with their probability and backoff weight.

    Words of the vocabulary that no sentence has are as probable as the unknown word.
    """
    counts = _counts(sentences, order)
    # The ARPA form of the recursion: an n-gram's entry is its interpolated probability, the weight
    # of what was taken from h stands as backoff beside h.
    known = dict.fromkeys((word,) for word in vocabulary)
    words = [*dict.fromkeys([*counts[0], *known]), (UNKNOWN,)]
    lower: dict[Ngram, float] = dict.fromkeys(((word[-1],) for word in words), 1 / len(words))
    models: list[dict[Ngram, tuple[float, float]]] = []
    for level, seen in enumerate(counts):
        discount = _discount(seen)
        totals: Counter[Ngram] = Counter()
        followers: Counter[Ngram] = Counter()
        for ngram, count in seen.items():
            totals[ngram[:-1]] += count
            followers[ngram[:-1]] += 1
        weights = {h: discount * followers[h] / totals[h] for h in totals}
        probabilities = {
            ngram: max(seen[ngram] - discount, 0) / totals[ngram[:-1]]
            + weights[ngram[:-1]] * lower[ngram[1:] if level else ngram]
            for ngram in (words if level == 0 else seen)
        }
        if level:
            models[-1] = {h: (p, weights.get(h, 1.0)) for h, (p, _) in models[-1].items()}
        else:
            probabilities[BEGIN,] = 10.0**-99
        models.append({ngram: (p, 1.0) for ngram, p in probabilities.items()})
        lower = probabilities
    return models


def write_arpa(path: Path, models: list[dict[Ngram, tuple[float, float]]]) -> None:
    """Writes the model in the ARPA format, compressed with gzip; the same bytes every time."""
    lines = ["\\data\\", *(f"ngram {k}={len(model)}" for k, model in enumerate(models, 1))]
    for level, model in enumerate(models, 1):
        lines += ["", f"\\{level}-grams:"]
        for ngram, (probability, backoff) in sorted(model.items()):
            entry = f"{math.log10(probability):.5f}\t{' '.join(ngram)}"
            lines.append(entry if level == len(models) else f"{entry}\t{math.log10(backoff):.5f}")
    text = "\n".join([*lines, "", "\\end\\", ""])
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file:
        file.write(text.encode())
    path.write_bytes(buffer.getvalue())


def _counts(sentences: Iterable[str], order: int) -> list[Counter[Ngram]]:
    highest: Counter[Ngram] = Counter()
    at_begin: list[Counter[Ngram]] = [Counter() for _ in range(order)]
    for sentence in sentences:
        words = (BEGIN, *sentence.split(), END)
        highest.update(words[i : i + order] for i in range(len(words) - order + 1))
        # Nothing stands before <s>, so what begins with it is counted itself.
        for length in range(2, min(order, len(words) + 1)):
            at_begin[length - 1][words[:length]] += 1
    counts = [highest]
    for length in range(order - 1, 0, -1):
        preceding: defaultdict[Ngram, int] = defaultdict(int)
        for ngram in counts[0]:
            preceding[ngram[1:]] += 1
        counts.insert(0, Counter(preceding) + at_begin[length - 1])
    return counts


def _discount(seen: Counter[Ngram]) -> float:
    once, twice = (sum(count == times for count in seen.values()) for times in (1, 2))
    return once / (once + 2 * twice) if once else 0.5
