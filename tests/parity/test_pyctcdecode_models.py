"""Models of several and of one's own, beside pyctcdecode 0.5.0 where that is there."""

import json
import subprocess

import pytest

import sestina.decoding.compat.kenlm as kenlm_face
from sestina.decoding.compat.pyctcdecode import Alphabet, BeamSearchDecoderCTC
from sestina.decoding.compat.pyctcdecode import language_model as models_face
from tests.parity.pyctcdecode_problems import LABELS, solved

NUM_PROBLEMS = 24
TOLERANCE = 1e-4  # as in test_pyctcdecode.py

# Runs with pyctcdecode's classes and with ours.
MAKE = """
WORDS = {"b", "g", "n", "y", "us", "ss", "bun", "gu", "nyy", "sun"}
def made(models, kenlm, bugs, small):
    class Own(models.AbstractLanguageModel):
        order = 2
        unigrams = WORDS
        def get_start_state(self):
            return [3]
        def score_partial_token(self, partial_token):
            return 0.0
        def score(self, prev_state, word, is_last_word=False):
            # An empty word says nothing: pyctcdecode adds some. Others are all the same.
            word = word if word in WORDS or not word else "<unk>"
            state = [sum(map(ord, word)) % 7] if word else prev_state
            score = 0.4 - 0.5 * ((prev_state[0] * 3 + state[0]) % 5) if word else 0.0
            return score - (0.2 * state[0] if is_last_word else 0.0), state
    class Open(models.AbstractLanguageModel):
        order = 3
        def get_start_state(self):
            return [3]
        def score_partial_token(self, partial_token):
            return 0.0
        def score(self, prev_state, word, is_last_word=False):
            # Of any word by its letters, with no list of words.
            state = [(sum(map(ord, word)) + len(word)) % 11] if word else prev_state
            score = 0.6 - 0.4 * ((prev_state[0] * 5 + state[0]) % 7) if word else 0.0
            return score - (0.3 * state[0] if is_last_word else 0.0), state
    parts = [
        models.LanguageModel(kenlm.Model(bugs), ["bugs", "bunny"], 0.3, 0.7, -4.0),
        models.LanguageModel(kenlm.Model(small), None, 0.5, 0.1, -2.0, False),
    ]
    return {"several": models.MultiLanguageModel(parts), "own": Own(), "open": Open()}
"""
ASK = """
import json, kenlm, sys
from pyctcdecode import Alphabet, BeamSearchDecoderCTC
from pyctcdecode import language_model as models
from tests.parity.pyctcdecode_problems import LABELS, solved
bugs, small, count = json.load(sys.stdin)
found = {}
for name, model in made(models, kenlm, bugs, small).items():
    decoder = BeamSearchDecoderCTC(Alphabet.build_alphabet(LABELS), model)
    start = model.get_start_state()
    first, after = model.score(start, "bugs")
    scores = [first, model.score(after, "bun", True)[0], model.score(start, "", True)[0]]
    scores += [model.score_partial_token(token) for token in ("bu", "bunnybunny", "sn")]
    found[name] = [scores, [solved(decoder, number) for number in range(count)]]
print(json.dumps(found))
"""


def test_scores_of_several_and_of_ones_own_are_pyctcdecodes(root, shared_data):
    python = root / ".venv-bench-decoding" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no {python}, which has pyctcdecode")
    paths = [
        str(shared_data / "decoding" / name)
        for name in ("bugs_bunny_kenlm.arpa", "lm3small.trie.bin")
    ]
    theirs = json.loads(
        subprocess.run(
            [python, "-c", MAKE + ASK],
            input=json.dumps([*paths, NUM_PROBLEMS]),
            capture_output=True,
            text=True,
            check=True,
            cwd=root,
        ).stdout
    )
    scope = {}
    exec(MAKE, scope)  # the same lines
    for name, model in scope["made"](models_face, kenlm_face, *paths).items():
        decoder = BeamSearchDecoderCTC(Alphabet.build_alphabet(LABELS), model)
        scores, problems = theirs[name]
        start = model.get_start_state()
        first, after = model.score(start, "bugs")
        empty = model.score(start, "", True)[0]
        assert [
            first,
            model.score(after, "bun", True)[0],
            empty,
            *(model.score_partial_token(token) for token in ("bu", "bunnybunny", "sn")),
        ] == pytest.approx(scores, abs=TOLERANCE)
        same = other = 0
        for number, beams in enumerate(problems):
            ours = {text: found for text, *found in solved(decoder, number)}
            assert set(ours) == {text for text, *_ in beams}
            for text, logit_score, lm_score in beams:
                assert ours[text][0] == pytest.approx(logit_score, abs=TOLERANCE), (number, text)
                if ours[text][1] == pytest.approx(lm_score, abs=TOLERANCE):
                    same += 1
                else:
                    other += 1
                    # Only what ends in an empty word with them, which costs `several` much.
                    assert not text or name == "several", (number, text)
                    assert name != "several" or lm_score < ours[text][1], (number, text)
        assert same > 4 * other, (name, same, other)
