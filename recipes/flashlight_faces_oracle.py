"""Flashlight's own results on small seeded problems, for tests/parity/test_flashlight_faces.py.

Run from the root of a checkout, in the environment of decoding's peers:

    make .venv-bench-decoding/.ready
    .venv-bench-decoding/bin/python -m recipes.flashlight_faces_oracle

It writes tests/parity/flashlight_faces.json.gz: for each family of problems what flashlight-text
0.0.7 with KenLM 0.3.0 made of the problems of tests/parity/flashlight_problems.py, in one piece and
then, of the first of them, in several. Where scores are
equal, Flashlight's order is that of addresses in memory; a problem whose results are not the same
in each of several runs is recorded as null.
"""

import gzip
import json
import tempfile
from pathlib import Path

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
    """Solves and writes all problems."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lm.arpa")
        for family in FAMILIES:
            runs = [
                [
                    solve(problem_of(family, seed), decoding, dictionaries, path)
                    for solve, count in ((solved, NUM_PROBLEMS), (streamed, NUM_STREAMED))
                    for seed in range(count)
                ]
                for _ in range(NUM_RUNS)
            ]
            found[" ".join(map(str, family))] = [
                results[0] if all(one == results[0] for one in results) else None
                for results in zip(*runs, strict=True)
            ]
    text = json.dumps(found, separators=(",", ":"))
    TARGET.write_bytes(gzip.compress(text.encode(), mtime=0))
    unstable = sum(one is None for results in found.values() for one in results)
    print(f"{unstable} problems without a stable result")
    print(f"{len(found)} × {NUM_PROBLEMS} problems in {TARGET}, {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
