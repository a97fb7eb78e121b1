import pytest
import torch
from torch.nn import functional

from sestina.fuser import costs, fuse, measured
from sestina.fuser.capture.backend import listening
from sestina.fuser.prediction import predict, traffic
from sestina.fuser.report import report_of
from tests.fuser.captured import program

KINDS = ("add", "sub", "exp", "copy", "mul", "div")


class Anywhere(dict):
    """A footprint for any tensor."""

    def __missing__(self, _key):
        return 1 << 20


@pytest.fixture(autouse=True)
def _prices(monkeypatch):
    """Memory moves 1 byte a second, all else takes 1 second an element, and nothing is hidden."""
    known = {"row": 0.0, "exposed": 1.0, "call": 0.0}
    known |= {f"memory {size}": 1.0 for size in costs._FOOTPRINTS}
    known |= {f"{kind} torch.float32": 1.0 for kind in KINDS}
    known = {f"{name}, {costs._VERSION}": value for name, value in known.items()}
    monkeypatch.setattr(measured, "_in_memory", known)


def kernel_of(function, *arguments):
    ((rendered,),) = program(function, *arguments).kernels
    return rendered.kernel


def test_each_operation_and_each_way_is_counted():
    kernel = kernel_of(lambda x, y: x.exp() + y, torch.zeros(64), torch.zeros(64))
    read, written = traffic(kernel)
    assert (sum(read.values()), sum(written.values())) == (512, 256)
    expected = predict(kernel, Anywhere())
    assert expected.memory == 768
    # exp, add, two loads, a store.
    assert expected.arithmetic == 64 * 5
    assert expected.seconds == 768 + 64 * 5


def test_what_is_computed_in_each_pass_is_counted_in_each():
    kernel = kernel_of(lambda x: x / x.sum(-1, keepdim=True).sqrt(), torch.ones(8, 64))
    expected = predict(kernel, Anywhere())
    assert len(kernel.passes) == 2
    # Loaded and added; loaded again, divided and stored.
    assert expected.arithmetic == 8 * 64 * 5


def test_a_row_that_is_looked_up_is_read_as_it_lies():
    kernel = kernel_of(functional.embedding, torch.zeros(8, dtype=torch.int64), torch.zeros(5, 64))
    # A way from and one to memory for each element, and nothing for the places of its row.
    assert predict(kernel, Anywhere()).arithmetic == 8 * 64 * 2


def test_what_is_kept_is_computed_once():
    kernel = kernel_of(lambda x: torch.softmax(x, -1), torch.ones(8, 64))
    steps = [step for one in kernel.passes for step in one.keeps]
    assert [step.kind for step in steps] == ["exp"]
    once = predict(kernel, Anywhere()).arithmetic
    measured._in_memory[f"exp torch.float32, {costs._VERSION}"] += 1
    assert predict(kernel, Anywhere()).arithmetic == once + 8 * 64


def test_sizes_that_change_have_no_prediction():
    found = []
    with listening(found.append):
        fuse(lambda x: functional.relu(x) * 2, dynamic=True)(torch.ones(8, 64))
    (kernel,) = report_of(found).kernels
    assert kernel.bytes_moved is None
    assert kernel.predicted_seconds is None
    assert kernel.predicted_share is None
