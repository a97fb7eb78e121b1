"""The benchmark harness: rows, files that only grow, and long benches that resume."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.harness import Report, Resumable, Value, append_line, at_least, at_most, table


def test_a_row_is_printed_and_appended_as_the_same_line(tmp_path, capsys):
    results = tmp_path / "results" / "room.jsonl"
    report = Report(results)
    for value in (1e-11, 1e-9):
        report.row(
            what="error", workload={"n": 3}, measured=Value(value), target=at_most(1e-10), limit=0.0
        )
    printed = capsys.readouterr().out
    assert results.read_text() == printed
    first, second = map(json.loads, printed.splitlines())
    assert (first["met"], second["met"]) == (True, False)
    expected = {"what", "workload", "date", "commit", "versions", "hardware", "ours", "peer"}
    assert expected | {"ratio", "limit", "target", "met"} <= set(first)
    assert first["versions"]["ours"]["python"]


def test_a_row_refuses_what_json_has_no_word_for(tmp_path):
    report = Report(tmp_path / "room.jsonl")
    with pytest.raises(ValueError, match="JSON compliant"):
        report.row(what="error", workload={}, measured=Value(float("nan")))
    assert not (tmp_path / "room.jsonl").exists()


def test_lines_appended_at_once_never_mix(tmp_path):
    path = tmp_path / "rows.jsonl"
    lines = [str(digit) * 5000 for digit in range(10)] * 5
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda line: append_line(path, line), lines))
    assert sorted(path.read_text().splitlines()) == sorted(lines)


def test_a_long_bench_computes_each_item_once_and_another_protocol_starts_afresh(tmp_path):
    computed = []

    def compute():
        computed.append(1)
        return {"loss": 0.5}

    first = Resumable("training", {"width": 64}, folder=tmp_path)
    assert first.get("seed 0", compute) == first.get("seed 0", compute) == {"loss": 0.5}
    again = Resumable("training", {"width": 64}, folder=tmp_path)
    assert again.get("seed 0", compute) == {"loss": 0.5}
    assert len(computed) == 1
    Resumable("training", {"width": 128}, folder=tmp_path).get("seed 0", compute)
    assert len(computed) == 2


def test_a_line_cut_short_by_a_crash_is_measured_again(tmp_path):
    first = Resumable("training", {}, folder=tmp_path)
    first.get("seed 0", lambda: 1)
    with first.path.open("a") as file:
        file.write('{"key": "seed 1", "va')
    again = Resumable("training", {}, folder=tmp_path)
    assert again.get("seed 0", lambda: 2) == 1
    assert again.get("seed 1", lambda: 2) == 2
    assert Resumable("training", {}, folder=tmp_path).get("seed 1", lambda: 3) == 2


def test_the_table_shows_target_against_measured(capsys):
    report = Report(None)
    report.row(what="speed", workload={}, measured=Value(3.0, "x"), target=at_least(4.0))
    text = table([json.loads(capsys.readouterr().out)])
    assert text.splitlines()[1].split() == ["speed", "3", "x", ">=", "4", "NO"]
