from __future__ import annotations

import base64
from html.parser import HTMLParser

import pytest

from sestina.cli.book import ChapterRecord, Picture, Table, Text
from sestina.cli.page import render_page

PIXEL = b"\x89PNG\r\n\x1a\n"


class Reader(HTMLParser):
    """Checks that tags are closed in order, and collects what refers to something outside."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.references, self.texts = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.references += [value for name, value in attrs if name in {"src", "href", "srcset"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture
def make_record(tmp_path):
    def make(*blocks, **facts):
        known = {
            "room": "ntk",
            "title": "Kernels",
            "folder": tmp_path,
            "sestina": "0.1.0",
            "date": "2026-11-20T12:00:00+00:00",
            "took_s": 12.3,
            "quick": False,
        }
        return ChapterRecord(**{**known, **facts}, blocks=blocks)

    return make


def test_a_page_shows_every_chapter_in_order(make_record):
    page = render_page([make_record(), make_record(room="rl", title="Agents", quick=True)])
    reader = read(page)
    assert reader.references == ["#ntk", "#rl"]
    assert page.index('<section id="ntk">') < page.index('<section id="rl">')
    assert "ntk, sestina 0.1.0, 2026-11-20T12:00:00+00:00, 12.3 s" in reader.texts
    assert "12.3 s, quick" in page


def test_pictures_are_inside_and_nothing_is_fetched(make_record, tmp_path):
    (tmp_path / "a.png").write_bytes(PIXEL)
    (tmp_path / "b.svg").write_text("<svg/>")
    page = render_page(
        [make_record(Picture(file="a.png", caption="K"), Picture(file="b.svg", caption="φ"))]
    )
    assert read(page).references == [
        "#ntk",
        "data:image/png;base64," + base64.b64encode(PIXEL).decode(),
        "data:image/svg+xml;base64," + base64.b64encode(b"<svg/>").decode(),
    ]
    assert 'alt="φ"' in page
    assert not {"script", "link", "iframe"} & set(read(page).tags)
    assert "url(" not in page


def test_everything_is_escaped(make_record, tmp_path):
    evil = '<script>alert("x")</script>&\'{0}'
    (tmp_path / "a.png").write_bytes(PIXEL)
    record = make_record(
        Text(text=evil),
        Table(headers=[evil], rows=[[evil]], caption=evil),
        Picture(file="a.png", caption=evil),
        title=evil,
        sestina=evil,
        date=evil,
    )
    reader = read(render_page([record]))
    assert "script" not in reader.tags
    assert reader.texts.count(evil) == 7


def test_columns_of_numbers_are_set_right(make_record):
    block = Table(headers=["name", "error"], rows=[["relu", "1e-05"], ["3", ""]], caption="")
    page = render_page([make_record(block)])
    assert '<th>name</th><th class="number">error</th>' in page
    assert '<td>3</td><td class="number"></td>' in page


def test_it_is_for_light_and_dark_and_small_screens(make_record):
    page = render_page([make_record()])
    assert page.startswith("<!doctype html>\n")
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
    assert '<meta charset="utf-8">' in page


def test_a_page_of_nothing_is_a_page():
    assert read(render_page([])).references == []
