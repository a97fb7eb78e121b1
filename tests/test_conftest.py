"""A run that should have had the shared data does not pass by skipping what needs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")


@pytest.mark.parametrize(("required", "outcome"), [("0", "1 skipped"), ("1", "1 error")])
def test_a_skip_for_want_of_shared_data_fails_where_it_is_required(tmp_path, required, outcome):
    tests = tmp_path / "checkout" / "tests"
    tests.mkdir(parents=True)
    shutil.copy(CONFTEST, tests)
    (tests / "test_x.py").write_text("def test_reads_the_data(shared_data): pass\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=tests.parent,
        env=os.environ | {"SESTINA_REQUIRE_SHARED": required},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in done.stdout


def test_shared_data_beside_the_checkout_is_found(tmp_path):
    tests = tmp_path / "checkout" / "tests"
    tests.mkdir(parents=True)
    (tmp_path / "shared" / "data").mkdir(parents=True)
    shutil.copy(CONFTEST, tests)
    (tests / "test_x.py").write_text(
        "def test_reads_the_data(shared_data): assert shared_data.is_dir()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=tests.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in done.stdout
