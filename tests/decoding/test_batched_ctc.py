"""The batched search against all paths, against an obvious beam search, and against itself."""

import math
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch

from recipes.speech.ngrams import estimate, write_arpa
from sestina.decoding import Decoder, DecoderOptions, Tokens, read_arpa, samples
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
        token_score=-0.3,
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
        token_score=float(rng.choice([0.0, 0.4])),
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


@pytest.mark.parametrize("seed", range(60))
def test_random_problems_end_as_the_compiled_search_has_them(model, seed):
    rng = np.random.default_rng(3000 + seed)
    skipping = {"blank_skip_threshold": 0.8} if rng.random() < 0.5 else {}
    options = random_options(rng, **skipping)
    if options.log_add and options.merge == "context":
        # Where a beam is narrow, the compiled search leaves out summands for which it would have
        # to ask the model; the batched one has asked for all.
        options = replace(options, beam_size=60, beam_threshold=50.0)
    lm = model if rng.random() < 0.7 else None
    scores = random_scores(rng, (4, int(rng.integers(0, 40)), len(NAMES)))
    lengths = rng.integers(0, scores.shape[1] + 1, size=4)
    found = BatchedDecoder(TOKENS, lm, options, device="cpu").decode(scores, lengths, nbest=3)
    expected = Decoder(TOKENS, lm, options).decode_batch(scores.numpy(), lengths, nbest=3)
    assert_equal(found, expected)


def assert_equal(found, expected, *, within=1e-3):
    for ours, theirs in zip(found, expected, strict=True):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert one.text == other.text
            assert one.words == other.words
            assert one.tokens == other.tokens
            assert np.array_equal(one.path, other.path)
            for score in ("score", "acoustic_score", "language_score"):
                assert getattr(one, score) == pytest.approx(getattr(other, score), abs=within)


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    """Bundled emissions, and a 4-gram model of the letters of their texts."""
    bundled = samples.sample("tune")
    path = tmp_path_factory.mktemp("letters") / "letters.arpa.gz"
    spelled = [" ".join(f"{text} ".replace(" ", "|")) for text in bundled.references]
    write_arpa(path, estimate(spelled, 4))
    return Tokens.read(bundled.tokens_path), read_arpa(path), bundled.emissions[:6]


@pytest.mark.parametrize("merge", ["context", "history"])
@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("beam_size_token", [None, 6])
def test_speech_ends_as_the_compiled_search_has_it(letters, merge, log_add, beam_size_token):
    tokens, model, inputs = letters
    options = DecoderOptions(
        beam_size=30,
        beam_size_token=beam_size_token,
        beam_threshold=15.0,
        lm_weight=1.5,
        merge=merge,
        log_add=log_add,
    )
    padded = torch.nn.utils.rnn.pad_sequence(
        [torch.from_numpy(one) for one in inputs], batch_first=True
    )
    lengths = torch.tensor([len(one) for one in inputs])
    found = BatchedDecoder(tokens, model, options, device="cpu").decode(padded, lengths, nbest=2)
    expected = Decoder(tokens, model, options).decode_batch(list(inputs), nbest=2)
    # As above, the compiled search leaves out summands.
    assert_equal(found, expected, within=1e-2 if log_add and merge == "context" else 1e-3)


def frames_of(hypothesis):
    """The token of each frame, blanks between."""
    path = [0] * hypothesis.num_frames
    for token in hypothesis.tokens:
        path[token.start : token.end] = [NAMES.index(token.text)] * (token.end - token.start)
    return tuple(path)


@pytest.mark.parametrize("seed", range(20))
def test_a_skipped_frame_is_a_blank_and_nothing_else(model, seed):
    rng = np.random.default_rng(2000 + seed)
    above = float(rng.choice([1e-9, 0.3, 0.6, 0.95]))
    options = random_options(rng, blank_skip_threshold=above)
    scores = random_scores(rng, (2, int(rng.integers(1, 20)), len(NAMES)))
    decoder = BatchedDecoder(TOKENS, model, options, device="cpu")
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
