"""The figures in docs/benchmarks.md: the latest row of each quantity on each maker's CPU.

`python -m benchmarks.page` writes them; `make bench` calls it when it has appended rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.figures import SUBJECTS
from benchmarks.workers import ROOT

__all__ = ["figures", "latest", "write"]

PAGE = ROOT / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- figures: make bench writes what follows -->\n", "<!-- end of figures -->\n"
_HEAD = ("what", "measured", "target", "met", "peer ÷ ours (95 %)", "on", "at")


def latest(results: Path) -> list[dict[str, Any]]:
    """The last row of each quantity on each CPU, in the order in which they first came."""
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for line in results.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        rows.setdefault(row["what"], {})[row["hardware"]["cpu"]] = row
    return [row for each in rows.values() for row in each.values()]


def figures(folder: Path) -> str:
    """One table per room, as Markdown."""
    parts = []
    for results in sorted(folder.glob("*.jsonl")):
        lines = [_HEAD, ("---",) * len(_HEAD), *(_cells(row) for row in latest(results))]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"### {results.stem}\n\n{table}\n")
    return "\n".join(parts)


def write(page: Path = PAGE) -> None:
    """Puts the figures into the page, between its two marks."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    made = f"{before}{_BEGIN}\n{figures(ROOT / 'benchmarks' / 'results')}\n{_END}{after}"
    page.write_text(made, encoding="utf-8")


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    ours, ratio, target = row["ours"], row["ratio"], row["target"]
    gpus = row["hardware"].get("gpus") or []
    return (
        row["what"].replace("|", "\\|"),
        f"{ours['median']:.3g} {ours['unit']}".strip(),
        f"{SUBJECTS[target['of']]}{target['sense']} {target['value']:g}" if target else "",
        {True: "yes", False: "**no**", None: ""}[row["met"]],
        f"{ratio['median']:.3g} ({ratio['low']:.3g}–{ratio['high']:.3g})" if ratio else "",
        gpus[0]
        if gpus
        else f"{row['hardware']['cores']} cores of {_maker(row['hardware']['cpu'])}",
        f"{row['date'][:10]} {(row['commit'] or 'unknown')[:7]}{'*' if row['changed'] else ''}",
    )


def _maker(cpu: str) -> str:
    return cpu.split(maxsplit=1)[0].removesuffix("(R)") if cpu else "some CPU"


if __name__ == "__main__":
    write()
