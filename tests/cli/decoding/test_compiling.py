from __future__ import annotations

import shutil

import pytest

from sestina.cli.main import main
from sestina.decoding import read_lm
from sestina.decoding.samples import sample


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(sample().arpa_path, "lm.arpa.gz")

    def call(*arguments):
        status = main(["decode", "compile-lm", *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


@pytest.mark.parametrize(("given", "written"), [((), "lm.slm"), (("-o", "own.bin"), "own.bin")])
def test_the_compiled_model_gives_the_same_scores(run, tmp_path, given, written):
    status, out, err = run("lm.arpa.gz", *given)
    assert (status, err) == (0, "")
    assert out.startswith(f"wrote {written}: order 3, ")
    words = ["the", "meeting", "with", "alice", "is", "on", "sunday"]
    original, compiled = read_lm("lm.arpa.gz"), read_lm(written)
    assert compiled.scores(words) == original.scores(words)
    assert compiled.counts == original.counts


def test_what_is_no_model_is_named_and_nothing_is_written(run, tmp_path):
    (tmp_path / "bad.arpa").write_text("no model\n")
    status, out, err = run("bad.arpa")
    assert (status, out) == (1, "")
    assert err.startswith("error: bad.arpa")
    assert not (tmp_path / "bad.slm").exists()
    status, _, err = run("lm.arpa.gz", "-o", "lm.arpa.gz")
    assert status == 2
    assert "another file than MODEL" in err
    assert run("none.arpa")[0] == 1
    assert run("lm.arpa.gz", "-o", "no/lm.slm")[0] == 2
