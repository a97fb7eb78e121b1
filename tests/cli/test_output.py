from __future__ import annotations

import contextlib
import io
import json
import math
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sestina.cli.output import (
    DrawnProgress,
    drawn_progress,
    json_option,
    print_json,
    print_listing,
    print_table,
)
from sestina.core.errors import OptionError


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture(autouse=True)
def no_choice(monkeypatch):
    monkeypatch.delenv("SESTINA_PROGRESS", raising=False)
    monkeypatch.setenv("COLUMNS", "80")


def draw(stream, *, seconds, steps):
    clock = Clock()
    drawn = DrawnProgress(stream, clock=clock)
    for done in range(steps + 1):
        drawn(done, steps, "designing")
        clock.now_s += seconds / steps
    drawn.wipe()
    return stream.getvalue()


def test_what_takes_less_than_a_second_draws_nothing():
    assert draw(Terminal(), seconds=0.9, steps=100) == ""
    assert draw(io.StringIO(), seconds=0.9, steps=100) == ""


def test_a_terminal_gets_a_bar_that_vanishes():
    text = draw(Terminal(), seconds=10, steps=100)
    lines = text.split("\r")
    assert "designing " in lines[1]
    assert "11 of 100" in lines[1], "a second has passed"
    assert "about 0:09 left" in lines[1]
    assert "━━━━━━━━━━━━━━━━━━━━━━━━ 100 of 100" in lines[-2]
    assert lines[-1] == "\x1b[K"
    assert "\n" not in text


def test_a_bar_fits_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    lines = draw(Terminal(), seconds=10, steps=10).split("\r")[1:-1]
    assert all(len(line.removesuffix("\x1b[K")) <= 19 for line in lines)


def test_a_file_gets_a_line_every_ten_seconds():
    assert draw(io.StringIO(), seconds=35, steps=35).splitlines() == [
        f"designing: {done} of 35" for done in (10, 20, 30)
    ]


@pytest.mark.parametrize(("style", "expected"), [("bar", True), ("plain", False)])
def test_the_environment_chooses(monkeypatch, style, expected):
    monkeypatch.setenv("SESTINA_PROGRESS", style)
    for stream in (Terminal(), io.StringIO()):
        assert ("\r" in draw(stream, seconds=30, steps=30)) is expected


def test_the_environment_may_turn_it_off(monkeypatch):
    monkeypatch.setenv("SESTINA_PROGRESS", "off")
    assert draw(Terminal(), seconds=30, steps=30) == ""


def test_the_environment_is_checked(monkeypatch):
    monkeypatch.setenv("SESTINA_PROGRESS", "loud")
    with pytest.raises(OptionError, match="SESTINA_PROGRESS is 'loud', expected one of bar, plain"):
        draw(Terminal(), seconds=1, steps=1)


def test_an_unknown_total_is_a_count():
    clock = Clock()
    stream = Terminal()
    drawn = DrawnProgress(stream, clock=clock)
    clock.now_s += 2
    drawn(17, 0, "reading")
    assert "reading 17" in stream.getvalue()


def test_the_bar_is_wiped_on_an_error():
    stream = Terminal()
    clock = Clock()
    with contextlib.suppress(KeyboardInterrupt), drawn_progress(stream, clock=clock) as progress:
        clock.now_s += 2
        progress(1, 2, "designing")
        raise KeyboardInterrupt
    assert stream.getvalue().endswith("\r\x1b[K")


def test_a_table_is_printed_on_stdout(capsys):
    print_table([["relu", 4]], ["activation", "depth"])
    assert capsys.readouterr().out.splitlines()[2] == "relu            4"


def test_json_has_no_nan(capsys):
    print_json({"a": [1, 2.5, math.nan, (math.inf,)], "b": Path("x"), "c": None, 3: "σ"})
    assert json.loads(capsys.readouterr().out) == {
        "a": [1, 2.5, None, [None]],
        "b": "x",
        "c": None,
        "3": "σ",
    }


def test_a_listing_is_a_table_or_json(capsys):
    records = [{"name": "relu", "kinks": 1}, {"name": "erf", "kinks": 0}]
    print_listing(records, as_json=False)
    assert capsys.readouterr().out.startswith("name  kinks\n")
    print_listing(records, as_json=True)
    assert json.loads(capsys.readouterr().out) == records
    print_listing([], as_json=False)
    assert capsys.readouterr().out == "none\n"
    print_listing([], as_json=True)
    assert json.loads(capsys.readouterr().out) == []


def test_a_command_takes_json():
    @click.command()
    @json_option
    def listing(*, as_json):
        print_listing([{"a": 1}], as_json=as_json)

    assert json.loads(CliRunner().invoke(listing, ["--json"]).output) == [{"a": 1}]


def test_bytes_that_are_no_utf8_are_escaped_in_json(tmp_path):
    # As Python has a file's name with the byte 0xff, and a text cut in the middle of a pair.
    with (tmp_path / "out").open("w", encoding="utf-8") as out, contextlib.redirect_stdout(out):
        print_json({"name": "a\udcff", "said \ud800": ["σ\ud800b"]})
    text = (tmp_path / "out").read_text(encoding="utf-8")
    assert r"a\udcff" in text
    assert json.loads(text) == {"name": "a\udcff", "said \ud800": ["σ\ud800b"]}
