from __future__ import annotations

import importlib.util
import subprocess
import sys

import click
import pytest

from sestina.cli.rooms import COMMANDS, is_present, load_command


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_that_is_there_loads(name):
    if not is_present(name):
        pytest.skip(f"this copy has no {COMMANDS[name].module}")
    assert isinstance(load_command(name), click.Command)


def test_a_command_whose_file_is_not_there_is_absent():
    for name, entry in COMMANDS.items():
        assert is_present(name) == (importlib.util.find_spec(entry.module) is not None)
    assert not is_present("no-such-room")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_summary_is_one_sentence(name):
    summary = COMMANDS[name].summary
    assert summary.endswith(".")
    assert len(summary) <= 70


WITHOUT_TORCH = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from sestina.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(not is_present("ntk"), reason="this copy has no command ntk")
def test_a_missing_extra_is_named_when_its_command_is_called():
    for arguments in (["ntk"], ["ntk", "design"]):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr == (
            "error: torch is not installed; install it with: pip install 'sestina[ntk]'\n"
        )


def test_without_torch_the_rest_works():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "--help"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "doctor" in done.stdout
