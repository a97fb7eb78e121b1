from __future__ import annotations

import pytest

from sestina.cli.decoding.phrases import read_grammar, read_hotwords
from sestina.core.errors import FileFormatError, OptionError


def test_a_score_follows_the_last_colon(tmp_path):
    path = tmp_path / "hotwords.txt"
    path.write_text("sestina:4\n\n  the  sea \nratio 3:1 now\nsestina:4.0\n")
    assert read_hotwords(["a:b:-2.5", "the sea:6"], path, default_score=6.0) == {
        "sestina": 4.0,
        "the sea": 6.0,
        "ratio 3:1 now": 6.0,
        "a:b": -2.5,
    }
    assert read_hotwords([], None, default_score=6.0) == {}


def test_bad_phrases_are_named_with_their_place(tmp_path):
    path = tmp_path / "hotwords.txt"
    path.write_text("one\n :3\n")
    with pytest.raises(FileFormatError, match=r"hotwords\.txt:2: ':3' has no words"):
        read_hotwords([], path, default_score=6.0)
    with pytest.raises(OptionError, match="PHRASE or PHRASE:SCORE"):
        read_hotwords([":3"], None, default_score=6.0)
    with pytest.raises(OptionError, match="score of 'sea' is inf, expected a finite number"):
        read_hotwords(["sea:inf"], None, default_score=6.0)
    path.write_bytes(b"\xff\xfe")
    for read in (lambda: read_hotwords([], path, default_score=1.0), lambda: read_grammar(path)):
        with pytest.raises(FileFormatError, match="byte 0 is not UTF-8"):
            read()


def test_a_grammar_has_a_phrase_a_line(tmp_path):
    path = tmp_path / "grammar.txt"
    path.write_text("lights  on\n\nlights off\n")
    assert read_grammar(path) == ["lights on", "lights off"]
    assert read_grammar(None) is None
    path.write_text("\n \n")
    with pytest.raises(FileFormatError, match="no phrases"):
        read_grammar(path)


def test_a_phrase_has_one_score(tmp_path):
    path = tmp_path / "hotwords.txt"
    path.write_text("the sea:2\n\nthe  sea:3\n")
    with pytest.raises(FileFormatError, match=r":3: 'the sea' has the score 3, expected 2 as"):
        read_hotwords([], path, default_score=6.0)
    path.write_text("the sea\n")
    for given in (["the sea:2"], ["sea:1", "sea:9"]):
        with pytest.raises(OptionError, match=r"with which '.*sea' was given before"):
            read_hotwords(given, path, default_score=6.0)
