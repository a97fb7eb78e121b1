import pytest

from sestina.core.errors import InvalidValueError, OptionError
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens

TOKENS = Tokens(list("-|ab"))
PIECES = Tokens(["-", "▁a", "b"])


@pytest.mark.parametrize("name", ["word_score", "word_length_score"])
def test_scores_of_words_are_refused_where_the_search_knows_none(name):
    with pytest.raises(OptionError, match=f"{name} is 1.5, expected 0 without a lexicon"):
        Decoder(TOKENS, options=DecoderOptions(**{name: 1.5}))
    Decoder(TOKENS, options=DecoderOptions(**{name: 1.5}, open_vocabulary=True, unk_score=-1))
    Decoder(
        PIECES,
        options=DecoderOptions(**{name: 1.5}, open_vocabulary=True, unk_score=-1, silence=""),
    )
    Decoder(Lexicon.from_spellings({"a": "a |"}, TOKENS), options=DecoderOptions(**{name: 1.5}))


def test_a_spelling_with_the_blank_is_refused_as_nothing_can_say_it():
    lexicon = Lexicon.from_spellings({"a": "a |", "x": ["b |", "a - b |"]}, TOKENS)
    with pytest.raises(InvalidValueError, match=r"spelling of 'x' is a - b \|, expected tokens"):
        Decoder(lexicon)
    Decoder(lexicon, options=DecoderOptions(semantics="flashlight"))  # which takes what it gets


def test_pieces_of_words_are_told_that_they_need_no_silence():
    with pytest.raises(OptionError, match=r'silence is .*pieces of words need none: silence=""'):
        Decoder(PIECES)


def test_an_open_vocabulary_of_letters_needs_a_token_that_ends_words():
    with pytest.raises(OptionError, match="expected a token that ends words"):
        Decoder(TOKENS, options=DecoderOptions(open_vocabulary=True, unk_score=-1, silence=""))
