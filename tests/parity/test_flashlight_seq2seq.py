"""Flashlight's own sequence-to-sequence results, as its semantics must give them."""

import gzip
import itertools
import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from sestina.decoding import Lexicon, Seq2SeqDecoder, Seq2SeqOptions, Tokens, read_arpa

NAMES = "#abcd"
PROBLEMS = json.loads(
    gzip.decompress(Path(__file__).with_name("flashlight_seq2seq.json.gz").read_bytes())
)


def model_of(seed):
    """As in recipes/flashlight_seq2seq_oracle.py."""

    def update(tokens, _parents, states, _step):
        said = [
            "" if state is None else state + NAMES[token]
            for state, token in zip(states, tokens.tolist(), strict=True)
        ]
        rows = [
            [-(zlib.crc32(f"{seed}:{one}{name}".encode()) & 0xFFFFF) / 131072 for name in NAMES]
            for one in said
        ]
        return np.array(rows), said

    return update


def decoder_of(problem, setting, lm):
    """`setting` is the decoder, with a lexicon the smearing or what the LM reads, and the merge."""
    kind, *rest, merge = setting.split()
    given = dict(problem["options"])
    tokens = Tokens(list(NAMES))
    if kind == "free":
        vocabulary, given["word_score"] = tokens, 0.0
    else:
        reads_tokens = rest == ["tokens"]
        beginnings = [spelling + " " for _, spelling in problem["spellings"] if reads_tokens]
        spellings = [
            (word, spelling)
            for word, spelling in problem["spellings"]
            if not spelling.startswith(tuple(beginnings))
        ]
        vocabulary = Lexicon.from_spellings(spellings, tokens)
        given["smearing"] = "none" if reads_tokens else rest[0]
        given["lm_level"] = "token" if reads_tokens else "word"
    options = Seq2SeqOptions(
        **given, log_add=merge == "logadd", merge="history", semantics="flashlight"
    )
    return Seq2SeqDecoder(vocabulary, lm, options, eos="#")


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: str(problem["seed"]))
def test_sequences_scores_and_their_parts_are_flashlights(problem, tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text(problem["arpa"])
    lm, update = read_arpa(path), model_of(problem["seed"])
    assert len(problem["found"]) == 10
    for setting, expected in problem["found"].items():
        decoder = decoder_of(problem, setting, lm)
        found = decoder.decode(update, max_length=problem["max_length"], nbest=3)
        scores = [one[0] for one in expected]
        assert [one.score for one in found] == pytest.approx(scores, abs=1e-4), setting
        gaps = [a - b for a, b in itertools.pairwise(scores)]
        for place, (one, other) in enumerate(zip(found, expected, strict=True)):
            if any(abs(gap) < 1e-4 for gap in gaps[max(place - 1, 0) : place + 1]):
                continue  # equal scores: either may come first
            _, acoustic, language, words, tokens = other
            assert one.acoustic_score == pytest.approx(acoustic, abs=1e-4), setting
            assert one.language_score == pytest.approx(language, abs=1e-4), setting
            assert one.text == (words if setting.startswith("lexicon") else tokens.rstrip("#"))
            assert "".join(NAMES[token] for token in one.path[:, 0]) == tokens
            assert one.finished == tokens.endswith("#")
