"""Flashlight's own results on small seeded problems, for tests/parity/test_flashlight_faces.py.

Run from the root of a checkout, in the environment of decoding's peers:

    make .venv-bench-decoding/.ready
    .venv-bench-decoding/bin/python -m recipes.flashlight_faces_oracle

It writes tests/parity/flashlight_faces.json.gz: for each family of problems what flashlight-text
0.0.7 with KenLM 0.3.0 made of the problems of tests/parity/flashlight_problems.py, in one piece and
then, of the first of them, in several. Where scores are
equal, Flashlight's order is that of addresses in memory; a problem whose results are not the same
in each of several runs is recorded as null.

With `--check` it solves the problems and writes only which differ from the record, some of them
several times, until they agree.
"""

import argparse
import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

from flashlight.lib.text import decoder as decoding
from flashlight.lib.text import dictionary as dictionaries

from tests.parity.flashlight_problems import (
    FAMILIES,
    NUM_PROBLEMS,
    NUM_STREAMED,
    problem_of,
    solved,
    streamed,
)

NUM_RUNS = 5
TARGET = Path("tests/parity/flashlight_faces.json.gz")


def main() -> None:
    """Solves all problems, and writes or checks them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the record")
    if parser.parse_args().check:
        check()
        return
    runs = [solve_all() for _ in range(NUM_RUNS)]
    found = {
        family: [
            results[0] if all(one == results[0] for one in results) else None
            for results in zip(*(run[family] for run in runs), strict=True)
        ]
        for family in runs[0]
    }
    text = json.dumps(found, separators=(",", ":"))
    TARGET.write_bytes(gzip.compress(text.encode(), mtime=0))
    unstable = sum(one is None for results in found.values() for one in results)
    print(f"{unstable} problems without a stable result")
    print(f"{len(found)} × {NUM_PROBLEMS} problems in {TARGET}, {TARGET.stat().st_size:,} bytes")


def solve_all() -> dict[str, list[Any]]:
    """Each family's results, as JSON has them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lm.arpa")
        found = {
            " ".join(map(str, family)): [
                solve(problem_of(family, seed), decoding, dictionaries, path)
                for solve, count in ((solved, NUM_PROBLEMS), (streamed, NUM_STREAMED))
                for seed in range(count)
            ]
            for family in FAMILIES
        }
    results: dict[str, list[Any]] = json.loads(json.dumps(found))
    return results


def check() -> None:
    """Prints how many problems were solved, and which of them never as recorded."""
    recorded = json.loads(gzip.decompress(TARGET.read_bytes()))
    expected = {
        (family, number): result
        for family, results in recorded.items()
        for number, result in enumerate(results)
        if result is not None
    }
    wrong = set(expected)
    for _ in range(NUM_RUNS):  # of what is not stable some was so when it was recorded
        if wrong:
            found = solve_all()
            wrong = {at for at in wrong if found[at[0]][at[1]] != expected[at]}
    print(json.dumps({"solved": len(expected), "wrong": sorted(wrong)}))


if __name__ == "__main__":
    main()
