"""`sestina fuser` as people call it."""

import json

import pytest
import torch

from sestina.cli.fuser import benching, caching
from sestina.cli.main import main
from sestina.fuser import comparison
from sestina.fuser.cases import Case
from sestina.fuser.compile.cache import Cache

SCRIPT = """
import sys
import torch
layer = torch.compile(lambda x: torch.softmax(x * 2, -1), backend="sestina")
print(layer(torch.zeros(3, int(sys.argv[1]))).shape)
"""
EXAMPLE = """
import torch
def example():
    return (lambda x, w: (x * w).sum(0)), torch.ones(8, 16), torch.ones(16)
def nothing():
    return 3
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch._dynamo.reset()
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "examples_of_fuser.py").write_text(EXAMPLE)
    (tmp_path / "empty.py").write_text("x = 1\n")


def test_a_script_is_run_with_its_arguments_and_reported(capsys):
    assert main(["fuser", "explain", "script.py", "16"]) == 0
    out = capsys.readouterr().out
    assert "torch.Size([3, 16])" in out
    assert "reduce" in out
    assert "3 × 16" in out


def test_a_function_of_a_module_is_compiled_run_and_timed(capsys):
    assert main(["fuser", "explain", "examples_of_fuser:example", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    (kernel,) = report["kernels"]
    assert kernel["operations"] == ["mul", "total"]
    assert kernel["seconds"] > 0


def test_ir_and_source_can_be_read(capsys):
    assert main(["fuser", "explain", "script.py", "16", "--graph", "--source", "0.k0"]) == 0
    out = capsys.readouterr().out
    assert "float32[3, 16] = exp(" in out
    assert "define void @rows" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing_here.py"], "a script that exists"),
        (["empty.py"], "a script that compiles something"),
        (["examples_of_fuser"], "script.py or module:function"),
        (["no_such_module:f"], "can be imported"),
        (["examples_of_fuser:nothing"], "gives (function, argument"),
        (["examples_of_fuser:missing"], "gives (function, argument"),
        (["script.py", "16", "--source", "7.k9"], "0.k0"),
    ],
)
def test_what_cannot_be_explained_is_an_error_with_a_remedy(arguments, said, capsys):
    assert main(["fuser", "explain", *arguments]) == 1
    assert said in capsys.readouterr().err


def test_kept_kernels_are_listed_and_cleared(capsys, tmp_path, monkeypatch):
    cache = Cache(tmp_path / "kernels")
    monkeypatch.setattr(caching, "kernel_cache", lambda: cache)
    assert main(["fuser", "cache", "list"]) == 0
    assert "no kernels" in capsys.readouterr().out
    cache.put("a" * 64, b"code")
    assert main(["fuser", "cache", "list", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert listed["kernel"] == "a" * 16
    assert main(["fuser", "cache", "clear"]) == 0
    assert "removed 1 kernels" in capsys.readouterr().out
    assert cache.kernels() == []


@pytest.fixture
def _tiny_cases(monkeypatch):
    tiny = Case(lambda x: torch.softmax(x, -1), lambda: [torch.randn(8, 16, requires_grad=True)])
    for module in (benching, comparison):
        monkeypatch.setattr(module, "CASES", {"tiny softmax": tiny})


@pytest.mark.usefixtures("_tiny_cases")
def test_cases_are_timed_by_a_part_of_their_name(capsys):
    assert main(["fuser", "bench", "Softmax", "--rounds", "3"]) == 0
    out = capsys.readouterr().out
    assert "tiny softmax" in out
    assert "times eager" in out
    assert "inductor" not in out
    assert main(["fuser", "bench", "softmax", "--rounds", "3", "--json"]) == 0
    eager, ours = json.loads(capsys.readouterr().out)
    assert (eager["way"], ours["way"]) == ("eager", "sestina")
    assert eager["gain"] == 1
    assert ours["wall"] > 0


@pytest.mark.usefixtures("_tiny_cases")
def test_a_case_that_there_is_not_is_an_error_with_the_names(capsys):
    assert main(["fuser", "bench", "nothing"]) == 1
    assert "tiny softmax" in capsys.readouterr().err
