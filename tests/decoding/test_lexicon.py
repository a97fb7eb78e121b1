import gzip

import pytest

from sestina.core.errors import FileFormatError, InvalidValueError
from sestina.decoding import Lexicon, Tokens

TOKENS = Tokens(["-", "|", *"abcdefghijklmnopqrstuvwxyz", "'"])


def test_words_are_numbered_as_they_come_and_may_have_several_spellings(tmp_path):
    path = tmp_path / "lexicon.txt"
    path.write_bytes(b"to\tt o |\r\n\ntwo   t w o |\nto t oo |\n".replace(b"oo", b"o o"))
    lexicon = Lexicon.read(path, TOKENS)
    assert (len(lexicon), lexicon.word(0), lexicon.index("two"), lexicon.index("too")) == (
        2,
        "to",
        1,
        None,
    )
    assert "to" in lexicon
    assert lexicon.native.num_spellings == 3
    # root; t; o, w; |, o after "to", o after "tw"; | and |
    assert lexicon.native.num_nodes == 9
    assert lexicon.native.spelling(2) == (0, [TOKENS.index(c) for c in "too|"])


def test_a_packed_lexicon_is_the_same(tmp_path):
    path = tmp_path / "lexicon.txt.gz"
    path.write_bytes(gzip.compress(b"a a |\nb b |\n"))
    assert len(Lexicon.read(path, TOKENS)) == 2
    path.write_bytes(gzip.compress(b"a a |\nb b |\n")[:-9])
    with pytest.raises(FileFormatError, match="gzip stream is damaged"):
        Lexicon.read(path, TOKENS)


def test_an_unknown_token_is_shown_with_its_line_and_the_nearest(tmp_path):
    path = tmp_path / "lexicon.txt"
    path.write_text("a a |\n\ncœur c œ u r |\n")
    with pytest.raises(
        FileFormatError, match=r"lexicon.txt:3: token 'œ' of word 'cœur' is not"
    ) as e:
        Lexicon.read(path, TOKENS)
    assert (e.value.line, "nearest" in e.value.reason) == (3, True)


def test_a_word_without_a_spelling_is_an_error_with_its_line(tmp_path):
    path = tmp_path / "lexicon.txt"
    path.write_text("a a |\nb\n")
    with pytest.raises(FileFormatError, match=r"lexicon.txt:2: word 'b' has no spelling"):
        Lexicon.read(path, TOKENS)


def test_spellings_may_be_given_in_memory():
    lexicon = Lexicon.from_spellings({"a": ["a |", "a a |"], "b": "b |"}, TOKENS)
    assert (len(lexicon), lexicon.native.num_spellings) == (2, 3)
    assert repr(lexicon) == "Lexicon(2 words, 3 spellings)"
    with pytest.raises(InvalidValueError, match="spelling 2 is b b 9, expected known tokens"):
        Lexicon.from_spellings({"a": "a", "b": "b 9"}, TOKENS)
    with pytest.raises(InvalidValueError, match="word is a b, expected no white space"):
        Lexicon.from_spellings({"a b": "a"}, TOKENS)


def test_thousands_of_tokens_and_words_are_found_again():
    tokens = Tokens([f"t{n}" for n in range(3000)])
    spellings = [(f"w{n}", f"t{n % 3000} t{n * 7 % 3000} t{n * 11 % 3000}") for n in range(20_000)]
    lexicon = Lexicon.from_spellings(spellings, tokens)
    assert [lexicon.index(f"w{n}") for n in range(20_000)] == list(range(20_000))
    assert lexicon.native.spelling(19_999) == (19_999, [1999, 139_993 % 3000, 219_989 % 3000])


def test_what_is_quoted_from_a_file_that_is_no_text_is_escaped(tmp_path):
    path = tmp_path / "lexicon.txt"
    path.write_bytes(b"PK\x03 \x00\xff\n")
    with pytest.raises(FileFormatError, match=r"token '\\x00\\xff' of word 'PK\\x03' is not one"):
        Lexicon.read(path, TOKENS)


def test_words_that_are_no_text_are_errors():
    assert len(Lexicon.from_spellings({"a": "a\n|"}, TOKENS)) == 1
    with pytest.raises(InvalidValueError, match="expected characters that UTF-8 has"):
        Lexicon.from_spellings({"a\ud800": "a |"}, TOKENS)


@pytest.mark.parametrize("text", ["", "\n \n", "\ufeff"])
def test_a_file_without_words_is_no_lexicon(text, tmp_path):
    path = tmp_path / "lexicon.txt"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=r"lexicon.txt: it has no word"):
        Lexicon.read(path, Tokens(list("-|ab")))
