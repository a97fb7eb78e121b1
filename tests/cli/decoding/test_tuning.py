"""`sestina decode tune` as people call it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sestina.cli.main import main
from sestina.core.options import read_options
from sestina.decoding import DecoderOptions
from sestina.decoding.samples import recordings, sample

BUNDLED = sample("tune")
FEW = list(BUNDLED.emissions[:8])
KNOWLEDGE = ("--tokens", BUNDLED.tokens_path, "--lexicon", BUNDLED.lexicon_path)
LM = ("--lm", BUNDLED.arpa_path)


@pytest.fixture(autouse=True)
def few_utterances(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("few.npz", emissions=np.concatenate(FEW), lengths=[len(one) for one in FEW])
    (tmp_path / "said.txt").write_text("\n".join(BUNDLED.references[:8]) + "\n")


@pytest.fixture
def run(capsys):
    def call(*arguments):
        line = ["decode", "tune", "few.npz", *KNOWLEDGE, *arguments]
        status = main([str(argument) for argument in line])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def test_the_options_found_are_written_for_decode(run, tmp_path):
    status, out, err = run(
        *LM, "--references", "said.txt", "--trials", 6, "--out", "best.toml", "--plot", "time.png"
    )
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("6 settings tried, 6 of them on all 8 utterances")
    assert lines[1].split()[:4] == ["chosen", "WER", "%", "µs/frame"]
    [chosen] = [line for line in lines[3:] if line.startswith("*")]
    assert "wrote best.toml, time.png" in lines
    assert (tmp_path / "time.png").read_bytes().startswith(b"\x89PNG")
    found = read_options(DecoderOptions, "best.toml")
    assert f"{found.lm_weight:g}" in chosen
    decoded = main([*map(str, ("decode", "few.npz", *KNOWLEDGE, *LM, "--config", "best.toml"))])
    assert decoded == 0


def test_json_has_every_trial(run):
    status, out, _ = run(
        *LM, "--references", "said.txt", "--trials", 5, "--json", "--target-wer", 95
    )
    assert status == 0
    facts = json.loads(out)
    assert (facts["format"], facts["version"]) == ("sestina-decode-tuning", 1)
    assert (facts["is_met"], facts["target_wer"], len(facts["trials"])) == (True, 95, 5)
    assert facts["chosen"]["options"] in [one["options"] for one in facts["frontier"]]
    low, high = facts["chosen"]["interval"]
    assert low <= facts["chosen"]["word_error_rate"] <= high


def test_a_goal_out_of_reach_fails_and_writes_no_options(run, tmp_path):
    status, out, err = run(
        *LM, "--references", "said.txt", "--trials", 2, "--target-wer", 0.1, "--out", "best.toml"
    )
    assert status == 1
    assert "settings tried" in out
    assert "goal is 0.1 % errors, expected what was reached: " in err
    assert not (tmp_path / "best.toml").exists()


def test_what_is_not_tuned_comes_from_the_start(run, tmp_path):
    (tmp_path / "start.toml").write_text("beam_size = 7\nword_score = 1.25\n")
    status, out, _ = run(
        *LM, "--references", "said.txt", "--trials", 4, "--tuned", "lm_weight",
        "--start", "start.toml", "--json",
    )  # fmt: skip
    assert status == 0
    tried = [one["options"] for one in json.loads(out)["trials"]]
    assert {(one["beam_size"], one["word_score"]) for one in tried} == {(7, 1.25)}
    assert len({one["lm_weight"] for one in tried}) == len(tried) > 1


def test_without_a_model_its_weight_stays(run):
    status, out, _ = run("--references", "said.txt", "--trials", 4, "--json")
    assert status == 0
    assert {one["options"]["lm_weight"] for one in json.loads(out)["trials"]} == {2.0}


def test_sound_needs_no_more_than_what_was_said(run, tmp_path, capsys):
    (tmp_path / "one.txt").write_text(recordings()[2].text + "\n")
    line = ["decode", "tune", str(recordings()[2].path), "--references", "one.txt", "--trials", "2"]
    assert main(line) == 0
    assert "chosen: 0.00 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 2, "--references is missing"),
        (("--references", "few.npz"), 1, "is not UTF-8"),
        (("--references", "said.txt", "--trials", 0), 2, "trials is 0"),
        (("--references", "said.txt", "--tuned", "beam"), 2, "tuned is 'beam'"),
        (("--references", "said.txt", "--out", "no/best.toml"), 2, "mkdir -p no"),
        (("--references", "said.txt", "--plot", "."), 2, "this is a directory"),
        (("--references", "said.txt", "--plot", "time.gif"), 2, "time.gif"),
        (("--references", "said.txt", "--start", "no.toml"), 1, "no.toml: No such file"),
    ],
)
def test_bad_input_ends_with_one_line(run, arguments, status, message):
    found, out, err = run(*arguments)
    assert (found, out) == (status, "")
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("option", ["--out", "--plot"])
def test_what_is_read_is_not_written_over(run, tmp_path, option):
    (tmp_path / "tokens.txt").write_bytes(BUNDLED.tokens_path.read_bytes())
    (tmp_path / "link.png").symlink_to("tokens.txt")
    (tmp_path / "emissions.png").hardlink_to("few.npz")
    (tmp_path / "said.png").symlink_to("said.txt")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for name, read in (
        ("link.png", "--tokens"),
        ("emissions.png", "few.npz"),
        ("said.png", "--references"),
    ):
        given = ("--tokens", "tokens.txt", "--references", "said.txt", option, name)
        status, out, err = run(*given)
        assert (status, out) == (2, "")
        assert f"{option} is '{name}', expected another file than {read}" in err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
