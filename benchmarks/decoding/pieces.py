"""Word-pieces for the benchmark: 1,024 of them, learnt by byte-pair encoding over the lexicon.

Words count as often as the benchmark's language model expects them. "▁" starts a word, so that
there is no separator. Learnt and written into build/decoding on first use (under a minute):

    pieces.txt           the tokens: "-", "|" (Flashlight wants a separator; none is ever emitted),
                         then the pieces
    lexicon_pieces.txt   the 200,000 words and their pieces
"""

from __future__ import annotations

import collections
import gzip
import itertools
from collections.abc import Iterable, Mapping

from benchmarks.decoding.emissions import ALIKE, Alphabet
from benchmarks.workers import ROOT

__all__ = ["LEXICON", "TOKENS", "alphabet", "learn", "split", "write"]

_BENCH = ROOT.parent / "shared" / "data" / "decoding" / "bench"
_BUILT = ROOT / "build" / "decoding"
TOKENS = _BUILT / "pieces.txt"
LEXICON = _BUILT / "lexicon_pieces.txt"
_NUM_PIECES = 1024

Pair = tuple[str, str]


def alphabet(texts: Iterable[str]) -> Alphabet:
    """The pieces as tokens of emissions, with spellings of the texts' words."""
    write()
    tokens = tuple(TOKENS.read_text().split())
    index = {token: n for n, token in enumerate(tokens)}
    wanted = {word for text in texts for word in text.split()}
    spellings = {}
    with LEXICON.open() as file:
        for line in file:
            word, *spelling = line.split()
            if word in wanted:
                spellings[word] = tuple(index[piece] for piece in spelling)
    return Alphabet(
        tokens=tokens,
        blank=index["-"],
        separator=None,
        rivals=tuple(tuple(sorted(_rivals(token, index))) for token in tokens),
        spellings=spellings,
    )


def write() -> None:
    """Learns the pieces and writes both files, unless they are there."""
    if TOKENS.exists() and LEXICON.exists():
        return
    _BUILT.mkdir(parents=True, exist_ok=True)
    with gzip.open(_BENCH / "lexicon200k.txt.gz", "rt") as file:
        words = dict.fromkeys(line.split()[0] for line in file)
    weights = _unigrams()
    pieces, spellings = learn({word: weights.get(word, 0.0) for word in words}, _NUM_PIECES)
    partial = LEXICON.with_suffix(".partial")
    partial.write_text("".join(f"{w}\t{' '.join(spellings[w])}\n" for w in words))
    partial.replace(LEXICON)
    TOKENS.write_text("\n".join(["-", "|", *pieces]) + "\n")


def learn(
    weights: Mapping[str, float], num_pieces: int
) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """Joins the heaviest pair of neighbours until there are `num_pieces`.

    Returns:
        The pieces (single letters first, then in the order of joining), and each word's pieces.
    """
    spellings = {word: split(word) for word in weights}
    pieces = sorted({piece for spelling in spellings.values() for piece in spelling})
    heavy: dict[Pair, float] = collections.defaultdict(float)
    places: dict[Pair, set[str]] = collections.defaultdict(set)
    for word, spelling in spellings.items():
        for pair in itertools.pairwise(spelling):
            heavy[pair] += weights[word]
            places[pair].add(word)
    while len(pieces) < num_pieces:
        # Ties go to the first in the alphabet, so that the result does not depend on hashing.
        best = max(heavy, key=lambda pair: (heavy[pair], pair))
        pieces.append("".join(best))
        for word in places.pop(best):
            before, after = spellings[word], _join(spellings[word], best)
            for pair in itertools.pairwise(before):
                heavy[pair] -= weights[word]
            for pair in itertools.pairwise(after):
                heavy[pair] += weights[word]
                places[pair].add(word)
            spellings[word] = after
        del heavy[best]
    return pieces, spellings


def split(word: str) -> tuple[str, ...]:
    """The word's letters, the first with the mark of a beginning."""
    return (f"▁{word[0]}", *word[1:])


def _join(spelling: tuple[str, ...], pair: Pair) -> tuple[str, ...]:
    joined: list[str] = []
    for piece in spelling:
        if joined and (joined[-1], piece) == pair:
            joined[-1] += piece
        else:
            joined.append(piece)
    return tuple(joined)


def _unigrams() -> dict[str, float]:
    weights = {}
    with gzip.open(_BENCH / "lm3.arpa.gz", "rt") as file:
        for line in file:
            if line.startswith("\\2-grams"):
                break
            fields = line.split("\t")
            if len(fields) >= 2:
                weights[fields[1].strip()] = 10 ** float(fields[0])
    return weights


def _rivals(piece: str, index: Mapping[str, int]) -> set[int]:
    """Pieces that differ by one letter that sounds alike, or lack or add one at the end."""
    near = {piece[:-1], piece.removeprefix("▁"), f"▁{piece}"}
    for pair in ALIKE:
        if len(pair) == 2:
            for old, new in ((pair[0], pair[1]), (pair[1], pair[0])):
                near |= {
                    piece[:place] + new + piece[place + 1 :]
                    for place, letter in enumerate(piece)
                    if letter == old
                }
    near |= {piece + letter for letter in "eshtd"}
    return {index[other] for other in near - {piece} if other in index}
