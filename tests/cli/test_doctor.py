from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib

import pytest

from sestina.cli import doctor
from sestina.cli.doctor import examine
from sestina.cli.main import main


@pytest.fixture(scope="module")
def findings():
    return {finding.what: finding for finding in examine()}


def test_everything_is_looked_for(findings):
    assert {"python", "cpu", "cpu features", "usable cores", "usable memory", "numpy", "torch"} <= (
        set(findings)
    )
    assert {"c++", "sestina.ntk, compiled part"} <= set(findings)
    assert any(what.startswith("gpu") for what in findings)


def test_what_is_there_costs_nothing_and_what_is_missing_says_its_cost(findings):
    for finding in findings.values():
        assert (finding.state == "ok") == (finding.cost == ""), finding
        assert finding.found or finding.state != "ok"


def test_this_python_is_found(findings):
    assert findings["python"].found.split() == [sys.version.split()[0], sys.executable]


def test_json_carries_its_format_and_version(capsys, findings):
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["format"], report["version"]) == ("sestina-doctor", 1)
    assert {finding["what"] for finding in report["findings"]} == set(findings)


def test_the_table_has_a_line_for_each_finding(capsys, findings):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "what"
    assert len(lines) == len(findings) + 2


def test_every_package_of_an_extra_is_looked_for(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    specs = [*project["dependencies"], *project["optional-dependencies"]["ntk"]]
    wanted = {re.split(r"[<>=]", spec)[0] for spec in specs}
    assert wanted <= {package.name for package in doctor._PACKAGES}


WITHOUT_PACKAGES = """
import importlib.metadata, json, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "scipy"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
version = importlib.metadata.version
def without(name):
    if name in {"torch", "scipy"}:
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)
importlib.metadata.version = without
from sestina.cli.main import main
sys.exit(main(["doctor", "--json"]))
"""


def test_a_missing_package_says_how_to_get_it():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PACKAGES],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    found = {finding["what"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert found["torch"]["state"] == "missing"
    assert "pip install 'sestina[ntk]'" in found["torch"]["cost"]
    assert found["gpu"]["cost"] == "there is no torch to use one"
    assert found["sestina.ntk, compiled part"]["state"] == "missing"
    assert "torch is not installed" in found["sestina.ntk, compiled part"]["cost"]
    assert found["c++"]["state"] == "missing"


CPU_INFO = """processor\t: 0
model name\t: AMD EPYC 9754
flags\t\t: fpu sse4_2 avx avx2 fma avx512f avx512bw rdpid
"""
ARM_CPU_INFO = """processor\t: 0
Features\t: fp asimd asimddp sve
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CPU_INFO, ("AMD EPYC 9754", ["sse4_2", "avx", "avx2", "fma", "avx512f", "avx512bw"])),
        (ARM_CPU_INFO, ("", ["asimd", "asimddp", "sve"])),
        ("", ("", [])),
    ],
)
def test_the_processor_is_read_from_the_kernel(tmp_path, text, expected):
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    assert doctor._cpu(path) == expected


def test_without_that_file_there_are_no_features(tmp_path):
    assert doctor._cpu(tmp_path / "none")[1] == []


def test_a_program_that_fails_or_is_missing_says_nothing():
    assert doctor._first_line([sys.executable, "-c", "raise SystemExit(1)"]) == ""
    assert doctor._first_line(["/nonexistent"]) == ""
    assert doctor._first_line([sys.executable, "-c", "print('one\\ntwo')"]) == "one"
