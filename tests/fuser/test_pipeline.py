import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional

from sestina.fuser import stages
from sestina.fuser.pipeline import STAGES, Stages


def scaled(x, w):
    return torch.softmax(x * w, dim=-1)


def test_each_stage_of_a_function_is_text():
    (graph,) = stages(scaled, torch.randn(64, 32), torch.randn(32))
    assert graph.name == "inference"
    assert graph.captured.splitlines()[0] == "arg0_1: float32[64, 32]"
    assert "mul: float32[64, 32] = aten.mul.Tensor(arg0_1, arg1_1)" in graph.captured
    assert graph.rewritten == graph.captured
    assert "v6: float32[64] = reduce(v5, how=max, dims=(1,))" in graph.ir
    assert graph.segments.startswith("kernel of 64 rows, 32 columns\n  v5: float32[64, 32] = mul(")
    assert graph.segments.endswith("stores v18")
    assert graph.schedule.startswith("k0\nrows: a1 of 64; columns: a2 of 32, the last in vectors")
    assert "define void @rows(" in graph.llvm
    assert "rows:" in graph.assembly
    assert graph.program.startswith("def run(args):")


def test_stages_are_printed_in_the_order_of_the_pipeline():
    (graph,) = stages(scaled, torch.randn(8, 32), torch.randn(32))
    fields = [field.name for field in dataclasses.fields(Stages)]
    assert fields == ["name", *STAGES]
    titles = [line for line in str(graph).splitlines() if line.startswith("──")]
    assert titles == [f"── {name} ──" for name in STAGES]
    assert graph.only(["program", "ir"]).startswith("── program ──\ndef run")


def test_training_is_captured_as_one_and_rewritten_as_two():
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5))
    forward, backward = stages(model, torch.randn(4, 8))
    assert (forward.name, backward.name) == ("forward", "backward")
    assert forward.captured == backward.captured
    assert "aten.native_dropout.default" in forward.captured
    assert "sestina.uniform.default" in forward.rewritten
    assert "sestina.uniform.default" in backward.rewritten
    assert forward.rewritten.splitlines()[0] == "# make_regenerable"
    assert backward.rewritten.splitlines()[0] == "# make_regenerable"
    assert "ATen: v" in backward.segments
    assert model[0].weight.grad is None


def test_rewrites_that_changed_something_are_named_in_order():
    def function(x):
        return (functional.relu(x) + functional.relu(x).exp()).log_softmax(-1)

    forward, _ = stages(function, torch.randn(4, 8, requires_grad=True))
    (line, *_) = forward.rewritten.splitlines()
    names = line.removeprefix("# ").split(", ")
    made = ["split_log_softmax", "see_through_detached", "compare_for_thresholds"]
    assert names == [*made, "merge_duplicates"]
    (graph,) = stages(function, torch.randn(4, 8))
    assert graph.rewritten.startswith("# merge_duplicates\n")


def test_each_pass_shows_what_it_computes_and_keeps():
    (graph,) = stages(scaled, torch.randn(64, 32), torch.randn(32))
    second = graph.schedule.split("pass 2 of 3")[1].split("pass 3 of 3")[0]
    third = graph.schedule.split("pass 3 of 3")[1]
    assert "exp(s4)  # kept" in second
    assert "exp" not in third
    assert "store(s9, v18[32·a1 + a2])" in third


def test_totals_and_values_of_rows_are_shown():
    (graph,) = stages(lambda x: (x.sum(0), x.amax(1)), torch.randn(64, 32))
    assert "how=sum" in graph.schedule
    assert "after a row's passes" in graph.schedule
    assert "stores" in graph.segments


def test_why_nodes_are_apart_is_shown():
    (graph,) = stages(lambda x: x.exp() + x.exp().t(), torch.zeros(16, 16))
    assert "is apart from what it reads: exp of (16, 16) would run along its own" in graph.segments


def test_one_kernel_for_several_tensors_says_so():
    def both(x, y):
        x.add_(1)
        y.add_(1)

    (graph,) = stages(both, torch.zeros(512), torch.zeros(256))
    assert graph.schedule.startswith("k0, for 2 tensors alike\n")


@pytest.mark.filterwarnings("ignore::sestina.fuser.FallbackWarning")
def test_a_graph_that_pytorch_runs_shows_how_it_was_captured():
    graphs = stages(lambda x: torch.view_as_real(x * 2), torch.zeros(3, dtype=torch.complex64))
    assert all(graph.captured for graph in graphs)
    assert not any(graph.llvm for graph in graphs)
    assert "── llvm ──" not in str(graphs[0])
