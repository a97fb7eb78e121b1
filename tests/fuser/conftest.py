"""Kernels of tests are kept for the tests alone, and what passes leave is verified in all."""

import pytest
import torch

from sestina.fuser.compile import native
from sestina.fuser.compile.cache import Cache
from sestina.fuser.launch import program
from sestina.fuser.verifier import verify_graph, verify_kernel, verify_segments


@pytest.fixture(scope="session", autouse=True)
def _kernels_of_the_tests(tmp_path_factory):
    cache = Cache(tmp_path_factory.mktemp("cache") / "kernels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "kernel_cache", lambda: cache)
        yield


@pytest.fixture(scope="session", autouse=True)
def _passes_are_verified():
    plan, arrange = program.segment, program.schedule

    def segment(graph):
        verify_graph(graph)
        segments = plan(graph)
        verify_segments(graph, segments)
        return segments

    def schedule(group, stored):
        kernel = arrange(group, stored)
        verify_kernel(kernel)
        return kernel

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "segment", segment)
        patch.setattr(program, "schedule", schedule)
        yield


@pytest.fixture
def fresh_compiler():
    """TorchDynamo knows nothing of what other tests have compiled."""
    torch._dynamo.reset()
