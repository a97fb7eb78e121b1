"""A language model of 12.7 million n-grams, synthesised with a seed.

Its counts are near those of a 4-gram model of 50 million words of books, and some words are as much
more common than others. An n-gram's context and its suffix are in the model, as they are in what
tools estimate from text, and lines are in the order in which KenLM's `lmplz` writes them: by the
last word, then by the one before it. Probabilities are noise: reading takes no notice of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from benchmarks.decoding.sets import BUILT

__all__ = ["COUNTS", "large_arpa"]

COUNTS = (200_000, 6_900_000, 2_800_000, 2_800_000)
_SEED = 12_700_000
_LINES_AT_ONCE = 500_000
Ids = NDArray[np.int64]


def large_arpa() -> Path:
    """The file, written now if it is not there: a minute, 470 MB, 1.5 GB of memory for a while."""
    path = BUILT / f"synthetic-{sum(COUNTS)}.arpa"
    if not path.exists():
        BUILT.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}")
        with partial.open("w") as file:
            _write(file, np.random.default_rng(_SEED))
        partial.replace(path)
    return path


def _write(file: TextIO, rng: np.random.Generator) -> None:
    words = np.array(["<unk>", "<s>", "</s>", *_spellings(rng, COUNTS[0] - 3)])
    file.write("\\data\\\n")
    file.writelines(f"ngram {order}={count}\n" for order, count in enumerate(COUNTS, 1))
    grams: Ids = np.arange(COUNTS[0])[:, None]
    for order, count in enumerate(COUNTS, 1):
        if order > 1:
            grams = _extended(grams, count, rng)
        _write_section(file, grams, words, rng)
    file.write("\n\\end\\\n")


def _spellings(rng: np.random.Generator, count: int) -> list[str]:
    """Different words of some 2 to 12 letters, as English has them: 8 on average."""
    words: dict[str, None] = {}
    while len(words) < count:
        lengths = np.clip(rng.normal(8, 2, count), 2, 14).astype(int)
        letters = "".join(map(chr, rng.integers(97, 123, lengths.sum())))
        ends = np.cumsum(lengths)
        words |= dict.fromkeys(
            letters[end - size : end]
            for size, end in zip(lengths.tolist(), ends.tolist(), strict=True)
        )
    return list(words)[:count]


def _extended(grams: Ids, count: int, rng: np.random.Generator) -> Ids:
    """`count` different n-grams of one word more, sorted from the last word to the first.

    The first words are an n-gram of `grams` (by its place there), the last ones another.
    """
    num_words = COUNTS[0]
    # An n-gram's words but its first say which others can follow it.
    starts = _joined(grams[:, :-1], num_words)
    order = np.argsort(starts, kind="stable")
    starts = starts[order]
    suffixes = _joined(grams[:, 1:], num_words)
    begin = np.searchsorted(starts, suffixes, "left")
    choices = np.searchsorted(starts, suffixes, "right") - begin
    keys: Ids = np.zeros(0, np.int64)
    while len(keys) < count:
        if grams.shape[1] == 1:
            # By Zipf's law the k-th word has a share of 1/k: its logarithm is uniform.
            first, last = ((len(grams) ** rng.random(count) - 1).astype(np.int64) for _ in range(2))
        else:
            # Those that end in common words come first, and are what others begin with.
            first = (len(grams) * rng.random(2 * count) ** 3).astype(np.int64)
            first = first[choices[first] > 0]
            last = (choices[first] * rng.random(len(first)) ** 2).astype(np.int64)
        word = grams[order[begin[first] + last], -1]
        before = len(keys)
        keys = np.union1d(keys, first * num_words + word)
        assert len(keys) > before + count // 100, "there are too few such n-grams"
    keys = np.sort(rng.choice(keys, count, replace=False))
    made = np.concatenate([grams[keys // num_words], keys[:, None] % num_words], axis=1)
    return made[np.lexsort(made.T)]


def _joined(grams: Ids, num_words: int) -> Ids:
    """Each row as one number; three words of 18 bits fit."""
    joined = np.zeros(len(grams), np.int64)
    for column in grams.T:
        joined = joined * num_words + column
    return joined


def _write_section(
    file: TextIO, grams: Ids, words: NDArray[np.str_], rng: np.random.Generator
) -> None:
    order = grams.shape[1]
    file.write(f"\n\\{order}-grams:\n")
    for start in range(0, len(grams), _LINES_AT_ONCE):
        piece = grams[start : start + _LINES_AT_ONCE]
        texts = map(" ".join, zip(*(words[column].tolist() for column in piece.T), strict=True))
        scores = (-5 * rng.random(len(piece)) - 0.01).tolist()
        if order == len(COUNTS):
            lines = map("%.7g\t%s\n".__mod__, zip(scores, texts, strict=True))
        else:
            # Over half of the contexts of a pruned model have a weight of 1.
            weights = np.where(rng.random(len(piece)) < 0.4, -rng.random(len(piece)), 0.0).tolist()
            lines = map("%.7g\t%s\t%.7g\n".__mod__, zip(scores, texts, weights, strict=True))
        file.writelines(lines)
