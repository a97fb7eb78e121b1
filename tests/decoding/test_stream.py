"""A search in pieces gives what it gives of one piece."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sestina.core.errors import InvalidValueError
from sestina.decoding import Decoder, DecoderOptions
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
