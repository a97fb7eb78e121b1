"""Data on the command line: features and targets of any size, or none that varies."""

import warnings

import numpy as np
import pytest

from sestina.cli.main import main

ROWS = np.random.default_rng(0).normal(size=(30, 3))


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs a command on rows of a, b and y, and gives status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    # A slow machine would tell how far it is.
    monkeypatch.setenv("SESTINA_PROGRESS", "off")

    def call(command, rows, *arguments):
        lines = [",".join(repr(float(value)) for value in row) for row in rows]
        (tmp_path / "data.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            status = main(["ntk", command, "data.csv", *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


@pytest.mark.parametrize("command", ["fit", "forecast"])
def test_features_that_are_all_constant_are_named(run, command):
    status, out, err = run(command, ROWS * [0, 0, 1] + [1, 0.1, 0])
    assert (status, out) == (1, "")
    assert "no feature varies" in err


@pytest.mark.parametrize("command", ["fit", "forecast"])
def test_units_of_features_do_not_matter(run, command):
    status, plain, err = run(command, ROWS)
    assert (status, err) == (0, "")
    assert run(command, ROWS * [2.0**980, 2.0**-980, 1]) == (0, plain, "")


def test_fit_takes_targets_whose_squares_overflow(run):
    status, plain, _ = run("fit", ROWS)
    assert status == 0
    assert run("fit", ROWS * [1, 1, 2.0**660]) == (0, plain, "")


def test_forecast_refuses_targets_whose_squares_overflow(run):
    status, out, err = run("forecast", ROWS * [1, 1, 1e200])
    assert (status, out) == (1, "")
    assert "targets" in err
    assert "1e+150" in err


@pytest.mark.parametrize("command", ["fit", "forecast"])
def test_a_negative_seed_is_named(run, command):
    status, _, err = run(command, ROWS, "--seed", "-1")
    assert status == 1
    assert "seed is -1" in err
