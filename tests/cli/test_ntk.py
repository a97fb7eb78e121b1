"""`sestina ntk` as people call it: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import click
import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_iris

from sestina.cli.main import cli, main
from sestina.cli.ntk import commands
from sestina.cli.ntk.forecasting import ForecastOptions
from sestina.cli.ntk.targets import read_target
from sestina.core.errors import OptionError
from sestina.ntk.activations.base import REGISTRY
from sestina.ntk.datasets import SHIPPED
from sestina.ntk.designs.inverse import Design
from sestina.ntk.designs.variance import ERROR_COSINES

DEEP = "relu:depth=4,sigma_w=sqrt2,sigma_b=0.1"
SERIES = "poly:0.2,0.5,0,0.3"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs `sestina ntk` in an empty folder, and gives status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    # A slow machine would tell how far it is.
    monkeypatch.setenv("SESTINA_PROGRESS", "off")

    def call(*arguments):
        status = main(["ntk", *(str(argument) for argument in arguments)])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


@pytest.fixture(scope="module")
def deep_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("designs") / "deep.json"
    assert main(["ntk", "design", "--target", DEEP, "--out", str(path)]) == 0
    return path


@pytest.fixture
def iris_csv(tmp_path):
    x, y = load_iris(return_X_y=True)
    names = ("setosa", "versicolor", "virginica")
    lines = [",".join([*map(str, row), names[label]]) for row, label in zip(x, y, strict=True)]
    path = tmp_path / "flowers.csv"
    path.write_text("\n".join(["sepal_l,sepal_w,petal_l,petal_w,kind", *lines[::3]]) + "\n")
    return path


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def value_of(out, what):
    """The second column of a table's row."""
    [line] = [line for line in out.splitlines() if line.startswith(what + "  ")]
    return line[len(what) :].split()[0]


# design


def test_design_prints_error_tail_spread_and_widths(run):
    status, out, err = run("design", "--target", DEEP)
    assert (status, err) == (0, "")
    assert "NTK, K(1) = 5.07" in out
    assert float(value_of(out, "error, RMS")) < 1e-5
    assert float(value_of(out, "tail").rstrip("%")) < 1
    assert float(value_of(out, "σ(1)")) < 7
    widths = [int(value_of(out, f"width for {accuracy}")) for accuracy in ("1%", "2%", "5%")]
    assert widths == sorted(widths, reverse=True)
    # Spread alone is left: four times the units halve it.
    assert widths[0] == pytest.approx(4 * widths[1], rel=0.01)
    assert "pass --out design.json to keep it" in out


def test_design_writes_a_file_and_three_pictures(run, tmp_path):
    status, out, _ = run("design", "--target", SERIES, "--out", "a.json", "--plot", "--json")
    assert status == 0
    report = json.loads(out)
    files = ["a.json", "a-kernel.png", "a-activation.png", "a-network.png"]
    assert report["files"] == files
    assert names_in(tmp_path) == sorted(files)
    for name in files[1:]:
        assert (tmp_path / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    design = Design.load("a.json")
    np.testing.assert_allclose(
        design.target(ERROR_COSINES), read_target(SERIES, "ntk")(ERROR_COSINES), atol=1e-12
    )
    assert report["error_rms"] == pytest.approx(design.error.rms)
    assert report["widths"]["2%"] == design.width_for(0.02, relative=True)


@pytest.mark.parametrize("form", ["hermite", "relu-sum", "sinusoid"])
def test_design_takes_the_options_of_the_dataclass(run, form):
    status, out, _ = run(
        "design", "--target", SERIES, "--kind", "nngp", "--form", form, "--width", 512, "--json"
    )
    report = json.loads(out)
    assert status == 0
    assert (report["kind"], report["form"]) == ("nngp", form)
    assert report["kernel_at_one"] == pytest.approx(1.0)


def test_options_may_stand_in_a_file(run, tmp_path):
    (tmp_path / "options.toml").write_text('kind = "nngp"\nform = "hermite"\n')
    arguments = ("design", "--target", SERIES, "--config", "options.toml", "--json")
    assert json.loads(run(*arguments)[1])["form"] == "hermite"
    assert json.loads(run(*arguments, "--form", "table")[1])["form"] == "table"


def test_a_width_that_does_not_exist_is_none(run):
    # Degree 1 cannot have c³: no width helps.
    status, out, _ = run(
        "design", "--target", "poly:0,0.5,0,0.5", "--form", "hermite", "--degree", 1
    )
    assert status == 0
    assert value_of(out, "width for 1%") == "none"
    assert "no width is enough" in out


def test_an_unachievable_kernel_is_refused_with_its_certificate(run, tmp_path):
    status, out, err = run("design", "--target", "poly:0,1,-0.5", "--out", "a.json", "--plot")
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert "a_2 = -0.5" in err
    assert "--nearest" in err
    assert "poly:0,1:" in err
    assert names_in(tmp_path) == []


def test_the_nearest_kernel_is_designed_when_asked_for(run):
    status, out, _ = run("design", "--target", "poly:0,1,-0.5", "--nearest", "--json")
    assert status == 0
    assert json.loads(out)["kernel_at_one"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("arguments", "status", "parts"),
    [
        (("--target", "rellu:depth=2"), 2, ("rellu:depth=2", "did you mean 'relu'?")),
        (("--target", "relu:dept=2"), 2, ("'dept'", "did you mean 'depth'?")),
        (("--target", "relu:depth=0"), 1, ("depth is 0", "from 1 to")),
        (("--target", "relu:depth=two"), 2, ("'two'", "a number")),
        (("--target", ""), 2, ("sestina ntk targets",)),
        (("--target", "poly:"), 2, ("a0,a1,",)),
        (("--target", "poly:0,one"), 2, ("'one'",)),
        (("--target", "poly:0,nan"), 1, ("coefficients",)),
        (("--target", "poly:0"), 1, ("K(1) > 0",)),
        (("--target", "sign"), 1, ("ntk of sign", "--kind nngp")),
        (("--target", "none.json"), 1, ("none.json", "No such file")),
        (("--target", "relu", "--form", "tabel"), 2, ("'tabel'", "did you mean 'table'?")),
        (("--target", "relu", "--degree", "many"), 2, ("'many'", "an integer")),
        (("--target", "relu", "--degree", "-3"), 1, ("degree is -3",)),
        (("--target", "relu", "--out", "no/such/a.json"), 2, ("no/such", "mkdir -p no/such")),
        (("--target", "relu", "--out", "."), 2, ("a directory", "--out design.json")),
        ((), 2, ("--target", "sestina ntk design --help")),
    ],
)
def test_bad_input_ends_in_one_line_with_a_remedy(run, tmp_path, arguments, status, parts):
    found, out, err = run("design", *arguments)
    assert (found, out) == (status, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err
    assert names_in(tmp_path) == []


def test_an_interrupt_leaves_whole_files_or_none(tmp_path):
    program = "import sys; from sestina.cli.main import main; sys.exit(main())"
    arguments = ["ntk", "design", "--target", "relu:depth=20", "--out", "a.json", "--plot"]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(3.0)  # long enough for imports on an idle machine
    process.send_signal(signal.SIGINT)
    status = process.wait(timeout=60)
    names = names_in(tmp_path)
    assert [name for name in names if name.startswith(".")] == []
    if status == 0:
        assert len(names) == 4
    if "a.json" in names:
        Design.load(tmp_path / "a.json")


# show


def test_show_says_the_same_of_a_saved_design(run, deep_file):
    status, out, _ = run("show", deep_file)
    assert status == 0
    assert "NTK, K(1) = 5.07" in out
    assert float(value_of(out, "σ(1)")) < 7


def test_show_draws_beside_the_file(run, deep_file):
    status, out, _ = run("show", deep_file, "--plot", "--json")
    files = json.loads(out)["files"]
    assert status == 0
    assert files == [
        str(deep_file.parent / f"deep-{n}.png") for n in ("kernel", "activation", "network")
    ]


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (lambda text: text[: len(text) // 2], "expected a JSON text"),
        (lambda text: text.replace('"kind": "ntk"', '"kind": "nngp"'), "checksum"),
        (lambda text: text.replace('"version": 2', '"version": 99'), "version 99"),
        (lambda text: text.replace("sestina-ntk-design", "recipe"), "sestina-ntk-design"),
        (lambda _: "", "JSON"),
        (lambda _: "\x00\xff", "JSON"),
    ],
)
def test_a_damaged_design_is_refused(run, deep_file, tmp_path, spoil, part):
    path = tmp_path / "bad.json"
    path.write_text(spoil(deep_file.read_text()))
    for arguments in (("show", path), ("design", "--target", path)):
        status, out, err = run(*arguments)
        assert (status, out) == (1, "")
        assert err.startswith(f"error: {path}")
        assert err.count("\n") == 1
        assert part in err
    assert names_in(tmp_path) == ["bad.json"]


# targets


def test_every_listed_target_can_be_asked_for(run):
    status, out, _ = run("targets", "--json")
    records = json.loads(out)
    assert status == 0
    for record in records:
        kind = record["kinds"].split(", ")[0]
        assert 0 < read_target(record["example"], kind).total < float("inf")
    listed = {record["target"] for record in records}
    unwritable = {"hermite_series", "polynomial", "relu_sum", "sinusoid_sum", "table"}
    assert listed == {"poly", *REGISTRY} - unwritable


def test_targets_are_listed_for_people(run):
    status, out, _ = run("targets")
    assert status == 0
    assert DEEP in out


def test_a_design_is_a_target_of_its_own_kind(deep_file):
    assert read_target(str(deep_file), "ntk").total == pytest.approx(5.07, rel=1e-5)
    with pytest.raises(OptionError, match="--kind ntk"):
        read_target(str(deep_file), "nngp")


def test_data_in_place_of_a_kernel_is_pointed_at_the_right_command(iris_csv):
    with pytest.raises(OptionError, match="sestina ntk fit"):
        read_target(str(iris_csv), "ntk")


# forecast


def test_forecast_compares_relu_networks(run):
    status, out, err = run("forecast", "wine", "--sizes", "20,60", "--rows", 120)
    assert (status, err) == (0, "")
    assert "wine: 178 rows (120 of them used), 13 columns" in out
    rows = [line.split() for line in out.splitlines() if line.strip()[:3].strip().isdigit()]
    assert [row[0] for row in rows] == ["20", "60", "119"]
    assert all(
        float(later) < float(first) for first, later in zip(rows[0][1:4], rows[2][1:4], strict=True)
    )
    assert "best: relu:depth=" in out


def test_forecast_draws_and_gives_json(run, tmp_path, deep_file, iris_csv):
    arguments = ("forecast", iris_csv, "--target", "poly:0,1", "--target", deep_file)
    status, out, _ = run(*arguments, "--plot", "--json")
    found = json.loads(out)
    assert status == 0
    assert found["files"] == ["flowers-forecast.png"]
    assert (tmp_path / "flowers-forecast.png").stat().st_size > 10_000
    assert (found["target_column"], found["task"], found["rows"]) == ("kind", "classification", 50)
    linear, deep = found["forecasts"]
    assert linear["target"] == "poly:0,1"
    for curve in (linear, deep):
        assert 0 < curve["leave_one_out_mse"] < curve["baseline_mse"]
        assert [point["rows"] for point in curve["curve"]][-1] == 49
    assert deep["leave_one_out_mse"] < linear["leave_one_out_mse"]


def test_a_kernel_that_does_not_suit_is_said_so(run, tmp_path):
    rng = np.random.default_rng(0)
    lines = [",".join(f"{value:.3f}" for value in row) for row in rng.normal(size=(60, 5))]
    (tmp_path / "noise.csv").write_text("\n".join(["a,b,c,d,y", *lines]))
    status, out, _ = run("forecast", "noise.csv", "--target", "poly:0,0,0,1")
    assert status == 0
    assert "no kernel here suits the task" in out


@pytest.mark.parametrize(
    "values", [{"ridge": 0.0}, {"ridge": float("nan")}, {"rows": 3}, {"sizes": (5, 0)}]
)
def test_forecast_options_out_of_range_are_refused(values):
    with pytest.raises(OptionError, match=next(iter(values))):
        ForecastOptions(**values)


# fit


def test_fit_chooses_a_kernel_and_designs_it(run, tmp_path, iris_csv):
    arguments = ("fit", iris_csv, "--target-column", "kind", "--drop", "sepal_w")
    status, out, _ = run(*arguments, "--out", "f.json", "--plot", "--json")
    found = json.loads(out)
    assert status == 0
    assert (found["columns"], found["task"], found["rows_used"]) == (3, "classification", 50)
    errors = {score["name"]: score["leave_one_out_mse"] for score in found["scores"]}
    assert list(errors) == ["fitted", "relu depth 1", "relu depth 2", "relu depth 4"]
    assert errors["fitted"] == min(errors.values())
    assert sum(found["weights"].values()) == pytest.approx(1.0, abs=0.01)
    pictures = ["f-activation.png", "f-fit.png", "f-kernel.png", "f-network.png"]
    assert names_in(tmp_path) == [*pictures, "f.json", "flowers.csv"]
    assert Design.load("f.json").kind == "ntk"


def test_fit_prints_a_comparison(run, iris_csv):
    status, out, err = run("fit", iris_csv, "--folds", 2, "--form", "hermite")
    assert (status, err) == (0, "")
    for part in ("relu depth 4", "folds' misclassified", "is a mixture", "hermite"):
        assert part in out


HEADER = "a,b,y\n"
ROWS = "".join(f"{i},{i % 7},{i * 0.5}\n" for i in range(12))


@pytest.mark.parametrize("command", ["fit", "forecast"])
@pytest.mark.parametrize(
    ("text", "arguments", "parts"),
    [
        (HEADER + ROWS + "red,2,3\n", (), (":14:", "'red'", "'a'", "--drop 'a'")),
        (HEADER + ROWS + ",2,3\n", (), (":14:", "'a'", "missing values are not guessed")),
        (HEADER + "1,NaN,3\n" + ROWS, (), (":2:", "'NaN'", "'b'")),
        (HEADER + ROWS + "1,2\n", (), (":14:", "2 fields, expected 3")),
        (HEADER + ROWS, ("--target-column", "z"), ("'z'", "a, b, y")),
        (HEADER + "".join(f"{i},1,5\n" for i in range(12)), (), ("'y'", "at least two values")),
        ("", (), ("empty",)),
        ("y\n1\n2\n3\n", (), ("--delimiter",)),
        (HEADER + ROWS.replace("0.5", "x"), ("--task", "regression"), (":3:", "'x'", "'y'")),
    ],
)
def test_bad_data_is_refused_with_line_and_column(run, tmp_path, command, text, arguments, parts):
    (tmp_path / "bad.csv").write_text(text)
    status, out, err = run(command, "bad.csv", *arguments)
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err
    assert names_in(tmp_path) == ["bad.csv"]


@pytest.mark.parametrize("command", ["fit", "forecast"])
def test_data_that_is_not_there_is_named_with_the_nearest_set(run, command):
    status, _, err = run(command, "wines")
    assert status == 2
    assert "did you mean 'wine'?" in err


# help


@pytest.mark.parametrize("name", list(commands.commands))
def test_help_shows_examples_and_shipped_data(name):
    result = CliRunner().invoke(cli, ["ntk", name, "--help"])
    assert result.exit_code == 0
    if "DATA" in result.output:
        words = result.output.replace("\n", " ")
        assert all(data in words for data in SHIPPED)
    assert "\\b" not in result.output


def test_examples_in_the_help_are_commands_that_exist():
    context = click.Context(commands)
    found = 0
    for name, command in commands.commands.items():
        for line in command.get_help(context).splitlines():
            if line.strip().startswith("sestina ntk "):
                found += 1
                assert line.split()[2] == name
                given = [word for word in line.split() if word.startswith("--")]
                known = {flag for option in command.params for flag in option.opts}
                assert set(given) <= known
    assert found >= 5


def test_the_group_lists_its_commands_in_order():
    result = CliRunner().invoke(commands, ["--help"])
    places = [result.output.index(f"\n  {name} ") for name in ("design", "show", "fit", "targets")]
    assert places == sorted(places)


def test_design_works_in_a_process_of_its_own(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sestina.cli.main",
            "ntk",
            "design",
            "--target",
            "poly:0,1",
            "--json",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["target"] == "poly:0,1"
    assert names_in(tmp_path) == []
