"""`sestina ntk design` and `show`: what the target is called, and what is refused before work."""

import json

import pytest

from sestina.cli.main import main

NEAREST = "nearest achievable to poly:0,1,-0.5 (a_2 = -0.5 dropped; differs by at most 0.5)"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs `sestina ntk` in an empty folder, and gives status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        status = main(["ntk", *(str(argument) for argument in arguments)])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def test_the_nearest_kernel_is_not_shown_as_the_one_asked_for(run):
    arguments = ("design", "--target", "poly:0,1,-0.5", "--nearest")
    _, out, _ = run(*arguments, "--out", "a.json")
    assert NEAREST in out
    found = json.loads(run(*arguments, "--json")[1])
    assert (found["target"], found["nearest_of"]) == (NEAREST, "poly:0,1,-0.5")
    assert found["distance"] == pytest.approx(0.5)
    assert NEAREST in run("show", "a.json")[1]


def test_a_saved_design_is_shown_by_what_was_asked_for_with_the_same_figures(run):
    target = "relu:depth=2,sigma_w=sqrt2,sigma_b=0.1"
    made = json.loads(run("design", "--target", target, "--out", "a.json", "--json")[1])
    shown = json.loads(run("show", "a.json", "--json")[1])
    assert made.pop("files") == ["a.json"]
    assert shown.pop("files") == []
    assert shown == made
    assert (shown["target"], shown["nearest_of"], shown["distance"]) == (target, None, None)


def test_all_negative_coefficients_are_shown_up_to_the_eighth(run):
    _, _, err = run("design", "--target", "poly:9,-1,-2,-3,-4,-5,-6,-7,-8,-9")
    for k in range(1, 9):
        assert f"a_{k} = -{k}" in err
    assert "a_9" not in err
    assert "and 1 more" in err


def test_a_kernel_whose_nearest_is_zero_gets_no_useless_remedy(run):
    status, _, err = run("design", "--target", "poly:0,-1")
    assert status == 1
    assert "--nearest" not in err
    assert "is zero" in err


@pytest.mark.parametrize("command", ["design", "show"])
def test_a_directory_with_a_pictures_name_is_refused_before_anything_is_written(
    run, tmp_path, command
):
    (tmp_path / "a-network.png").mkdir()
    if command == "design":
        arguments = ("--target", "poly:0,1", "--out", "a.json")
    else:
        run("design", "--target", "poly:0,1", "--out", "a.json")
        arguments = ("a.json",)
    before = sorted(tmp_path.iterdir())
    status, out, err = run(command, *arguments, "--plot")
    assert (status, out) == (2, "")
    assert "a-network.png" in err
    assert sorted(tmp_path.iterdir()) == before


def test_progress_names_the_stages_of_a_design(run, monkeypatch):
    told = []
    monkeypatch.setattr(
        "sestina.cli.output.DrawnProgress.__call__", lambda _, *step: told.append(step)
    )
    run("design", "--target", "poly:0,1")
    assert [label for _, _, label in told[:4]] == [
        "reading coefficients",
        "choosing signs",
        "writing the activation",
        "measuring",
    ]
