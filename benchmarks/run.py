"""Runs the benches of a room one after another: `python -m benchmarks.run ntk [--only bench_x]`.

`make bench ROOM=ntk` calls it once the environment of the peers exists. Each bench is a process of
its own. A long one (`LONG = True` in its file) runs only when named. The last thing printed is
target against measured of every row, on stderr; stdout carries the rows, one JSON object a line.
A missed target is reported, not an error: only a bench that breaks makes the exit status 1.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import page
from benchmarks.harness import table
from benchmarks.workers import ROOT

__all__ = ["benches_of", "is_long", "main"]


def benches_of(room: str, only: str | None = None, *, folder: Path | None = None) -> list[Path]:
    """The bench files of a room that are to run.

    Args:
        room: a folder of benchmarks/.
        only: the one to run, long or not; default all short ones.
        folder: where rooms are looked for; default `benchmarks/` of this checkout.

    Raises:
        SystemExit: if there is no such room or bench, with those there are.
    """
    folder = folder or ROOT / "benchmarks"
    found = sorted((folder / room).glob("bench_*.py"))
    if not found:
        rooms = sorted({path.parent.name for path in folder.glob("*/bench_*.py")})
        msg = f"error: room {room!r} has no benches; rooms that have some: {', '.join(rooms)}"
        raise SystemExit(msg)
    if only is None:
        return [path for path in found if not is_long(path)]
    named = [path for path in found if path.stem == only]
    if not named:
        known = ", ".join(path.stem for path in found)
        msg = f"error: {room} has no bench {only!r}; it has {known}"
        raise SystemExit(msg)
    return named


def is_long(path: Path) -> bool:
    """Whether the file says `LONG = True` at its top level."""
    return any(
        isinstance(node, ast.Assign)
        and [ast.unparse(target) for target in node.targets] == ["LONG"]
        and isinstance(node.value, ast.Constant)
        and node.value.value is True
        for node in ast.parse(path.read_text()).body
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for and returns the exit status."""
    parser = argparse.ArgumentParser(description="Run the benches of a room.")
    parser.add_argument("room", help="a folder of benchmarks/, e.g. ntk")
    parser.add_argument("--only", metavar="BENCH", help="one bench, e.g. bench_matrices")
    parser.add_argument("--dry", action="store_true", help="append nothing to benchmarks/results")
    options = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    broken: list[str] = []
    for path in benches_of(options.room, options.only):
        print(f"-- {path.stem}", file=sys.stderr, flush=True)
        found, code = _run(f"benchmarks.{options.room}.{path.stem}", dry=options.dry)
        rows += found
        if code != 0:
            broken.append(path.stem)
    if rows and not options.dry:
        page.write()
    missed = sum(row["met"] is False for row in rows)
    print(f"\n{table(rows)}", file=sys.stderr)
    print(f"{len(rows)} rows, {missed} missed their target", file=sys.stderr)
    if broken:
        print(f"error: broke before their end: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


def _run(module: str, *, dry: bool) -> tuple[list[dict[str, Any]], int]:
    command = [sys.executable, "-m", module] + (["--dry"] if dry else [])
    rows = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None, "the pipe is asked for above"
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith("{"):
                rows.append(json.loads(line))
    return rows, process.returncode


if __name__ == "__main__":
    sys.exit(main())
