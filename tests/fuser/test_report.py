import torch
from torch import nn
from torch.nn import functional

from sestina.fuser import explain
from sestina.fuser.report import copy_bandwidth


def test_kernels_calls_and_reasons_are_reported():
    report = explain(
        lambda x, w: functional.gelu(x @ w + 1), torch.zeros(64, 32), torch.zeros(32, 48)
    )
    (kernel,) = report.kernels
    assert kernel.operations == ("add", "mul", "erf")
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
    assert kernel.predicted_seconds == kernel.bytes_moved / copy_bandwidth()
    assert kernel.share == kernel.predicted_seconds / kernel.seconds


def test_the_backward_pass_is_a_graph_of_its_own():
    report = explain(nn.Sequential(nn.Linear(8, 8), nn.GELU()), torch.randn(4, 8))
    assert len(report.graphs) == 2
    assert {kernel.name[0] for kernel in report.kernels} == {"0", "1"}


def test_why_kernels_end_is_told():
    report = explain(lambda x: x.exp() + x.exp().t(), torch.zeros(16, 16))
    assert any("diagonal" in reason for reason, _ in report.apart)
    assert "diagonal" in str(report)
