"""The examples run, and print what they are there to show."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.py"))


def run(path, folder):
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, check=False, cwd=folder
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def percentages(text):
    return [float(number) for number in re.findall(r"([\d.]+)%", text)]


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_example_says_how_to_run_it(path):
    assert re.search(rf"python examples/{path.name}[ \n]", path.read_text())


def test_a_network_of_an_own_kernel_does_what_the_kernel_foretells(tmp_path, root):
    printed = run(root / "examples" / "ntk_own_kernel.py", tmp_path)
    expected_error, foretold, reached, apart = percentages(printed)
    assert expected_error < 5
    assert foretold > 90
    assert abs(foretold - reached) < 5
    assert apart < 6  # three times what was seen; the kernel itself is off by 2 %


def test_parity_is_learnt_by_the_network_and_not_by_its_kernel(tmp_path, root):
    kernel, network, deep = percentages(run(root / "examples" / "ntk_parity.py", tmp_path))
    assert network >= 99
    assert kernel < 70
    assert deep < 50


def test_a_model_of_hugging_face_says_in_a_batch_what_generate_finds(tmp_path, root):
    pytest.importorskip("transformers", reason="transformers is not installed")
    printed = run(root / "examples" / "huggingface_beam_search.py", tmp_path)
    found = re.findall(r"(\d+) of (\d+) sequences .* at most (\S+) apart", printed)
    assert len(found) == 2
    for same, of, apart in found:
        assert same == of == "12"
        assert float(apart) < 1e-5
