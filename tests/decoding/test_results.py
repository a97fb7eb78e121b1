from sestina.decoding import Hypothesis, Timed


def test_the_text_is_the_words_in_their_order():
    words = (Timed(text="hello", start=3, end=9), Timed(text="there", start=11, end=20))
    found = Hypothesis(words=words, tokens=(), score=-1, acoustic_score=-1, language_score=0)
    assert found.text == "hello there"
