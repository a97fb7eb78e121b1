import numpy as np
import pytest

from sestina.core.errors import FileFormatError, InvalidValueError, UnknownNameError
from sestina.decoding import Decoder, DecoderOptions, Lexicon, Tokens, greedy


def test_a_line_is_an_index_and_its_spellings_share_it(tmp_path):
    path = tmp_path / "tokens.txt"
    path.write_text("-\n\n|\na A\n  œ\n")
    tokens = Tokens.read(path)
    assert len(tokens) == 4
    assert [tokens.index(name) for name in ("-", "|", "a", "A", "œ")] == [0, 1, 2, 2, 3]
    assert [tokens[index] for index in range(4)] == ["-", "|", "a", "œ"]
    assert "A" in tokens
    assert "b" not in tokens


def test_an_unknown_token_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"token is '##int'.*nearest is '##ing'"):
        Tokens(["-", "##ing", "the"]).index("##int")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["-", "a", "a"], "token 2 is 'a', expected a new spelling, as index 1 has this one"),
        (["-", ""], "token 1 is '', expected a spelling"),
        (["-", ()], "token 1 is '', expected a spelling"),
        ([], "expected at least one token"),
    ],
)
def test_entries_are_non_empty_and_differ(entries, message):
    with pytest.raises(InvalidValueError, match=message):
        Tokens(entries)


def test_a_file_that_is_no_list_of_tokens_is_an_error_of_its_format(tmp_path):
    twice, binary = tmp_path / "twice.txt", tmp_path / "binary.txt"
    twice.write_text("a\n\nb\na\n")
    with pytest.raises(FileFormatError, match=r"twice.txt:4: token 2 is 'a'"):
        Tokens.read(twice)
    binary.write_bytes(b"a\n\xff\n")
    with pytest.raises(FileFormatError, match=r"binary.txt: byte 2 is not UTF-8"):
        Tokens.read(binary)


def test_a_byte_order_mark_is_no_part_of_the_first_token(tmp_path):
    path = tmp_path / "tokens.txt"
    path.write_text("-\n|\na\n", encoding="utf-8-sig")
    tokens = Tokens.read(path)
    assert list(tokens) == ["-", "|", "a"]
    path.write_text("a a |\n", encoding="utf-8-sig")
    assert "a" in Lexicon.read(path, tokens)


def test_only_ascii_white_space_parts_tokens(tmp_path):
    path = tmp_path / "tokens.txt"
    path.write_text("-\n\u2028\n\u00a0 x\r\n", newline="")
    assert [Tokens.read(path).index(name) for name in ("-", "\u2028", "\u00a0", "x")] == [
        0,
        1,
        2,
        2,
    ]


def test_any_name_of_the_blank_and_the_silence_will_do():
    tokens = Tokens([["-", "<blk>"], ["|", "<sil>"], "a", "b"])
    said = np.log([[0.97 if name == letter else 0.01 for name in "-|ab"] for letter in "a-|b|"])
    named = {"blank": "<blk>", "silence": "<sil>"}
    lexicon = Lexicon.from_spellings({"a": "a |", "b": "b <sil>"}, tokens)
    open_one = DecoderOptions(**named, open_vocabulary=True, unk_score=-1.0)
    for decoder in (
        Decoder(tokens, options=DecoderOptions(**named)),
        Decoder(lexicon, options=DecoderOptions(**named)),
        Decoder(tokens, options=open_one),
    ):
        best = decoder.decode(said)[0]
        assert best.text == "a b"
        assert [(word.start, word.end) for word in best.words] == [(0, 1), (3, 4)]
        assert decoder.lattice(said).nbest(1)[0].text == "a b"
    assert greedy(said, tokens, **named) == "a b"
