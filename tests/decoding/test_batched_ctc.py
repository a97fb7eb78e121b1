"""The batched search against all paths, against an obvious beam search, and against itself."""

import math
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch

from sestina.decoding import DecoderOptions, Tokens
from sestina.decoding.batched import BatchedDecoder
from tests.decoding.plain_search import PlainSearch, every_path
from tests.decoding.token_model import NAMES, TOKENS, token_model

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return token_model(tmp_path_factory.mktemp("lm"))


def spoken(hypothesis):
    return "".join(token.text for token in hypothesis.tokens)


def stepping(model):
    """The model as `PlainSearch` takes it."""
    if model is None:
        return lambda state, token: 0.0 if token is None else (0.0, 0)
    native = model.native
    words = [native.word(name.encode()) for name in NAMES]

    def step(state, token):
        if token is None:
            return native.step(state, native.end_of_sentence)[0]
        return native.step(state, words[token])

    return step


def random_scores(rng, shape):
    """Logarithms of probabilities, some frames clear and some not, and some impossible tokens."""
    logits = rng.normal(size=shape) * rng.choice([0.5, 2.0, 5.0], size=(*shape[:-1], 1))
    logits[rng.random(shape) < 0.03] = -np.inf
    logits[..., 0] = np.maximum(logits[..., 0], -9.0)
    scores = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    return torch.from_numpy(scores).float()


@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("with_model", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_an_exhaustive_beam_finds_what_all_paths_give(model, seed, with_model, log_add):
    rng = np.random.default_rng(seed)
    width = int(rng.integers(2, 6))
    silence = "|" if width > 2 and rng.random() < 0.5 else ""
    options = DecoderOptions(
        beam_size=800,
        beam_threshold=1e9,
        lm_weight=1.3,
        sil_score=0.7 if silence else 0.0,
        log_add=log_add,
        merge="history",
        silence=silence,
    )
    scores = random_scores(rng, (2, int(rng.integers(0, 5)), width))
    lm = model if with_model else None
    decoder = BatchedDecoder(Tokens(list(NAMES[:width])), lm, options, device="cpu")
    for utterance, found in zip(scores, decoder.decode(scores, nbest=800), strict=True):
        expected = every_path(
            utterance,
            options,
            lambda tokens: sum(model.scores([NAMES[n] for n in tokens])) if with_model else 0.0,
            bonus=1 if silence else None,
        )
        expected = {
            "".join(NAMES[n] for n in tokens): score
            for tokens, score in expected.items()
            if score > -math.inf
        }
        assert {spoken(one): one.score for one in found} == pytest.approx(expected, abs=1e-4)
        assert len(found) == len(expected)
        assert [one.score for one in found] == sorted((o.score for o in found), reverse=True)


def random_options(rng, **others):
    return DecoderOptions(
        beam_size=int(rng.integers(1, 12)),
        beam_size_token=[None, 2, 3][rng.integers(3)],
        beam_threshold=float(rng.choice([2.0, 6.0, 50.0, math.inf])),
        lm_weight=float(rng.choice([0.0, 0.5, 2.0])),
        sil_score=float(rng.choice([0.0, -0.5])),
        log_add=bool(rng.random() < 0.5),
        merge="history" if rng.random() < 0.5 else "context",
        **others,
    )


@pytest.mark.parametrize("seed", range(80))
def test_a_narrow_beam_is_that_of_the_obvious_search(model, seed):
    rng = np.random.default_rng(1000 + seed)
    lm = model if rng.random() < 0.7 else None
    options = random_options(rng)
    if lm is None:  # all contexts would be one
        options = replace(options, merge="history")
    scores = random_scores(rng, (3, int(rng.integers(1, 20)), len(NAMES)))
    decoder = BatchedDecoder(TOKENS, lm, options, device="cpu")
    lengths = rng.integers(0, scores.shape[1] + 1, size=3)
    start = lm.native.start(True) if lm else 0
    found = decoder.decode(scores, lengths, nbest=3)
    for utterance, length, hypotheses in zip(scores, lengths, found, strict=True):
        plain = PlainSearch(options, stepping(lm), start, bonus=1)
        for frame in utterance[:length]:
            plain.step(frame)
        expected = plain.finish()[:3]
        assert [one.score for one in hypotheses] == pytest.approx(
            [score for score, _ in expected], abs=1e-4
        )
        for hypothesis, (_, path) in zip(hypotheses, expected, strict=True):
            assert frames_of(hypothesis) == path
            acoustic = sum(float(utterance[t, n]) for t, n in enumerate(path))
            assert hypothesis.acoustic_score == pytest.approx(acoustic, abs=1e-4)


def test_without_a_model_readings_stay_apart():
    scores = random_scores(np.random.default_rng(6), (3, 12, len(NAMES)))
    options = DecoderOptions(beam_size=7, log_add=True)
    apart = replace(options, merge="history")
    found, expected = (
        BatchedDecoder(TOKENS, options=one, device="cpu").decode(scores, nbest=7)
        for one in (options, apart)
    )
    assert found == expected


def frames_of(hypothesis):
    """The token of each frame, blanks between."""
    path = [0] * hypothesis.num_frames
    for token in hypothesis.tokens:
        path[token.start : token.end] = [NAMES.index(token.text)] * (token.end - token.start)
    return tuple(path)


@pytest.mark.parametrize("seed", range(20))
def test_a_skipped_frame_is_a_blank_and_nothing_else(model, seed):
    rng = np.random.default_rng(2000 + seed)
    options = random_options(rng)
    above = float(rng.choice([0.0, 0.3, 0.6, 0.95]))
    scores = random_scores(rng, (2, int(rng.integers(1, 20)), len(NAMES)))
    decoder = BatchedDecoder(TOKENS, model, options, blank_skip_threshold=above, device="cpu")
    lengths = rng.integers(1, scores.shape[1] + 1, size=2)
    found = decoder.decode(scores, lengths)
    for utterance, length, (best,) in zip(scores, lengths, found, strict=True):
        plain = PlainSearch(options, stepping(model), model.native.start(True), bonus=1)
        for frame in utterance[:length]:
            if math.exp(frame[0]) > above:
                plain.rest(float(frame[0]))
            else:
                plain.step(frame)
        score, path = plain.finish()[0]
        assert best.score == pytest.approx(score, abs=1e-4)
        assert frames_of(best) == path


@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("merge", ["context", "history"])
def test_an_utterance_is_found_alone_as_in_a_batch(model, merge, log_add):
    rng = np.random.default_rng(3)
    scores = random_scores(rng, (7, 40, len(NAMES)))
    lengths = torch.tensor([40, 0, 1, 17, 39, 40, 8], dtype=torch.int32)
    options = DecoderOptions(beam_size=20, merge=merge, log_add=log_add)
    decoder = BatchedDecoder(TOKENS, model, options, device="cpu")
    together = decoder.decode(scores, lengths, nbest=5)
    alone = [
        decoder.decode(one[None, :length], nbest=5)[0]
        for one, length in zip(scores, lengths.tolist(), strict=True)
    ]
    for one, other in zip(chain(*together), chain(*alone), strict=True):
        assert one.tokens == other.tokens
        # PyTorch adds up with a vector's instructions or without, depending on the place.
        assert one.score == (pytest.approx(other.score, abs=1e-4) if log_add else other.score)


def test_scores_stay_fine_over_long_input(model):
    rng = np.random.default_rng(4)
    scores = random_scores(rng, (1, 1500, len(NAMES)))
    options = DecoderOptions(beam_size=4, log_add=True)
    best = BatchedDecoder(TOKENS, model, options, device="cpu").decode(scores)[0][0]
    plain = PlainSearch(options, stepping(model), model.native.start(True), bonus=1)
    for frame in scores[0]:
        plain.step(frame)
    score, path = plain.finish()[0]
    assert score < -1024  # where a float32 is 1.2e-4 fine, and 1,500 of these would add up
    assert best.score == pytest.approx(score, abs=1e-3)
    assert frames_of(best) == path


def test_a_beam_of_hypotheses_says_what_its_parts_sum_to(model):
    rng = np.random.default_rng(5)
    scores = random_scores(rng, (3, 30, len(NAMES)))
    options = DecoderOptions(lm_weight=1.5, sil_score=-0.25)
    for found in BatchedDecoder(TOKENS, model, options, device="cpu").decode(scores, nbest=4):
        for one in found:
            names = [token.text for token in one.tokens]
            silent = sum(token.end - token.start for token in one.tokens if token.text == "|")
            assert one.language_score == pytest.approx(sum(model.scores(names)), abs=1e-4)
            parts = one.acoustic_score + 1.5 * one.language_score - 0.25 * silent
            assert one.score == pytest.approx(parts, abs=1e-4)
