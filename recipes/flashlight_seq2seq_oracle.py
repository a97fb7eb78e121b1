"""Flashlight's own sequence-to-sequence results on small seeded problems.

Run from the root of a checkout, in the environment of decoding's peers:

    make .venv-bench-decoding/.ready
    .venv-bench-decoding/bin/python recipes/flashlight_seq2seq_oracle.py

It writes tests/parity/flashlight_seq2seq.json.gz for tests/parity/test_flashlight_seq2seq.py: 200
problems and what flashlight-text 0.0.7 with KenLM 0.3.0 made of each, with its ten settings of
decoder, smearing and merging. What the model says is not kept but made again from checksums of what
it has said before, so that nothing depends on a generator or on rounding.
"""

import gzip
import itertools
import json
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from flashlight.lib.text.decoder import (
    LexiconFreeSeq2SeqDecoder,
    LexiconFreeSeq2SeqDecoderOptions,
    LexiconSeq2SeqDecoder,
    LexiconSeq2SeqDecoderOptions,
    SmearingMode,
    Trie,
    create_emitting_model_state,
    get_obj_from_emitting_model_state,
)
from flashlight.lib.text.decoder.kenlm import KenLM
from flashlight.lib.text.dictionary import Dictionary

TARGET = Path("tests/parity/flashlight_seq2seq.json.gz")
TOKENS = "#abcd"  # the first one is the end
NUM_PROBLEMS = 200
NUM_KEPT = 3  # hypotheses of each


def score_of(seed: int, tokens: tuple[int, ...], token: int) -> float:
    """What the model says of a token after others; the test has the same two lines."""
    said = "".join(TOKENS[n] for n in (*tokens, token))
    return -(zlib.crc32(f"{seed}:{said}".encode()) & 0xFFFFF) / 131072


def arpa_of(rng: np.random.Generator, words: list[str]) -> str:
    """A random bigram model with every unigram and some bigrams."""
    every = ["<unk>", "<s>", "</s>", *words]
    pairs = [
        pair for pair in itertools.product(["<s>", *words], ["</s>", *words]) if rng.random() < 0.3
    ]
    lines = ["\\data\\", f"ngram 1={len(every)}", f"ngram 2={len(pairs)}", "", "\\1-grams:"]
    lines += [f"{rng.uniform(-3, -0.1):.3f}\t{word}\t{rng.uniform(-1, 0):.3f}" for word in every]
    lines += ["", "\\2-grams:", *(f"{rng.uniform(-3, -0.1):.3f}\t{a} {b}" for a, b in pairs)]
    return "\n".join([*lines, "", "\\end\\", ""])


def problem_of(seed: int) -> dict[str, Any]:
    """A lexicon, a model of its words and of the tokens, and options."""
    rng = np.random.default_rng(seed)
    spellings = {
        (f"w{rng.integers(0, 5)}", " ".join(rng.choice(list(TOKENS[1:]), rng.integers(1, 4))))
        for _ in range(rng.integers(2, 12))
    }
    words = sorted({word for word, _ in spellings})
    return {
        "seed": seed,
        "max_length": int(rng.integers(1, 9)),
        "spellings": sorted(spellings),
        "arpa": arpa_of(rng, [*words, *TOKENS[1:]]),
        "options": {
            "beam_size": int(rng.choice([2, 5, 30])),
            "beam_size_token": int(rng.choice([2, 3, 5])),
            "beam_threshold": float(rng.choice([4, 10, 50])),
            "lm_weight": float(rng.choice([0.5, 1.5, 2.0])),
            # At 0, the end of a word may score the same as the words that go on, and which of
            # equals Flashlight keeps depends on addresses.
            "word_score": float(rng.choice([-0.5, 0.25, 1.5])),
            "eos_score": float(rng.choice([-1.5, 0.0, 1.5])),
        },
    }


def settings() -> Iterator[tuple[str, bool, str, bool]]:
    """Name, whether scores add up, smearing ("" without a lexicon), whether the LM reads tokens."""
    for log_add in (False, True):
        merge = "logadd" if log_add else "max"
        yield f"free {merge}", log_add, "", True
        for smearing in ("none", "max", "logadd"):
            yield f"lexicon {smearing} {merge}", log_add, smearing, False
        yield f"lexicon tokens {merge}", log_add, "none", True


def spellings_of(problem: dict[str, Any], *, reads_tokens: bool) -> list[tuple[str, str]]:
    """Those of the problem; the test has the same lines.

    To a model of tokens, two ways to read them as words are equal: none starts like another.
    """
    spellings = [spelling for _, spelling in problem["spellings"]]
    return [
        (word, spelling)
        for word, spelling in problem["spellings"]
        if not reads_tokens or not any(spelling.startswith(f"{other} ") for other in spellings)
    ]


def model_of(problem: dict[str, Any], dictionary: Dictionary) -> KenLM:
    """The language model, reading entries of that dictionary."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lm.arpa")
        path.write_text(problem["arpa"])
        return KenLM(str(path), dictionary)


def trie_of(
    spellings: list[tuple[str, str]],
    tokens: Dictionary,
    words: Dictionary,
    model: KenLM,
    smearing: str,
) -> Trie:
    """The spellings, with the scores at the start of a sentence to look ahead to."""
    trie = Trie(tokens.index_size(), -1)
    start = model.start(False)  # noqa: FBT003  positional in Flashlight
    for word, spelling in spellings:
        index = words.get_index(word)
        _, score = model.score(start, index)
        trie.insert([tokens.get_index(token) for token in spelling.split()], index, score)
    if smearing != "none":
        trie.smear(getattr(SmearingMode, smearing.upper()))
    return trie


def solved(
    problem: dict[str, Any], *, log_add: bool, smearing: str, reads_tokens: bool
) -> list[list[Any]]:
    """Flashlight's hypotheses, best first: score, its parts, words, tokens."""
    tokens = Dictionary(list(TOKENS))
    words = Dictionary([*dict.fromkeys(word for word, _ in problem["spellings"]), "<unk>"])
    words.set_default_index(words.get_index("<unk>"))
    model = model_of(problem, words)
    language = model_of(problem, tokens) if reads_tokens else model
    given = problem["options"]
    seed = problem["seed"]

    def update(_emissions, num_tokens, _frames, last, _places, states, step):  # noqa: ANN001, ANN202
        rows, said = [], []
        for k, token in enumerate(last):
            # A null state cannot be looked at.
            before = () if step == 0 else (*get_obj_from_emitting_model_state(states[k]), token)
            rows.append([score_of(seed, before, n) for n in range(num_tokens)])
            said.append(create_emitting_model_state(before))
        return rows, said

    chosen = [given["beam_size"], given["beam_size_token"], given["beam_threshold"]]
    chosen += [given["lm_weight"], *([given["word_score"]] if smearing else [])]
    chosen += [given["eos_score"], log_add]
    if smearing:
        decoder = LexiconSeq2SeqDecoder(
            LexiconSeq2SeqDecoderOptions(*chosen),
            trie_of(
                spellings_of(problem, reads_tokens=reads_tokens), tokens, words, model, smearing
            ),
            language,
            0,
            update,
            problem["max_length"],
            reads_tokens,
        )
    else:
        decoder = LexiconFreeSeq2SeqDecoder(
            LexiconFreeSeq2SeqDecoderOptions(*chosen), language, 0, update, problem["max_length"]
        )
    nothing = np.zeros(1, np.float32)
    decoder.decode_step(nothing.ctypes.data, 1, len(TOKENS))
    found = []
    for result in decoder.get_all_final_hypothesis()[:NUM_KEPT]:
        path = "".join(TOKENS[token] for token in result.tokens if token >= 0)
        spoken, end, _ = path.partition("#")  # the end is repeated until the last step
        said = " ".join(words.get_entry(word) for word in result.words if word >= 0)
        scores = (result.score, result.emittingModelScore, result.lmScore)
        found.append([*(round(score, 6) for score in scores), said, spoken + end])
    return found


def main() -> None:
    """Writes all problems with their solutions."""
    lines = []
    for seed in range(NUM_PROBLEMS):
        problem = problem_of(seed)
        found = {
            name: solved(problem, log_add=log_add, smearing=smearing, reads_tokens=reads_tokens)
            for name, log_add, smearing, reads_tokens in settings()
        }
        lines.append(json.dumps(problem | {"found": found}))
    # No time of day in it, so that the same problems make the same file.
    TARGET.write_bytes(gzip.compress(("[\n" + ",\n".join(lines) + "\n]\n").encode(), mtime=0))
    print(f"{len(lines)} problems in {TARGET}")


if __name__ == "__main__":
    main()
