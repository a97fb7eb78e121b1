"""KenLM's own scores and states of sentences, for tests/parity/test_kenlm.py.

Run from the root of a checkout, in the environment of decoding's peers:

    make .venv-bench-decoding/.ready
    .venv-bench-decoding/bin/python recipes/kenlm_scores.py --record

It writes tests/parity/kenlm_scores.json: sentences drawn from the words of the shared models, and
what KenLM 0.3.0 makes of them. With `--ask MODEL` it prints the same for sentences on standard
input, one a line, which the test uses where the environment is there.
"""

import argparse
import gzip
import json
import random
import sys
from pathlib import Path

import kenlm

SHARED = Path("../shared/data/decoding")
TARGET = Path("tests/parity/kenlm_scores.json")
RECORDED = ("bugs_bunny_kenlm.arpa", "lm3small.trie.bin", "lm3small.qtrie.bin")


def asked(path: str, sentences: list[str]) -> list[dict[str, list[float] | list[int]]]:
    """The scores (log10) of each sentence's words and of its end, and the states after its words.

    States are numbers, equal if KenLM's states are.
    """
    model = kenlm.Model(path)
    numbers: dict[kenlm.State, int] = {}
    answers = []
    for sentence in sentences:
        scores, states = [], []
        before = kenlm.State()
        model.BeginSentenceWrite(before)
        for word in [*sentence.split(), "</s>"]:
            after = kenlm.State()
            scores.append(model.BaseScore(before, word, after))
            states.append(numbers.setdefault(after, len(numbers)))
            before = after
        answers.append({"scores": scores, "states": states[:-1]})
    return answers


def drawn() -> list[str]:
    """Sentences that follow the model's bigrams for a while, of common words, and of any words."""
    rng = random.Random(3)
    with gzip.open(SHARED / "lm3small.arpa.gz", "rt") as file:
        lines = [line.split("\t") for line in file if "\t" in line]
    words = [line[1].strip() for line in lines if " " not in line[1].strip()]
    follow: dict[str, list[str]] = {}
    for _, gram, *_ in lines:
        if gram.count(" ") == 1:
            first, second = gram.strip().split(" ")
            follow.setdefault(first, []).append(second)
    sentences = []
    for number in range(120):
        sentence = ["<s>"]
        while len(sentence) < rng.randint(2, 12):
            nexts = [word for word in follow.get(sentence[-1], []) if word != "</s>"]
            straight = nexts and number % 3 != 0
            pool = nexts if straight else words[:200] if number % 2 else words
            sentence.append(rng.choice(pool))
        sentences.append(" ".join(sentence[1:]).replace("<s>", "zzzq"))
    return [*sentences, "bugs bunny", "bunny bunny bugs", "", "zzzq <unk> the", "the zzzq of the"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--ask", metavar="MODEL")
    given = parser.parse_args()
    if given.record:
        chosen = drawn()
        recorded = {name: asked(str(SHARED / name), chosen) for name in RECORDED}
        TARGET.write_text(json.dumps({"sentences": chosen, "models": recorded}) + "\n")
    else:
        json.dump(asked(given.ask, sys.stdin.read().split("\n")), sys.stdout)
