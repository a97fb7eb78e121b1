from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from sestina.cli.decoding import commands
from sestina.cli.main import cli, main


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        status = main(["decode", *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def test_help_is_that_of_decoding_and_names_the_other_commands(run):
    for arguments in (("--help",), ("-h",)):
        status, out, _ = run(*arguments)
        assert status == 0
        assert out.startswith("Usage: sestina decode [OPTIONS] FILE...")
        listed = re.findall(r"^    sestina decode ([a-z-]+)  ", out, re.MULTILINE)
        assert listed == list(commands.commands)
    status, _, err = run()
    assert status == 2
    assert "Usage: sestina decode [OPTIONS] FILE..." in err


@pytest.mark.parametrize("name", sorted(commands.commands))
def test_each_command_has_its_help(run, name):
    status, out, _ = run(name, "--help")
    assert status == 0
    assert out.startswith(f"Usage: sestina decode {name} ")


def test_a_command_with_a_letter_wrong_is_guessed(run):
    status, out, err = run("tunes", "a.npz")
    assert (status, out) == (2, "")
    meant = "no file 'tunes'; did you mean the command 'tune'?"
    assert err == f"error: {meant} see 'sestina decode --help'\n"


def test_a_file_may_have_a_command_s_name(run, tmp_path):
    for name, written in (("tunes", "tunes"), ("tune", "./tune")):
        (tmp_path / name).write_bytes(b"no emissions")
        (tmp_path / "tokens.txt").write_text("-\n|\na\n")
        (tmp_path / "lexicon.txt").write_text("a a |\n")
        known = ("--tokens", "tokens.txt", "--lexicon", "lexicon.txt")
        status, out, err = run(written, *known)
        assert (status, out) == (1, "")
        assert err.startswith(f"error: {name}: it begins with b'no emi', expected an .npz")


def test_the_group_shows_under_sestina():
    assert "decode" in CliRunner().invoke(cli, ["--help"]).output
