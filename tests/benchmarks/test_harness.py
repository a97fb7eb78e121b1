"""The benchmark harness: statistics, rows, files that only grow, and long benches that resume."""

from __future__ import annotations

import json
import statistics
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.harness import (
    Pairs,
    Report,
    Resumable,
    Runs,
    Sample,
    Value,
    append_line,
    at_least,
    at_most,
    table,
)


def samples(seconds):
    return tuple(Sample(process_s=s, wall_s=10 * s) for s in seconds)


OURS = (1.0, 1.1, 0.9, 1.0, 1.2)
PEER = (2.0, 2.2, 1.8, 2.0, 2.4)


def test_the_ratio_is_of_medians_and_a_constant_factor_has_bounds_without_width():
    pairs = Pairs(ours=samples(OURS), peer=samples(PEER), clock="process")
    ours, peer, ratio = pairs.figures()
    assert ours.median == statistics.median(OURS)
    assert peer is not None
    assert peer.median == statistics.median(PEER)
    assert ratio is not None
    assert ratio.median == ratio.low == ratio.high == 2.0


def test_the_bounds_hold_the_ratio_between_them_when_pairs_differ():
    pairs = Pairs(ours=samples(OURS), peer=samples(reversed(PEER)), clock="process")
    ratio = pairs.figures()[2]
    assert ratio is not None
    assert ratio.low < ratio.median < ratio.high


def test_the_wall_clock_is_another_column():
    assert Runs(ours=samples(OURS), clock="wall").figures()[0].median == 10.0


def test_a_single_run_has_its_value_as_spread():
    assert Runs(ours=samples([3.0]), clock="process").figures()[0].spread == (3.0, 3.0)


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (at_most(1.0), True),
        (at_most(0.99), False),
        (at_least(2.0, of="ratio"), True),
        (at_least(2.1, of="ratio_low"), False),
    ],
)
def test_a_target_is_of_ours_or_of_the_ratio(target, met):
    ours, _, ratio = Pairs(ours=samples(OURS), peer=samples(PEER), clock="process").figures()
    assert target.is_met(ours, ratio) is met


def test_a_target_of_a_ratio_without_a_peer_is_refused():
    ours, _, ratio = Value(1.0).figures()
    with pytest.raises(ValueError, match="has no peer"):
        at_least(2.0, of="ratio").is_met(ours, ratio)


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
