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
