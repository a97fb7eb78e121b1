"""The sets that every figure of the room is measured on."""

import json

import numpy as np
import pytest

from benchmarks.decoding.emissions import Alphabet, EmissionOptions, Emissions, greedy, synthesise
from benchmarks.decoding.sets import texts
from sestina.decoding import error_rate

ALPHABET = Alphabet.letters()
TEXTS = ("the cat sat on the mat", "a", "it's all well")


@pytest.fixture(scope="module")
def emissions():
    return synthesise(TEXTS, EmissionOptions(seed=3))


def test_the_sets_are_of_100_and_300_utterances_and_share_none():
    tune, validation = texts("tune"), texts("validation")
    assert (len(tune), len(validation)) == (100, 300)
    assert not set(tune) & set(validation)
    assert len(set(tune)) == 100
    assert len(set(validation)) == 300


def test_the_same_seed_gives_the_same_bits_text_by_text(emissions):
    again = synthesise(TEXTS[:2], EmissionOptions(seed=3))
    for utterance in range(2):
        one, other = emissions.log_probs(utterance), again.log_probs(utterance)
        assert one.tobytes() == other.tobytes()
    other = synthesise(TEXTS[:1], EmissionOptions(seed=4))
    assert other.log_probs(0).tobytes() != emissions.log_probs(0).tobytes()


def test_rows_are_log_probabilities_and_spikes_are_where_they_are_said_to_be(emissions):
    for utterance, text in enumerate(TEXTS):
        log_probs = emissions.log_probs(utterance)
        np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1, atol=5e-3)
        tokens, frames, runs = emissions.spikes(utterance)
        assert tokens.tolist() == ALPHABET.encode(text)
        assert (frames[1:] >= frames[:-1] + runs[:-1]).all()
        assert frames[-1] + runs[-1] <= len(log_probs)


def test_without_trouble_the_best_path_says_the_text():
    clean = synthesise(TEXTS, EmissionOptions(trouble=0.0))
    for utterance, text in enumerate(TEXTS):
        assert greedy(clean.log_probs(utterance), ALPHABET) == text


def test_a_harder_set_is_harder():
    errors = {}
    for difficulty in ("easy", "mid", "hard"):
        made = synthesise(texts("tune")[:20], EmissionOptions(difficulty=difficulty))
        found = [greedy(made.log_probs(n), ALPHABET) for n in range(20)]
        errors[difficulty] = error_rate(made.texts, found, unit="character").rate
    assert errors["easy"] < errors["mid"] < errors["hard"]


def test_a_set_is_read_as_it_was_written(emissions, tmp_path):
    emissions.save(tmp_path / "set.npz")
    read = Emissions.load(tmp_path / "set.npz")
    assert (read.texts, len(read)) == (TEXTS, 3)
    assert json.loads(read.made_with)["seed"] == 3
    assert read.log_probs(2).tobytes() == emissions.log_probs(2).tobytes()
    for one, other in zip(read.spikes(1), emissions.spikes(1), strict=True):
        assert one.tolist() == other.tolist()
