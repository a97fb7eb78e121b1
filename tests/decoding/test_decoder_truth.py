"""Language models with sums and look-ahead, against all paths one by one."""

import numpy as np
import pytest

from sestina.decoding import Decoder, DecoderOptions, read_arpa
from tests.decoding.word_problems import ARPA, every_path, problem


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
