"""The chapter of `sestina.decoding`, run small: what it shows is what it computed."""

from __future__ import annotations

import pytest

from sestina.cli.book import Chapter, Picture, Table, Text
from sestina.cli.chapters import decoding
from sestina.cli.tour import find_chapters
from sestina.core.options import read_options
from sestina.decoding import DecoderOptions, Tokens, greedy, samples
from sestina.decoding.error_rates import error_rate


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    steps = []
    book = Chapter(
        room="decoding",
        title=decoding.TITLE,
        folder=tmp_path_factory.mktemp("chapter"),
        quick=True,
        say=lambda line: None,
        progress=lambda done, total, label: steps.append((done, total, label)),
    )
    decoding.run(book)
    assert {label for _, _, label in steps} >= {"greedy", "language model", "trying settings"}
    assert all(0 <= done <= total for done, total, _ in steps)
    return book


def rows_of(table):
    return [dict(zip(table.headers, row, strict=True)) for row in table.rows]


def test_more_knowledge_of_the_language_leaves_fewer_errors(book):
    _, rates = [block for block in book.blocks if isinstance(block, Table)]
    found = {row["knowledge"]: row for row in rows_of(rates)}
    percent = {name: float(row["word error rate"].split()[0]) for name, row in found.items()}
    bundled = samples.sample()
    tokens = Tokens.read(bundled.tokens_path)
    texts = [greedy(one, tokens) for one in bundled.emissions[:12]]
    expected = 100 * error_rate(bundled.references[:12], texts).rate
    assert percent["best token of each frame"] == pytest.approx(expected, abs=0.05)
    assert percent["best token of each frame"] > percent["lexicon of 1219 words"]
    assert percent["lexicon of 1219 words"] > percent["both, tuned"]


def test_one_sentence_is_shown_at_each_stage(book):
    sentence = rows_of(next(block for block in book.blocks if isinstance(block, Table)))
    assert [row[""] for row in sentence] == [
        "what was said",
        "best token of each frame",
        "lexicon of 1219 words",
        "lexicon and 3-gram model",
        "both, tuned",
    ]
    said = sentence[0]["text"]
    assert said in samples.sample().references
    for row in sentence:
        assert int(row["word errors"]) == error_rate([said], [row["text"]]).errors
    assert int(sentence[1]["word errors"]) > int(sentence[-1]["word errors"])


def test_the_tuned_options_and_the_picture_are_kept(book):
    assert {path.name for path in book.folder.iterdir()} == {"options.toml", "time.png"}
    assert read_options(DecoderOptions, book.folder / "options.toml")
    assert [block.file for block in book.blocks if isinstance(block, Picture)] == ["time.png"]
    texts = " ".join(block.text for block in book.blocks if isinstance(block, Text))
    assert "12 sentences" in texts
    assert "8 settings" in texts


def test_the_tour_finds_the_chapter():
    assert "decoding" in find_chapters()
