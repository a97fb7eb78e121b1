"""The sets that the room is tuned on and scored on: `path_of("tune", "hard")` and their like.

    tune          100 utterances: every setting of ours and of the peers is chosen on it
    validation    300 utterances of other messages, another seed: scored once

Each is written into build/decoding on first use (seconds; with word-pieces a minute); all of them
by `python -m benchmarks.decoding.sets`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from benchmarks.decoding import pieces
from benchmarks.decoding.emissions import Alphabet, Difficulty, EmissionOptions, synthesise
from benchmarks.workers import ROOT

__all__ = ["BENCH", "BUILT", "DATA", "Units", "path_of", "texts"]

DATA = ROOT.parent / "shared" / "data" / "decoding"
BENCH = DATA / "bench"
BUILT = ROOT / "build" / "decoding"
_SEEDS = {"tune": 1, "validation": 2}
Part = Literal["tune", "validation"]
Units = Literal["letters", "pieces"]


def texts(part: Part) -> list[str]:
    """The set's texts, lower-case words with single spaces between them."""
    return (Path(__file__).parent / "texts" / f"{part}.txt").read_text().splitlines()


def path_of(part: Part, difficulty: Difficulty = "hard", units: Units = "letters") -> Path:
    """The file of a set, written now if it is not there: delete build/decoding to have it anew."""
    path = BUILT / f"{part}_{difficulty}_{units}.npz"
    if not path.exists():
        BUILT.mkdir(parents=True, exist_ok=True)
        letters = units == "letters"
        options = EmissionOptions(
            difficulty=difficulty,
            seed=_SEEDS[part],
            # A word-piece has a frame of 40 ms where a letter has one of 20.
            frames_per_token=3.5 if letters else 4.5,
        )
        alphabet = Alphabet.letters() if letters else pieces.alphabet(texts(part))
        partial = path.with_name(f".{path.name}")
        synthesise(texts(part), options, alphabet).save(partial)
        partial.replace(path)
    return path


if __name__ == "__main__":
    for name in get_args(Part):
        for level in get_args(Difficulty):
            print(path_of(name, level))
        print(path_of(name, "hard", "pieces"))
