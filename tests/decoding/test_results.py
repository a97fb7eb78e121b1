import numpy as np

from sestina.decoding import Hypothesis, TimedText, Tokens
from sestina.decoding.results import Naming

NAMING = Naming(tokens=Tokens(list("-|ab")), word=["ab", "b"].__getitem__, blank="-", silence="|")


def hypothesis(rows, score=-1.0):
    return Hypothesis(
        score=score,
        acoustic_score=-1.0,
        carried_score=0.0,
        path=np.array(rows, np.int32),
        num_frames=20,
        naming=NAMING,
    )


def test_words_and_tokens_have_the_frames_of_their_stretches():
    # Blank from before the start, a, b, separator, blank, b, separator to the end.
    found = hypothesis(
        [[0, -1, -1], [2, 2, -1], [3, 5, -1], [1, 6, 0], [0, 9, -1], [3, 11, -1], [1, 15, 1]]
    )
    assert found.text == "ab b"
    assert found.words == (
        TimedText(text="ab", start=2, end=6),
        TimedText(text="b", start=11, end=15),
    )
    assert [(t.text, t.start, t.end) for t in found.tokens] == [
        ("a", 2, 5),
        ("b", 5, 6),
        ("|", 6, 9),
        ("b", 11, 15),
        ("|", 15, 20),
    ]
    assert repr(found) == "Hypothesis('ab b', score=-1.000)"


def test_a_silence_before_the_first_frame_starts_with_it():
    assert hypothesis([[1, -1, -1], [3, 4, 1]]).tokens[0] == TimedText(text="|", start=0, end=4)
    assert hypothesis([[1, -1, -1], [3, 0, 1]]).tokens[0].text == "b"


def test_equal_ones_say_the_same_at_the_same_times():
    rows = [[0, -1, -1], [3, 4, 1]]
    assert hypothesis(rows) == hypothesis(rows)
    assert hash(hypothesis(rows)) == hash(hypothesis(rows))
    assert hypothesis(rows) != hypothesis(rows, score=-2.0)
    assert hypothesis(rows) != hypothesis([[0, -1, -1], [3, 5, 1]])
    assert hypothesis(rows) != "b"
