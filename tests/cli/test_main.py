"""The command as people call it: status, one line of error, nothing loaded too early."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import click
import pytest

import sestina
from sestina.cli.main import cli, main
from sestina.core.errors import CancelledError, MissingExtraError, OptionError, ShapeError


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "sestina.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )


@pytest.fixture
def failing(monkeypatch):
    """Adds a command that raises what it is given."""

    def add(error):
        @click.command()
        def command():
            raise error

        get = cli.get_command
        monkeypatch.setattr(cli, "list_commands", lambda ctx: ["fail"])
        monkeypatch.setattr(
            cli, "get_command", lambda ctx, name: command if name == "fail" else get(ctx, name)
        )

    return add


def test_the_version_is_shown(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"sestina {sestina.__version__}\n"


def test_help_lists_the_commands(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "doctor  Show what this machine has" in out
    assert "tour    Run the main job" in out
    assert main(["doctor", "-h"]) == 0


def test_help_loads_no_torch_and_no_command():
    code = (
        "import sys; from sestina.cli.main import main; main(['--help']);"
        "heavy = {'torch', 'numpy', 'scipy', 'sklearn', 'matplotlib', 'sestina.ntk',"
        "         'sestina.cli.doctor', 'sestina.cli.tour'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_a_command_the_help_is_shown(capsys):
    assert main([]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Usage: sestina")
    assert "error:" not in err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["doctro"],
            "error: no such command 'doctro'; did you mean 'doctor'? see 'sestina --help'",
        ),
        (["explain"], "no such command 'explain'; did you mean 'sestina fuser explain'?"),
        (["no-such-thing"], "error: no such command 'no-such-thing'; there are "),
        (["--colour"], "error: No such option"),
        (["doctor", "--jsn"], "see 'sestina doctor --help'"),
        (["doctor", "extra"], "see 'sestina doctor --help'"),
        (["tour", "nowhere"], "error: room of the tour is 'nowhere'"),
    ],
)
def test_a_wrong_command_line_is_status_2_and_one_line(capsys, arguments, text):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (
            ShapeError("x1", (3,), expected="two axes", remedy="pass\nx1[None, :]"),
            1,
            "x1 is (3,), expected two axes; pass x1[None, :]",
        ),
        (OptionError("width", 0, expected="1 or more", remedy="pass 128"), 2, "width is 0,"),
        (MissingExtraError("torch", extra="ntk"), 1, "torch is not installed"),
        (CancelledError("item 2 was cancelled", remedy="run it again"), 130, "item 2 was"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.Abort(), 130, "interrupted"),
        (
            FileNotFoundError(2, "No such file or directory", "a.csv"),
            1,
            "a.csv: No such file or directory; check the path",
        ),
        (OSError(28, "No space left", "a.json"), 1, "a.json: No space left; make room there"),
        (OSError(28, "No space left on device"), 1, "No space left on device; check space"),
        (click.ClickException("it is odd"), 1, "it is odd"),
        (
            ZeroDivisionError("division by zero"),
            1,
            "ZeroDivisionError: division by zero; this is a",
        ),
    ],
)
def test_an_error_is_one_line_and_a_status(failing, capsys, error, status, text):
    failing(error)
    assert main(["fail"]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {text}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--debug", "fail"], ["fail", "--debug"]])
def test_debug_adds_the_traceback(failing, capsys, arguments):
    failing(ShapeError("x1", (3,), expected="two axes", remedy="pass x1[None, :]"))
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith("error: x1 is (3,)")


def test_what_stands_after_two_dashes_is_left_alone(failing, capsys):
    failing(KeyboardInterrupt())
    assert main(["fail", "--", "--debug"]) == 2
    assert "--debug" in capsys.readouterr().err


def test_a_command_may_choose_its_status(failing):
    failing(click.exceptions.Exit(7))
    assert main(["fail"]) == 7


def test_an_output_that_is_closed_from_the_start_is_no_defect():
    command = f"{sys.executable} -m sestina.cli.main ntk targets >&-"
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_stops_reading_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "sestina.cli.main", "--help"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_the_console_script_is_the_module():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"sestina {sestina.__version__}\n")


def test_the_shell_can_complete(tmp_path):
    done = run(env={**os.environ, "_SESTINA_COMPLETE": "bash_source"})
    assert "_sestina_completion" in done.stdout


INTERRUPTED = """
import os, signal, sys, click
from sestina.cli.main import cli, main

@click.command()
def command():
    os.kill(os.getpid(), signal.SIGINT)

type(cli).list_commands = lambda *_: ["wait"]
type(cli).get_command = lambda *_: command
sys.exit(main(["wait"]))
"""


def test_ctrl_c_is_status_130():
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "error: interrupted\n")
    assert signal.SIGINT == 130 - 128
