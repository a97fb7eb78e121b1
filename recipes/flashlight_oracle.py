"""Flashlight's own results on small seeded problems, for tests/parity/test_flashlight.py.

Run from the root of a checkout, in the environment of decoding's peers:

    make .venv-bench-decoding/.ready
    .venv-bench-decoding/bin/python recipes/flashlight_oracle.py

It writes tests/parity/flashlight_small.json: problems as they were given, and what flashlight-text
0.0.7 with KenLM 0.3.0 made of them. Emissions are not kept but made again from the seed: integers
of NumPy's PCG64 (whose stream is fixed) divided by 65,536, so that no rounding differs and hardly
ever two scores are equal.
"""

import itertools
import json
import math
import tempfile
from pathlib import Path

import numpy as np
from flashlight.lib.text.decoder import (
    CriterionType,
    LexiconDecoder,
    LexiconDecoderOptions,
    SmearingMode,
    Trie,
)
from flashlight.lib.text.decoder.kenlm import KenLM
from flashlight.lib.text.dictionary import Dictionary

TARGET = Path("tests/parity/flashlight_small.json")
TOKENS = "-|abcd"
NUM_PROBLEMS = 200


def emissions_of(seed: int, num_frames: int) -> np.ndarray:
    """(frame, token) scores; tests/parity/test_flashlight.py has the same two lines."""
    drawn = np.random.Generator(np.random.PCG64(seed)).integers(
        0, 1 << 20, (num_frames, len(TOKENS))
    )
    return (-drawn / 65536).astype(np.float32)


def arpa_of(rng: np.random.Generator, words: list[str]) -> str:
    """A random bigram model with every unigram and some bigrams."""

    def weight(low: float, high: float) -> str:
        return f"{rng.uniform(low, high):.4f}"

    every = ["<unk>", "<s>", "</s>", *words]
    pairs = [
        pair for pair in itertools.product(["<s>", *words], ["</s>", *words]) if rng.random() < 0.4
    ]
    lines = ["\\data\\", f"ngram 1={len(every)}", f"ngram 2={len(pairs)}", "", "\\1-grams:"]
    lines += [f"{weight(-3, -0.1)}\t{word}\t{weight(-1, 0)}" for word in every]
    lines += ["", "\\2-grams:", *(f"{weight(-3, -0.1)}\t{a} {b}" for a, b in pairs)]
    return "\n".join([*lines, "", "\\end\\", ""])


def problem_of(seed: int) -> dict:
    """A lexicon, a model and options; every third spelling has no separator."""
    rng = np.random.default_rng(seed)
    spellings = []
    for number in range(int(rng.integers(2, 9))):
        letters = rng.choice(list(TOKENS[2:]), size=int(rng.integers(1, 5)))
        separator = ["|"] if rng.random() < 2 / 3 else []
        spellings.append([f"w{number % 6}", " ".join([*letters, *separator])])
    spellings = [list(pair) for pair in dict.fromkeys(map(tuple, spellings))]
    words = sorted({word for word, _ in spellings})
    return {
        "seed": seed,
        "num_frames": int(rng.integers(1, 40)),
        "spellings": spellings,
        "arpa": arpa_of(rng, words),
        "options": {
            "beam_size": int(rng.choice([3, 10, 50])),
            "beam_size_token": int(rng.choice([2, 4, 6])),
            "beam_threshold": float(rng.choice([4, 8, 50])),
            "lm_weight": float(rng.choice([0.5, 1.5, 2.0])),
            "word_score": float(rng.choice([-0.5, 0.0, 1.5])),
            "unk_score": float(rng.choice([-math.inf, -math.inf, -3.0])),
            "sil_score": float(rng.choice([-0.25, 0.0, 0.25])),
            "log_add": bool(seed % 2),
            "smearing": str(rng.choice(["none", "max", "logadd"])),
        },
    }


def solved(problem: dict) -> list[dict]:
    """Flashlight's hypotheses, best first."""
    tokens = Dictionary(list(TOKENS))
    words = Dictionary([*dict.fromkeys(word for word, _ in problem["spellings"]), "<unk>"])
    words.set_default_index(words.get_index("<unk>"))
    options = problem["options"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lm.arpa")
        path.write_text(problem["arpa"])
        model = KenLM(str(path), words)
    trie = Trie(tokens.index_size(), tokens.get_index("|"))
    start = model.start(False)  # noqa: FBT003  positional in Flashlight
    for word, spelling in problem["spellings"]:
        index = words.get_index(word)
        _, score = model.score(start, index)
        trie.insert([tokens.get_index(token) for token in spelling.split()], index, score)
    if options["smearing"] != "none":
        trie.smear(getattr(SmearingMode, options["smearing"].upper()))
    decoder = LexiconDecoder(
        LexiconDecoderOptions(
            options["beam_size"],
            options["beam_size_token"],
            options["beam_threshold"],
            options["lm_weight"],
            options["word_score"],
            options["unk_score"],
            options["sil_score"],
            options["log_add"],
            CriterionType.CTC,
        ),
        trie,
        model,
        tokens.get_index("|"),
        tokens.get_index("-"),
        words.get_index("<unk>"),
        [],
        False,  # noqa: FBT003  as above
    )
    scores = emissions_of(problem["seed"], problem["num_frames"])
    results = decoder.decode(scores.ctypes.data, *scores.shape)
    return [
        {
            "score": result.score,
            "words": [words.get_entry(word) for word in result.words if word >= 0],
            "path": "".join(tokens.get_entry(token) for token in result.tokens),
        }
        for result in results[:3]
    ]


def main() -> None:
    """Writes all problems with their solutions."""
    problems = [problem_of(seed) for seed in range(NUM_PROBLEMS)]
    lines = []
    for problem in problems:
        options = problem["options"]
        found = solved(problem)
        if math.isinf(options["unk_score"]):
            options["unk_score"] = None
        lines.append(json.dumps(problem | {"found": found}))
    TARGET.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(f"{len(lines)} problems in {TARGET}")


if __name__ == "__main__":
    main()
