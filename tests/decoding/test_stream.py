"""A search in pieces gives what it gives of one piece."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sestina.core.errors import InvalidValueError
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, read_arpa, samples
from tests.decoding.word_problems import realistic


@pytest.mark.parametrize("semantics", ["ctc", "flashlight"])
@pytest.mark.parametrize("log_add", [False, True])
def test_pieces_of_any_size_give_what_one_piece_gives(log_add, semantics):
    lexicon, scores = realistic(1)
    decoder = Decoder(lexicon, options=DecoderOptions(log_add=log_add, semantics=semantics))
    whole = decoder.decode(scores, nbest=5)
    rng = np.random.default_rng(0)
    stream = decoder.stream()
    for _ in range(3):
        at = 0
        while at < len(scores):
            size = int(rng.integers(0, 40))
            stream.step(scores[at : at + size])
            stream.best()  # looking changes nothing
            at += size
        assert stream.best(nbest=5) == whole
        stream.restart()


BUNDLED = samples.sample()
TOKENS = Tokens.read(BUNDLED.tokens_path)
LEXICON = Lexicon.read(BUNDLED.lexicon_path, TOKENS)
MODEL = read_arpa(BUNDLED.arpa_path)


@pytest.mark.parametrize(
    "decoder",
    [
        Decoder(LEXICON, MODEL),
        Decoder(LEXICON, MODEL, DecoderOptions(log_add=True, beam_size=20)),
        Decoder(LEXICON, MODEL, DecoderOptions(merge="history")),
        Decoder(LEXICON, MODEL, DecoderOptions(semantics="flashlight", merge="history")),
        Decoder(LEXICON, MODEL, DecoderOptions(open_vocabulary=True, unk_score=-4, beam_size=20)),
        Decoder(LEXICON, MODEL, hotwords={"the sea": 3.0}),
        Decoder(TOKENS, None, DecoderOptions(beam_size=10)),
    ],
    ids=["lexicon", "sums", "history", "flashlight", "open", "hotwords", "free"],
)
def test_pieces_give_every_bit_in_each_mode_and_settled_words_stay(decoder):
    rng = np.random.default_rng(0)
    for emissions in BUNDLED.emissions[:6]:
        whole = decoder.decode(emissions, nbest=3)
        stream, at, settled = decoder.stream(), 0, []
        while at < len(emissions):
            size = int(rng.integers(0, 30))
            stream.step(emissions[at : at + size])
            at += size
            best, count = stream.partial()
            assert list(best.words[:count])[: len(settled)] == settled
            settled = list(best.words[:count])
        found = stream.best(nbest=3)
        assert found == whole
        for one, other in zip(found, whole, strict=True):
            assert one.path.tobytes() == other.path.tobytes()
            assert (one.acoustic_score, one.language_score) == (
                other.acoustic_score,
                other.language_score,
            )
        assert list(found[0].words)[: len(settled)] == settled


def test_what_is_said_to_stay_does():
    lexicon, scores = realistic(3)
    stream = Decoder(lexicon).stream()
    said = []
    for frame in scores:
        stream.step(frame[None])
        best, settled = stream.partial()
        said.append([word.text for word in best.words[:settled]])
    for words in said:
        assert words == said[-1][: len(words)]
    assert [word.text for word in stream.best()[0].words][: len(said[-1])] == said[-1]
    assert len(said[-1]) > 3


def test_a_stream_counts_readings_from_one():
    lexicon, scores = realistic(3)
    stream = Decoder(lexicon).stream()
    stream.step(scores)
    with pytest.raises(InvalidValueError, match=r"nbest is 0, expected an integer from 1"):
        stream.best(nbest=0)


def test_a_stream_serves_one_thread_at_a_time():
    lexicon, scores = realistic(6, num_words=3000, num_frames=20_000)
    stream = Decoder(lexicon, options=DecoderOptions(beam_size=300)).stream()
    start = threading.Barrier(4)

    def step(_):
        start.wait()
        try:
            stream.step(scores)
        except RuntimeError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(4) as pool:
        messages = list(pool.map(step, range(4)))
    refused = [message for message in messages if message]
    assert 1 <= len(refused) <= 3
    assert all("at work, in another thread" in message for message in refused)
    # Those that were refused have left nothing behind.
    assert stream.best()[0].tokens[-1].end <= (4 - len(refused)) * len(scores)


@pytest.mark.parametrize(
    "decoder",
    [
        Decoder(LEXICON, MODEL, DecoderOptions(log_add=True)),
        Decoder(LEXICON, MODEL, DecoderOptions(unk_score=-4, open_vocabulary=True)),
        Decoder(LEXICON, MODEL, hotwords={"princess": 3.0}),
        Decoder(TOKENS, None),
    ],
    ids=["lexicon", "open", "hotwords", "free"],
)
def test_partial_readings_are_those_made_anew_and_share_their_words(decoder):
    stream, shared = decoder.stream(), 0
    before = ()
    for frames in np.array_split(np.concatenate(BUNDLED.emissions[:4]), 40):
        stream.step(frames)
        partial, best = stream.partial()[0], stream.best()[0]
        assert partial == best
        assert partial.text == best.text
        assert (partial.language_score, partial.hotword_score) == (
            best.language_score,
            best.hotword_score,
        )
        shared += sum(one is other for one, other in zip(before, partial.words, strict=False))
        before = partial.words
    assert shared > 5 * len(before)


@pytest.mark.parametrize(
    "options",
    [
        DecoderOptions(beam_size=10, beam_threshold=10, lm_weight=1.5),
        DecoderOptions(
            beam_size=10, beam_threshold=10, lm_weight=1.5, open_vocabulary=True, unk_score=-4
        ),
        DecoderOptions(beam_size=3, beam_threshold=5, open_vocabulary=True, unk_score=-1),
    ],
    ids=["lexicon", "open", "narrow"],
)
def test_in_a_narrow_beam_settled_words_and_their_times_stay(options):
    decoder = Decoder(LEXICON, MODEL, options)
    count = 0
    for emissions in BUNDLED.emissions[:10]:
        stream, settled = decoder.stream(), ()
        for frame in emissions:
            stream.step(frame[None])
            best, num_settled = stream.partial()
            assert best.words[: len(settled)] == settled
            settled = best.words[:num_settled]
        count += len(settled)
    assert count > 20


def test_a_word_that_goes_on_is_not_settled():
    sure = {
        letter: np.log([[0.97 if letter == name else 0.01 for name in "-|ab"]]) for letter in "-|ab"
    }
    options = DecoderOptions(open_vocabulary=True, unk_score=-1, beam_threshold=2)
    stream = Decoder(Tokens(list("-|ab")), options=options).stream()
    counts = []
    for letter in "ab|-a-|-|":
        stream.step(sure[letter])
        counts.append(stream.partial()[1])
    assert counts[:3] == [0, 0, 0]
    assert counts[-1] == 2


@pytest.mark.parametrize(
    "decoder",
    [
        Decoder(LEXICON, MODEL, DecoderOptions(log_add=True)),
        Decoder(LEXICON, MODEL, DecoderOptions(unk_score=-4, open_vocabulary=True)),
        Decoder(LEXICON, MODEL, hotwords={"princess": 3.0}),
        Decoder(TOKENS, None, DecoderOptions(beam_size=10)),
        Decoder(LEXICON, MODEL, DecoderOptions(semantics="flashlight", merge="history")),
    ],
    ids=["lexicon", "open", "hotwords", "free", "flashlight"],
)
def test_words_that_are_taken_and_what_is_left_make_the_whole(decoder):
    emissions_tn = np.concatenate(BUNDLED.emissions[:4])
    whole = decoder.decode(emissions_tn)[0]
    stream, taken, longest = decoder.stream(), [], 0
    for frames in np.array_split(emissions_tn, 60):
        stream.step(frames)
        taken += stream.take()
        longest = max(longest, len(stream.best()[0].path))
    best = stream.best()[0]
    assert (*taken, *best.words) == whole.words
    assert best.score == whole.score
    assert best.acoustic_score == pytest.approx(whole.acoustic_score)
    assert longest < len(whole.path)
    assert len(taken) > 3
    stream.restart()
    stream.step(emissions_tn)
    assert stream.best()[0] == whole


def test_no_more_can_be_forgotten_than_is_settled():
    search = Decoder(LEXICON, MODEL).native.search()
    search.step(BUNDLED.emissions[0])
    with pytest.raises(ValueError, match="not so much of the paths is settled"):
        search.forget(search.settled() + 1)
