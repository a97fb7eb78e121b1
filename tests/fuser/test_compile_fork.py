"""Kernels in several threads and in processes that were forked."""

import os
import threading
import time

import pytest
import torch

from sestina.fuser.compile import native
from sestina.fuser.render.kernel import render
from sestina.fuser.schedule.kernel import schedule
from sestina.fuser.segment.groups import segment
from tests.fuser.captured import lowered, program

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
x = torch.randn(2000, 300)


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def _threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def in_child(work):
    """Does something in a forked process, and fails if it fails or never ends."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return "it waits for ever"


@pytest.mark.filterwarnings("ignore")  # that there are threads where one forks is the point
@pytest.mark.usefixtures("_threads")
def test_a_forked_process_runs_kernels_and_compiles_others():
    made = program(lambda x: x.softmax(-1).sum(0), x)
    (expected,) = made.run([x])

    def both():
        other = program(lambda x: x.exp().sum(0), x)
        is_same = torch.equal(made.run([x])[0], expected)
        return is_same and native.num_threads() == 1 and other.run([x])[0].shape == (300,)

    assert in_child(both) == 0
    assert native.num_threads() == (torch.get_num_threads() if native.machine().openmp else 1)
    assert torch.equal(made.run([x])[0], expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_threads")
def test_a_forked_process_that_runs_no_kernel_ends_as_ever():
    program(lambda x: x.softmax(-1).sum(0), x).run([x])
    assert in_child(lambda: bool((x[:2] * 2 == x[:2] + x[:2]).all())) == 0


def test_threads_may_compile_at_once(monkeypatch):
    monkeypatch.setattr(native.kernel_cache(), "get", lambda key: None)
    sources = []
    for factor in range(8):
        segments = segment(lowered(lambda x, f=factor: (x * f).softmax(-1), x[:8]).graph)
        (group,) = segments.groups
        sources.append(render(schedule(group, segments.stored), native.machine().features))
    kernels, failed = [], []

    def work(source):
        try:
            kernels.append(native.compiled(source, has_finish=False))
        except Exception as error:  # noqa: BLE001 - it is shown below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(kernels) == 8
