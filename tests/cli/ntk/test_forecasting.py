"""`sestina ntk forecast`: kernels that cannot be forecast, and how far it is."""

import pytest

from sestina.cli.main import main


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs `sestina ntk forecast wine` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        status = main(["ntk", "forecast", "wine", "--rows", "40", *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


@pytest.mark.parametrize("target", ["poly:-1", "poly:0", "poly:1,-3"])
def test_a_kernel_without_size_is_named(run, target):
    status, out, err = run("--target", target)
    assert (status, out) == (2, "")
    assert f"target is {target!r}, expected a kernel with K(1) > 0" in err


def test_a_directory_with_the_pictures_name_is_refused_first(run, tmp_path):
    (tmp_path / "wine-forecast.png").mkdir()
    status, out, err = run("--plot")
    assert (status, out) == (2, "")
    assert "wine-forecast.png" in err


def test_progress_advances_within_a_kernel(run, monkeypatch):
    told = []
    monkeypatch.setattr(
        "sestina.cli.output.DrawnProgress.__call__", lambda _, *step: told.append(step)
    )
    assert run("--target", "relu", "--target", "poly:0,1")[0] == 0
    labels = list(dict.fromkeys(label for _, _, label in told))
    assert labels == [
        "computing the kernel",
        "leaving rows out",
        "decomposing the kernel",
        "forecasting",
    ]
    shares = [done / total for done, total, _ in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
