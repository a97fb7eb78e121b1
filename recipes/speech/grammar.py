"""Sentences of everyday English, drawn from the grammar in grammar.txt.

Each rule is a line `name: alternative | alternative`; a line that starts with `|` goes on with the
rule above it. `<name>` stands for another rule and `(word)` for a word said or left out. Words that
sound alike (weather and whether, four and for, their and there) are many on purpose: they are what
an acoustic model can't tell apart and a language model can.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "NUM_TEST",
    "NUM_TRAIN",
    "NUM_TUNE",
    "RULES",
    "Splits",
    "draw_sentences",
    "draw_splits",
    "vocabulary",
]

RULES = Path(__file__).with_name("grammar.txt").read_text(encoding="utf-8")

NUM_TEST, NUM_TUNE, NUM_TRAIN = 100, 60, 30_000

_PIECE = re.compile(r"<(\w+)>|\((\w+)\)|([a-z']+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Sentences that are all different."""

    test: list[str]
    tune: list[str]
    train: list[str]
    """All are the text of the language model, the first of them that of the acoustic model."""


def draw_splits(seed: int) -> Splits:
    """The sentences of the recipe."""
    sentences = draw_sentences(NUM_TEST + NUM_TUNE + NUM_TRAIN, seed=seed)
    random.Random(seed).shuffle(sentences)  # the shortest are drawn first
    return Splits(
        test=sentences[:NUM_TEST],
        tune=sentences[NUM_TEST : NUM_TEST + NUM_TUNE],
        train=sentences[NUM_TEST + NUM_TUNE :],
    )


def draw_sentences(count: int, *, seed: int) -> list[str]:
    """That many different sentences of 3 to 16 words, in the order drawn."""
    rules = _parsed(RULES)
    draw = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        words = _expanded(rules, "sentence", draw)
        if 3 <= len(words) <= 16:
            found[" ".join(words)] = None
    return list(found)


def vocabulary() -> list[str]:
    """Every word of the grammar, sorted."""
    rules = _parsed(RULES)
    pieces = (
        piece
        for options in rules.values()
        for option in options
        for piece in _PIECE.findall(option)
    )
    return sorted({optional or word for name, optional, word in pieces if not name})


def _parsed(text: str) -> dict[str, list[str]]:
    joined = text.replace("\n|", " |")
    rules = (line.split(": ", 1) for line in joined.splitlines() if line)
    return {name: [option.strip() for option in options.split("|")] for name, options in rules}


def _expanded(rules: dict[str, list[str]], name: str, draw: random.Random) -> list[str]:
    words = []
    for rule, optional, word in _PIECE.findall(draw.choice(rules[name])):
        if rule:
            words += _expanded(rules, rule, draw)
        elif word or draw.random() < 0.5:
            words.append(word or optional)
    return words
