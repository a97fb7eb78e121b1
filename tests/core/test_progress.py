from __future__ import annotations

import pytest

from sestina.core.progress import silent, tracked


def test_progress_is_told_before_the_first_and_after_each():
    told = []
    kept = [(item, len(told)) for item in tracked("ab", lambda *args: told.append(args), "words")]
    assert kept == [("a", 1), ("b", 2)]
    assert told == [(0, 2, "words"), (1, 2, "words"), (2, 2, "words")]


def test_nothing_to_do_is_told_once():
    told = []
    assert list(tracked([], lambda *args: told.append(args), "words")) == []
    assert told == [(0, 0, "words")]


def test_an_exception_of_progress_stops_the_work():
    def stop(done, total, label):
        if done == 1:
            raise KeyboardInterrupt

    seen = []
    with pytest.raises(KeyboardInterrupt):
        seen.extend(tracked("abc", stop, "words"))
    assert seen == ["a"]


def test_silence_is_silent(capsys):
    assert list(tracked([1, 2], silent, "words")) == [1, 2]
    assert capsys.readouterr() == ("", "")
