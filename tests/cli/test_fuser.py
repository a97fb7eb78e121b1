"""`sestina fuser` as people call it."""

import json
import sys

import pytest
import torch

from sestina.cli.fuser import benching
from sestina.cli.main import main
from sestina.fuser import comparison, measured
from sestina.fuser.cases import Case
from sestina.fuser.compile import native
from sestina.fuser.compile.cache import Cache
from sestina.fuser.pipeline import STAGES

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
def needing(width):
    return torch.sin, torch.zeros(width)
def boom():
    raise RuntimeError("no data there")
def fails():
    def wrong(x):
        return x.view(7, 7)
    return wrong, torch.zeros(4)
def short():
    return torch.nn.Linear(3, 4), torch.zeros(2, 5)
"""
BAD = """
import torch
def inner():
    raise ValueError("my own mistake")
inner()
"""
SHAPES = """
import torch
layer = torch.compile(torch.nn.Linear(3, 4), backend="sestina")
layer(torch.zeros(2, 5))
"""
STRICT = """
import torch
ordered = torch.compile(lambda x: x.sort()[0], backend="sestina", options={"strict": True})
ordered(torch.zeros(3))
"""
LEFT = """
import torch
layer = torch.compile(lambda x: (x * 2).conj().imag, backend="sestina")
layer(torch.zeros(3, dtype=torch.complex64))
"""
LEAVING = """
import sys
import script
sys.exit(int(sys.argv[1]) - 16)
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "examples_of_fuser", raising=False)
    monkeypatch.chdir(tmp_path)
    torch._dynamo.reset()
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "examples_of_fuser.py").write_text(EXAMPLE)
    (tmp_path / "empty.py").write_text("x = 1\n")
    (tmp_path / "bad.py").write_text(BAD)
    (tmp_path / "shapes.py").write_text(SHAPES)
    (tmp_path / "strict.py").write_text(STRICT)
    (tmp_path / "syntax.py").write_text("import torch\nx = = 3\n")
    (tmp_path / "binary.py").write_bytes(b"\0")
    (tmp_path / "importing.py").write_text("import nowhere\n")
    (tmp_path / "leaving.py").write_text(LEAVING)
    (tmp_path / "left.py").write_text(LEFT)


def test_a_script_is_run_with_its_arguments_and_reported(capsys):
    assert main(["fuser", "explain", "script.py", "16"]) == 0
    out = capsys.readouterr().out
    assert "torch.Size([3, 16])" in out
    assert "reduce" in out
    assert "3 × 16" in out
    assert "the shortest of the script's own calls" in out
    assert main(["fuser", "explain", "script.py", "16", "--json"]) == 0
    (kernel,) = json.loads(capsys.readouterr().out.partition("\n")[2])["kernels"]
    assert kernel["seconds"] > 0


def test_a_script_may_import_its_neighbours_and_end_by_itself(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir("/")
    monkeypatch.delitem(sys.modules, "script", raising=False)
    assert main(["fuser", "explain", str(tmp_path / "leaving.py"), "16"]) == 0
    assert "3 × 16" in capsys.readouterr().out
    assert main(["fuser", "explain", str(tmp_path / "leaving.py"), "17"]) == 1
    assert "ends with status 1" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::sestina.fuser.FallbackWarning")
def test_a_script_whose_graph_is_left_to_pytorch_is_reported_with_the_reason(capsys):
    assert main(["fuser", "explain", "left.py"]) == 0
    assert "PyTorch runs a graph, without kernels: aten._neg_view" in capsys.readouterr().out


def test_each_graph_can_be_read_at_a_stage(capsys):
    target = "examples_of_fuser:example"
    assert main(["fuser", "explain", target, "--stage", "segments", "--stage", "program"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("graph 0, inference\n\n── segments ──\nkernel of 8 rows, 16 columns")
    assert "── program ──\ndef run(args):" in out
    assert "── ir ──" not in out
    assert main(["fuser", "explain", target, "--stages", "--json"]) == 0
    (graph,) = json.loads(capsys.readouterr().out)
    assert list(graph) == ["name", *STAGES]
    assert all(graph.values())
    assert main(["fuser", "explain", "script.py", "16", "--stage", "ir"]) == 0
    assert "graph 0\n\n── ir ──\nv1: float32[3, 16] = input(index=0)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("bad.py", "error: bad.py:4: ValueError: my own mistake;"),
        ("syntax.py", "error: syntax.py:2: SyntaxError: invalid syntax;"),
        ("binary.py", "error: binary.py: SyntaxError: source code string cannot contain null"),
        ("importing:f", "error: importing.py:1: ModuleNotFoundError: No module named 'nowhere';"),
        ("shapes.py", "error: shapes.py:4: TorchRuntimeError:"),
        ("examples_of_fuser:boom", "error: examples_of_fuser.py:10: RuntimeError: no data there;"),
        ("examples_of_fuser:fails", "error: examples_of_fuser.py:13: RuntimeError: shape '[7, 7]'"),
        ("examples_of_fuser:short", "error: examples_of_fuser:short: RuntimeError: mat1 and mat2"),
        ("strict.py", "error: ATen computes aten.sort.default"),
    ],
)
def test_errors_of_what_is_run_are_told_as_its_own(target, said, capfd):
    assert main(["fuser", "explain", target]) == 1
    err = capfd.readouterr().err
    assert err.startswith(said)
    assert "defect of sestina" not in err
    assert "Hint" not in err
    assert "Traceback" not in err


def test_errors_within_the_compiler_are_told_as_defects(capsys, monkeypatch):
    monkeypatch.setattr("sestina.fuser.report.call_cost", None)
    assert main(["fuser", "explain", "examples_of_fuser:example"]) == 1
    assert "defect of sestina" in capsys.readouterr().err


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
        (["examples_of_fuser:needing"], "a function without arguments"),
        (["examples_of_fuser:example", "16"], "only a script takes them"),
        (["examples_of_fuser.py:example"], "sestina fuser explain examples_of_fuser:example"),
        (["./examples_of_fuser:example"], "sestina fuser explain examples_of_fuser:example"),
        (["script.py", "16", "--source", "7.k9"], "0.k0"),
    ],
)
def test_what_cannot_be_explained_is_an_error_with_a_remedy(arguments, said, capsys):
    assert main(["fuser", "explain", *arguments]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--source", "0.k0"], ["--graph"]])
def test_what_is_a_stage_is_asked_for_as_one(option, capsys):
    assert main(["fuser", "explain", "examples_of_fuser:example", "--stages", *option]) == 2
    assert f"{option[0]} " in capsys.readouterr().err


@pytest.fixture
def cache(tmp_path, monkeypatch):
    cache = Cache(tmp_path / "kernels")
    monkeypatch.setattr(native, "kernel_cache", lambda: cache)
    monkeypatch.setattr(measured, "_in_memory", {})
    return cache


def test_kept_kernels_are_listed_and_cleared(capsys, cache):
    assert main(["cache", "list"]) == 0
    assert "no kernels" in capsys.readouterr().out
    cache.put("a" * 64, b"code")
    assert main(["cache", "list", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["kind"], listed["name"]) == ("kernel", "a" * 16)
    assert main(["cache", "clear"]) == 0
    assert "removed 1 kernels and 0 measurements" in capsys.readouterr().out
    assert cache.kernels() == []


def test_what_was_measured_is_listed_and_cleared_too(capsys, cache):
    measured.once("products of a and b", lambda: True)
    assert main(["cache", "list"]) == 0
    assert "products-of-a-and-b" in capsys.readouterr().out
    cache.put("a" * 64, b"code")
    assert main(["cache", "clear", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"removed": 1, "measurements": 1}
    assert measured.once("products of a and b", lambda: False) is False


@pytest.mark.parametrize("command", ["list", "clear"])
def test_a_folder_that_is_not_looked_at_is_an_error_with_a_remedy(capsys, cache, tmp_path, command):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    cache.folder.symlink_to(tmp_path / "elsewhere")
    assert main(["cache", command]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "a link is not followed" in said.err
    assert "set XDG_CACHE_HOME" in said.err


def test_a_folder_named_like_a_kernel_stays_and_the_rest_goes(capsys, cache):
    cache.put("b" * 64, b"code")
    (cache.folder / f"{'a' * 64}.kernel").mkdir()
    assert main(["cache", "clear"]) == 0
    said = capsys.readouterr()
    assert "removed 1 kernels" in said.out
    assert "stays" in said.err


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
