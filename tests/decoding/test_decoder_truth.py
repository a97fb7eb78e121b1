"""Language models, sums, look-ahead and constraints together, against all paths one by one."""

import itertools
import math

import numpy as np
import pytest

from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_arpa
from tests.decoding.plain_search import collapsed
from tests.decoding.word_problems import ARPA, NAMES, every_path, problem, readings


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "lm.arpa"
    path.write_text(ARPA)
    return read_arpa(path)


def exhaustive(silence, **others):
    return DecoderOptions(
        beam_size=100_000, beam_threshold=1e9, silence="|" if silence else "", **others
    )


def found_by(decoder, scores):
    hypotheses = decoder.decode(scores, nbest=100_000)
    return {tuple(word.text for word in one.words): one.score for one in hypotheses}


@pytest.mark.parametrize("lm_weight", [1.3, -0.7])
@pytest.mark.parametrize("smearing", ["none", "max", "logadd"])
@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("seed", range(200, 215))
def test_all_histories_with_a_model(seed, log_add, smearing, lm_weight, model):
    _, scores, spellings, silence, lexicon = problem(seed)
    options = exhaustive(
        silence, word_score=0.3, log_add=log_add, smearing=smearing, merge="history",
        lm_weight=lm_weight,
    )  # fmt: skip
    expected = every_path(scores, spellings, silence, options, lambda w: sum(model.scores(w)))
    if expected:
        found = found_by(Decoder(lexicon, model, options), scores)
        assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("smearing", ["none", "max", "logadd"])
@pytest.mark.parametrize("seed", range(200, 215))
def test_sums_of_the_histories_that_a_model_takes_for_one(seed, smearing, model):
    _, scores, spellings, silence, lexicon = problem(seed)
    options = exhaustive(
        silence, word_score=0.3, log_add=True, smearing=smearing, merge="context", lm_weight=1.3
    )
    expected = every_path(scores, spellings, silence, options, lambda w: sum(model.scores(w)))
    by_state = {}
    for words, score in expected.items():
        walk = model.native.walk()
        state = walk.start(True)
        for word in words:
            state = walk.step(state, word.encode())[1]
        by_state.setdefault(state, []).append(score)
    if expected:
        wanted = sorted(map(np.logaddexp.reduce, by_state.values()), reverse=True)
        found = Decoder(lexicon, model, options).decode(scores, nbest=100_000)
        assert [one.score for one in found] == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_transitions_count_within_words(seed, log_add):
    rng = np.random.default_rng(seed)
    names, words = "-|ab", {"ab": "ab|", "a": "a|", "ba": "ba|", "aa": "aa|"}
    lexicon = Lexicon.from_spellings(
        {word: " ".join(letters) for word, letters in words.items()}, Tokens(list(names))
    )
    scores = (2 * rng.normal(size=(5, 4))).astype(np.float32)
    transitions = rng.normal(size=(4, 4)).astype(np.float32)
    if seed % 3 == 0:
        transitions[tuple(rng.integers(4, size=2))] = -np.inf
    spellings = [(word, tuple(map(names.index, letters))) for word, letters in words.items()]
    known = dict(spellings)
    expected = {}
    for path in itertools.product(range(4), repeat=5):
        acoustic = sum(float(scores[t, n]) for t, n in enumerate(path))
        for said in readings(collapsed(path), spellings, 1):
            steps = [pair for word in said for pair in itertools.pairwise(known[word])]
            score = acoustic + sum(float(transitions[after, before]) for before, after in steps)
            if score > -math.inf:
                before = expected.get(said, -math.inf)
                expected[said] = np.logaddexp(before, score) if log_add else max(before, score)
    options = exhaustive(1, log_add=log_add, merge="history")
    found = found_by(Decoder(lexicon, None, options, transitions=transitions), scores)
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("seed", range(300, 315))
def test_more_tokens_than_a_mask_has_bits(seed, log_add, model):
    _, scores, spellings, silence, _ = problem(seed)
    width = scores.shape[1]
    tokens = Tokens([*NAMES[:width], *(f"x{k}" for k in range(70))])
    lexicon = Lexicon.from_spellings(
        [(word, " ".join(NAMES[n] for n in spelling)) for word, spelling in spellings], tokens
    )
    wide = np.full((len(scores), len(tokens)), -np.inf, np.float32)
    wide[:, :width] = scores
    options = exhaustive(silence, log_add=log_add, lm_weight=1.1, merge="history")
    expected = every_path(scores, spellings, silence, options, lambda w: sum(model.scores(w)))
    if expected:
        found = found_by(Decoder(lexicon, model, options), wide)
        assert found == pytest.approx(expected, abs=1e-3)


def occurrences(phrase, words):
    return sum(words[i : i + len(phrase)] == phrase for i in range(len(words) - len(phrase) + 1))


@pytest.mark.parametrize("smearing", ["none", "max"])
@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("seed", range(500, 515))
def test_hotwords_beside_a_model(seed, log_add, smearing, model):
    _, scores, spellings, silence, lexicon = problem(seed)
    words = {word for word, _ in spellings}
    boosts = {"v": 1.5, "v w": 2.0, "w v v": -1.0, "x": 0.7}
    boosts = {phrase: by for phrase, by in boosts.items() if set(phrase.split()) <= words}
    options = exhaustive(
        silence, log_add=log_add, merge="history", smearing=smearing, lm_weight=0.8
    )

    def language(said):
        boosted = sum(by * occurrences(tuple(p.split()), said) for p, by in boosts.items())
        return sum(model.scores(said)) + boosted / 0.8

    expected = every_path(scores, spellings, silence, options, language)
    if expected:
        found = found_by(Decoder(lexicon, model, options, hotwords=boosts), scores)
        assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("smearing", ["none", "max"])
@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("seed", range(500, 515))
def test_a_grammar_beside_a_model(seed, log_add, smearing, model):
    _, scores, spellings, silence, lexicon = problem(seed)
    words = {word for word, _ in spellings}
    phrases = [p for p in ("v", "v w", "w", "x v x") if set(p.split()) <= words]
    options = exhaustive(
        silence, log_add=log_add, merge="history", smearing=smearing, lm_weight=0.8
    )
    expected = every_path(scores, spellings, silence, options, lambda w: sum(model.scores(w)))
    expected = {words: score for words, score in expected.items() if " ".join(words) in phrases}
    if expected:
        found = found_by(Decoder(lexicon, model, options, grammar=phrases), scores)
        assert found == pytest.approx(expected, abs=1e-3)
