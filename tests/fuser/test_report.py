import pytest
import torch
from torch import nn
from torch.nn import functional

from sestina.fuser import backend, explain, fuse, stages
from sestina.fuser.capture.backend import listening
from sestina.fuser.report import report_of, timing


def test_kernels_calls_and_reasons_are_reported():
    report = explain(
        lambda x, w: functional.gelu(x @ w + 1), torch.zeros(64, 32), torch.zeros(32, 48)
    )
    (kernel,) = report.kernels
    assert kernel.operations == ("add", "normal_probability", "mul")
    assert kernel.name == "0.k0"
    assert "define void @rows" in kernel.source
    assert [(call.target, call.count, call.reason) for call in report.calls] == [
        ("aten.mm.default", 1, None)
    ]
    assert "0.k0" in str(report)
    assert "aten.mm.default" in str(report)


def test_bytes_are_those_of_the_tensors():
    x, w = torch.zeros(50, 64), torch.zeros(64)
    report = explain(lambda x, w: functional.layer_norm(x, (64,), w), x, w)
    (kernel,) = report.kernels
    # Read and written once, and the weights.
    assert kernel.bytes_moved == 4 * (2 * 50 * 64 + 64)
    assert kernel.seconds > 0
    assert kernel.predicted_seconds > max(kernel.memory_seconds, kernel.arithmetic_seconds)
    assert 0 < kernel.predicted_share < 1
    assert kernel.share == kernel.memory_seconds / kernel.seconds


def test_a_call_that_would_be_compiled_anew_is_told():
    calls = []

    def counted(x):
        return x * len(calls)

    report = explain(counted, torch.zeros(8, 32))
    assert report.recompiles == ()
    assert "compiled anew: no" in str(report)

    def growing(x):
        calls.append(None)
        return x * len(calls)

    report = explain(growing, torch.zeros(8, 32))
    assert any("calls" in reason for reason in report.recompiles)


def test_where_code_is_from_is_told():
    def bent(x):
        return functional.gelu(x * 1.2345)

    first = explain(bent, torch.zeros(8, 32))
    assert [kernel.origin for kernel in first.kernels] == ["compiled"]
    second = explain(bent, torch.zeros(8, 32))
    assert [kernel.origin for kernel in second.kernels] in (["disk"], ["memory"])
    assert "code of 1 kernels is new" in str(first)


def test_kernels_alike_are_one_line():
    def both(x, y):
        x.add_(1)
        y.add_(1)

    report = explain(both, torch.zeros(512), torch.zeros(256))
    (kernel,) = report.kernels
    assert kernel.rows == "1 × 512 × 2 tensors"
    assert kernel.bytes_moved == 4 * 2 * (512 + 256)


def test_the_backward_pass_is_a_graph_of_its_own():
    report = explain(nn.Sequential(nn.Linear(8, 8), nn.GELU()), torch.randn(4, 8))
    assert len(report.graphs) == 2
    assert {kernel.name[0] for kernel in report.kernels} == {"0", "1"}


def test_why_kernels_end_is_told():
    report = explain(lambda x: x.exp() + x.exp().t(), torch.zeros(16, 16))
    assert any("diagonal" in reason for reason, _ in report.apart)
    assert "diagonal" in str(report)


def test_gradients_buffers_and_random_numbers_are_left_as_they_were():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    torch.manual_seed(7)
    wanted = torch.rand(3)
    torch.manual_seed(7)
    report = explain(model, x)
    assert len(report.graphs) == 2
    assert torch.equal(torch.rand(3), wanted)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert x.grad is None
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_an_error_of_the_function_itself_is_raised_as_such():
    model = nn.BatchNorm1d(4)

    def failing(x):
        raise ValueError(f"no {model(x).shape}")

    with pytest.raises(ValueError, match=r"no torch.Size"):
        explain(failing, torch.randn(3, 4))
    assert model.num_batches_tracked == 0


def test_what_was_timed_runs_as_before():
    found = []
    compiled = torch.compile(lambda x: torch.softmax(x * 3, -1), backend=backend)
    with timing() as times:
        with listening(found.append), listening(times.watch):
            compiled(torch.zeros(8, 32))
        compiled(torch.zeros(8, 32))
        timed = found[0].program.run
    assert found[0].program.run is not timed
    assert times.least()["0.k0"] > 0
    (kernel,) = report_of(found, times.least()).kernels
    assert kernel.seconds == times.least()["0.k0"]


def normed(x):
    return functional.layer_norm(x, (32,)).sum()


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # TorchDynamo's
@pytest.mark.parametrize("is_computed", [False, True], ids=["leaf", "computed"])
def test_sizes_that_may_change_are_explained_as_such_and_leave_no_trace(is_computed):
    x = torch.randn(8, 32, requires_grad=True)
    x = x * 2 if is_computed else x
    dynamic = fuse(normed, dynamic=True)
    dynamic(x)
    y = x.detach().requires_grad_()  # what PyTorch itself has left on x stays there
    report = explain(dynamic, x)
    assert [kernel.rows[0] for kernel in report.kernels] == ["s", "s"]
    assert report.recompiles == ()
    assert all("float32[s77, 32]" in one.ir for one in stages(dynamic, y))
    assert [kernel.rows for kernel in explain(normed, y).kernels] == ["8 × 32"] * 2
    assert [one.name for one in stages(normed, y)] == ["forward", "backward"]


def test_what_is_compiled_already_keeps_its_options():
    def dropped(x):
        return functional.dropout(x, 0.5)

    x = torch.ones(8, 32)
    report = explain(fuse(dropped, dropout="eager"), x)
    assert [call.target for call in report.calls] == ["aten.native_dropout.default"]
    (graph,) = stages(fuse(dropped, dropout="eager"), x)
    assert "native_dropout" in graph.rewritten
    other = torch.compile(dropped, backend="eager")
    (kernel,) = explain(other, x).kernels
    assert "uniform" in kernel.operations
    assert "sestina.uniform" in stages(other, x)[0].rewritten


def test_a_function_without_operations_is_said_to_have_none():
    report = explain(lambda x: x, torch.zeros(3))
    assert (report.graphs, report.recompiles) == ((), ())
    assert str(report).startswith("nothing was compiled: TorchDynamo found no operation on tensors")


@pytest.mark.filterwarnings("ignore::sestina.fuser.FallbackWarning")
def test_a_graph_that_was_left_to_pytorch_is_said_to_be_with_the_reason():
    def negated(x):
        return (x * 2).conj().imag

    x = torch.zeros(3, dtype=torch.complex64)
    for function in (negated, fuse(negated)):
        report = explain(function, x)
        (reason,) = report.left
        assert reason == "aten._neg_view.default: it gives a view of negated numbers on cpu"
        assert (report.graphs, report.recompiles) == ((), ())
        assert str(report).startswith(
            f"PyTorch runs a graph, without kernels: {reason}\n\nwould the"
        )
