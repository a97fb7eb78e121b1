"""The figures in the documentation are the rows' own."""

import json

from benchmarks.page import PAGE, figures, latest, write
from benchmarks.workers import ROOT


def test_the_page_shows_the_latest_rows():
    assert figures(ROOT / "benchmarks" / "results") in PAGE.read_text(encoding="utf-8")


def row(what, median, **changes):
    base = {
        "what": what,
        "date": "2026-11-26T00:00:00+00:00",
        "commit": "0123456789",
        "changed": False,
        "hardware": {"cores": 2, "cpu": "AMD EPYC"},
        "ours": {"median": median, "unit": "s"},
        "ratio": None,
        "target": {"sense": "<=", "value": 2.0, "of": "ours"},
        "met": median <= 2,
    }
    return json.dumps(base | changes)


def test_a_later_row_replaces_an_earlier_one(tmp_path):
    results = tmp_path / "room.jsonl"
    results.write_text("\n".join([row("a", 3.0), row("b", 1.0, changed=True), row("a", 1.5)]))
    assert [found["ours"]["median"] for found in latest(results)] == [1.5, 1.0]
    other = row("a", 1.75, hardware={"cores": 4, "cpu": "Intel(R) Xeon(R) Processor"})
    results.write_text(f"{results.read_text()}\n{other}")
    assert [found["ours"]["median"] for found in latest(results)] == [1.5, 1.75, 1.0]
    table = figures(tmp_path)
    assert "### room" in table
    assert "| a | 1.5 s | <= 2 | yes |  | 2 cores of AMD | 2026-11-26 0123456 |" in table
    assert "| 4 cores of Intel |" in table
    assert "0123456* |" in table


def test_only_what_stands_between_the_marks_is_written(tmp_path):
    page = tmp_path / "page.md"
    text = PAGE.read_text(encoding="utf-8")
    page.write_text(text, encoding="utf-8")
    write(page)
    assert page.read_text(encoding="utf-8") == text
