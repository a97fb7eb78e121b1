from __future__ import annotations

import json
import math

import pytest

from sestina.cli.book import Chapter, Picture, Table, Text, read_records
from sestina.core.errors import FileFormatError, InvalidValueError, ShapeError
from sestina.core.plots import new_figure


@pytest.fixture
def lines():
    return []


@pytest.fixture
def book(tmp_path, lines):
    folder = tmp_path / "fake"
    folder.mkdir()
    return Chapter(room="fake", title="A fake", folder=folder, say=lines.append)


def test_what_is_shown_is_printed_and_kept(book, lines, tmp_path):
    pytest.importorskip("matplotlib")
    book.text("Two\n  lines.")
    book.table(
        [["relu", 0.123456, 3], ["erf", math.nan, None]], ["name", "error", "n"], caption="C"
    )
    path = book.picture("kernel.png", new_figure()[0], caption="K(c)")
    book.write_record(took_s=1.26)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert lines[0] == "\nTwo lines."
    assert lines[1].startswith("\nC\nname   error  n\n")
    (record,) = read_records(tmp_path)
    assert (record.room, record.title, record.took_s, record.quick) == (
        "fake",
        "A fake",
        1.3,
        False,
    )
    assert record.folder == tmp_path / "fake"
    assert record.blocks == (
        Text(text="Two lines."),
        Table(
            headers=["name", "error", "n"],
            rows=[["relu", "0.1235", "3"], ["erf", "nan", ""]],
            caption="C",
        ),
        Picture(file="kernel.png", caption="K(c)"),
    )
    facts = json.loads((tmp_path / "fake" / "chapter.json").read_text())
    assert (facts["format"], facts["version"]) == ("sestina-tour-chapter", 1)


def test_a_picture_may_be_there_already(book):
    (book.folder / "a.svg").write_text("<svg/>")
    assert book.picture("a.svg", caption="A") == book.folder / "a.svg"


@pytest.mark.parametrize("name", ["missing.png", "notes.txt", "../other.png", "a.gif"])
def test_what_is_no_picture_is_refused(book, name):
    (book.folder / "notes.txt").write_text("x")
    (book.folder.parent / "other.png").write_text("x")
    with pytest.raises(InvalidValueError, match="expected a file in"):
        book.picture(name, caption="A")
    assert book.blocks == []


def test_a_ragged_table_is_refused(book):
    with pytest.raises(ShapeError):
        book.table([[1]], ["a", "b"])


def test_records_come_by_room_and_hidden_folders_do_not_count(tmp_path):
    for room in ("rl", "ntk", ".ntk.0123.partial"):
        (tmp_path / room).mkdir()
        Chapter(room=room, title="T", folder=tmp_path / room).write_record(took_s=0)
    (tmp_path / "stray").mkdir()
    assert [record.room for record in read_records(tmp_path)] == ["ntk", "rl"]
    assert read_records(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda facts: facts.update(version=2), "expected ..sestina-tour-chapter., 1"),
        (lambda facts: facts.update(format="x"), "it is .'x', 1"),
        (lambda facts: facts.pop("title"), "title"),
        (lambda facts: facts.update(more=1), "more"),
        (lambda facts: facts.update(blocks=[{"kind": "sound"}]), "sound"),
        (lambda facts: facts.update(blocks=[{"kind": "text"}]), "text"),
        (lambda facts: facts.update(blocks=[{"text": "x"}]), "kind"),
        (lambda facts: facts.update(blocks=3), "int"),
        (
            lambda facts: facts.update(
                blocks=[{"kind": "picture", "file": "a.png", "caption": ""}]
            ),
            "its picture 'a.png' is not there",
        ),
        (
            lambda facts: facts.update(
                blocks=[{"kind": "picture", "file": "../b.png", "caption": ""}]
            ),
            "its picture '../b.png' is not there",
        ),
    ],
)
def test_a_damaged_record_is_named_with_a_remedy(book, tmp_path, change, text):
    (tmp_path / "b.png").write_text("x")
    book.write_record(took_s=0)
    path = tmp_path / "fake" / "chapter.json"
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))
    with pytest.raises(FileFormatError, match=text) as caught:
        read_records(tmp_path)
    assert caught.value.path == path
    assert "run `sestina tour fake`" in caught.value.remedy


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '"x"'])
def test_what_is_no_record_is_named(book, tmp_path, text):
    (tmp_path / "fake" / "chapter.json").write_text(text)
    with pytest.raises(FileFormatError, match="no chapter"):
        read_records(tmp_path)
