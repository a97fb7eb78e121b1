"""Rows of measurement: how `benchmarks/<room>/bench_*.py` time, compare, report and resume.

A bench is a module that defines `bench(report)` and ends with `main(bench)`:

    '''Forward map: full NNGP and NTK matrices against neural-tangents.'''

    from benchmarks.harness import Report, Worker, alternate, at_least, at_most, bench_python, main

    def ours(workload):                      # prepares in the worker process, untimed
        x = ...
        network = ...
        def run():
            network.kernels(x)               # timed; may return {"any": "json"} as extra
        return run

    def bench(report: Report) -> None:
        workload = {"n": 3000, "d": 100, "depth": 4, "dtype": "float32"}
        with (
            Worker("benchmarks.ntk.bench_matrices:ours", workload) as mine,
            Worker("benchmarks.ntk.peers.nt:kernels", workload,
                   python=bench_python("ntk")) as theirs,
        ):
            pairs = alternate(mine, theirs, pairs=20)
        report.row(what="NNGP+NTK, depth 4", workload=workload, measured=pairs, limit=0.045,
                   target=at_most(0.05))
        # accuracy: a number instead of timings
        report.row(what="forward map, largest error", workload={...}, measured=Value(3e-11),
                   target=at_most(1e-10))

    if __name__ == "__main__":
        main(bench)

Run it with `make bench ROOM=ntk ONLY=bench_matrices`, or while writing it with
`python -m benchmarks.ntk.bench_matrices --dry` (prints, appends nothing) from the project root.
A module with `LONG = True` is left out of `make bench` unless `ONLY` names it, and keeps its state
in a `Resumable`. A peer that lives in the package's own environment takes no `python=`.

What a row says: one JSON object with what, workload, date, commit (and whether the sources were
changed since), versions, hardware, clock, ours {median, spread, unit, runs}, peer (the same, or
null), ratio {median, low, high} (peer ÷ ours: above 1 we are faster; the 95 % bounds resample whole
pairs), limit (the floor that hardware or theory sets, or null), target, met. Spread is the
quartiles.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.figures import (
    SUBJECTS,
    Clock,
    Geomean,
    Measured,
    Pairs,
    Ratio,
    Runs,
    Target,
    Value,
    at_least,
    at_most,
)
from benchmarks.workers import ROOT, Sample, Worker, bench_python, versions

__all__ = [
    "Geomean",
    "Measured",
    "Pairs",
    "Ratio",
    "Report",
    "Resumable",
    "Row",
    "Runs",
    "Sample",
    "Target",
    "Value",
    "Worker",
    "alternate",
    "append_line",
    "at_least",
    "at_most",
    "bench_python",
    "main",
    "repeat",
    "table",
]


def alternate(
    ours: Worker,
    peer: Worker,
    *,
    pairs: int = 20,
    clock: Clock = "process",
    warmup: int = 2,
    repeats: int = 1,
) -> Pairs:
    """Runs both workers in turn, the order within a pair alternating, and returns the timings.

    Args:
        ours: our worker.
        peer: the peer's, pinned to as many cores.
        pairs: how many pairs count; at least 20 unless one run takes seconds.
        clock: "process" is CPU seconds of all threads; "wall" is for rows that say so.
        warmup: runs of each that are not counted.
        repeats: runs per timing; raise it where one run takes under a millisecond.
    """
    for _ in range(warmup):
        ours.run()
        peer.run()
    mine, theirs = [], []
    for index in range(pairs):
        first = index % 2 == 0
        if first:
            mine.append(ours.run(repeats=repeats))
        theirs.append(peer.run(repeats=repeats))
        if not first:
            mine.append(ours.run(repeats=repeats))
    return Pairs(
        ours=tuple(mine),
        peer=tuple(theirs),
        clock=clock,
        versions=ours.versions,
        peer_versions=peer.versions,
    )


def repeat(
    ours: Worker, *, runs: int = 20, clock: Clock = "process", warmup: int = 2, repeats: int = 1
) -> Runs:
    """Runs one worker `runs` times after `warmup` uncounted runs and returns the timings."""
    for _ in range(warmup):
        ours.run()
    samples = tuple(ours.run(repeats=repeats) for _ in range(runs))
    return Runs(ours=samples, clock=clock, versions=ours.versions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of results, as it is printed and kept."""

    what: str
    workload: Mapping[str, Any]
    date: str
    commit: str | None
    changed: bool
    versions: Mapping[str, Mapping[str, str]]
    hardware: Mapping[str, Any]
    clock: str | None
    ours: Measured
    peer: Measured | None
    ratio: Ratio | None
    limit: float | None
    target: Target | None
    met: bool | None
    notes: Mapping[str, Any]

    def line(self) -> str:
        """The row as one line of JSON."""
        return json.dumps(asdict(self), allow_nan=False, ensure_ascii=False)


class Report:
    """The rows of one bench: each is printed as a JSON line and appended to the room's results.

    Args:
        results: the file that gets the rows, or None for a dry run.
    """

    def __init__(self, results: Path | None) -> None:
        self.results = results
        self.rows: list[Row] = []
        self._commit, self._changed = _commit()
        self._hardware = _hardware()

    def row(
        self,
        *,
        what: str,
        workload: Mapping[str, Any],
        measured: Value | Runs | Pairs | Geomean,
        target: Target | None = None,
        limit: float | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> Row:
        """Adds a row.

        Args:
            what: the quantity, in the words of the list of targets.
            workload: sizes, dtype, seed: what someone needs to repeat it.
            measured: timings, a mean of such, or a `Value`.
            target: what it must reach; None for context rows.
            limit: the floor that the machine or theory sets, in the unit of `ours`.
            notes: anything else that the reader of the row needs, as JSON.
        """
        ours, peer, ratio = measured.figures()
        row = Row(
            what=what,
            workload=dict(workload),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            commit=self._commit,
            changed=self._changed,
            versions=_row_versions(measured),
            hardware=self._hardware,
            clock=None if isinstance(measured, Value) else measured.clock,
            ours=ours,
            peer=peer,
            ratio=ratio,
            limit=limit,
            target=target,
            met=None if target is None else target.is_met(ours, ratio),
            notes=dict(notes or {}),
        )
        self.rows.append(row)
        print(row.line(), flush=True)
        if self.results is not None:
            append_line(self.results, row.line())
        return row


class Resumable:
    """What a long bench has finished so far, one line per item, so that it can stop and go on.

    Items of another protocol are another file: change the protocol and the bench starts afresh.
    Each item remembers its commit; `commits` lists them for the notes of the row.

    Args:
        name: the bench.
        protocol: everything that the results depend on, as JSON.
        folder: where the file is kept; default `benchmarks/unfinished`.
    """

    def __init__(
        self, name: str, protocol: Mapping[str, Any], *, folder: Path | None = None
    ) -> None:
        digest = hashlib.sha256(json.dumps(protocol, sort_keys=True).encode()).hexdigest()[:12]
        self.path = (folder or ROOT / "benchmarks" / "unfinished") / f"{name}-{digest}.jsonl"
        self.commits: set[str] = set()
        self._items: dict[str, Any] = {}
        if self.path.exists():
            self._read()

    def get(self, key: str, compute: Callable[[], Any]) -> Any:
        """The item, from the file if it is there, else computed now and kept (as JSON)."""
        if key not in self._items:
            entry = {"key": key, "value": compute(), "commit": _commit()[0]}
            append_line(self.path, json.dumps(entry, allow_nan=False))
            self._keep(entry)
        return self._items[key]

    def _read(self) -> None:
        whole, _, cut = self.path.read_text().rpartition("\n")
        for line in whole.splitlines():
            self._keep(json.loads(line))
        if cut:  # a crash in the middle of a line: that item is measured again
            os.truncate(self.path, len(whole.encode()) + bool(whole))

    def _keep(self, entry: Mapping[str, Any]) -> None:
        self._items[entry["key"]] = entry["value"]
        self.commits.add(str(entry["commit"]))


def append_line(path: Path, line: str) -> None:
    """Appends one line in one write under a lock, so that two benches never mix theirs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.write(handle, (line + "\n").encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Target against measured, one line per row as JSON gives them, for people."""
    lines = [("what", "measured", "peer", "ratio (95 %)", "target", "met")]
    for row in rows:
        ratio, target, ours, peer = row["ratio"], row["target"], row["ours"], row["peer"]
        lines.append(
            (
                row["what"],
                f"{ours['median']:.4g} {ours['unit']}".strip(),
                f"{peer['median']:.4g} {peer['unit']}".strip() if peer else "",
                f"{ratio['median']:.2f} ({ratio['low']:.2f}–{ratio['high']:.2f})" if ratio else "",
                _target_text(target) if target else "",
                {True: "yes", False: "NO", None: ""}[row["met"]],
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def main(bench: Callable[[Report], None], arguments: Sequence[str] | None = None) -> None:
    """Runs one bench from the command line; rows go to `benchmarks/results/<room>.jsonl`."""
    room = Path(sys.modules[bench.__module__].__file__ or "").parent.name
    parser = argparse.ArgumentParser(description=sys.modules[bench.__module__].__doc__)
    parser.add_argument("--dry", action="store_true", help="print the rows, append nothing")
    dry = parser.parse_args(arguments).dry
    report = Report(None if dry else ROOT / "benchmarks" / "results" / f"{room}.jsonl")
    bench(report)
    print(table(asdict(row) for row in report.rows), file=sys.stderr)


def _target_text(target: Mapping[str, Any]) -> str:
    return f"{SUBJECTS[target['of']]}{target['sense']} {target['value']:g}"


def _row_versions(measured: Value | Runs | Pairs | Geomean) -> dict[str, dict[str, str]]:
    if isinstance(measured, Value):
        return {"ours": versions()}
    if isinstance(measured, Runs):
        return {"ours": dict(measured.versions)}
    return {"ours": dict(measured.versions), "peer": dict(measured.peer_versions)}


def _commit() -> tuple[str | None, bool]:
    """The commit of the checkout and whether its sources differ from it (results do not count)."""
    try:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
        status = subprocess.run(
            [
                "git",
                "status",
                "--porcelain",
                "--",
                "src",
                "csrc",
                "benchmarks",
                ":!benchmarks/results",
                ":!benchmarks/unfinished",
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None, True
    return head, bool(status.strip())


def _hardware() -> dict[str, Any]:
    cpu = platform.processor() or platform.machine()
    features: list[str] = []
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            cpu = value.strip()
        if key.strip() == "flags":
            features = [
                flag
                for flag in ("avx2", "fma", "avx512f", "avx512_bf16", "amx_tile")
                if flag in value.split()
            ]
            break
    return {
        "cpu": cpu,
        "features": features,
        "cores": len(os.sched_getaffinity(0)),
        "gpus": _gpus(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
        "load_1min": round(os.getloadavg()[0], 2),
    }


def _gpus() -> list[str]:
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return found.split("\n")[:-1]
