"""Kernels of tests are kept for the tests alone, and what passes leave is verified in all."""

import contextlib

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


@contextlib.contextmanager
def failing():
    """Lets a test fail for an assertion that the compiler would take for a reason to fall back."""
    try:
        yield
    except AssertionError as error:
        pytest.fail(str(error))


@pytest.fixture(scope="session", autouse=True)
def _passes_are_verified():
    plan, arrange = program.segment, program.schedule

    def segment(graph):
        segments = plan(graph)
        with failing():
            verify_graph(graph)
            verify_segments(graph, segments)
        return segments

    def schedule(group, stored):
        kernel = arrange(group, stored)
        with failing():
            verify_kernel(kernel)
        return kernel

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "segment", segment)
        patch.setattr(program, "schedule", schedule)
        yield


@pytest.fixture(scope="session", autouse=True)
def _kernels_with_one_signature_are_one():
    key_of, written = native.code_key, {}

    def code_key(source):
        key = key_of(source)
        if source.signature is not None:
            lines = [line for line in source.source.splitlines() if line.lstrip()[:1] != ";"]
            with failing():
                assert written.setdefault(key, lines) == lines
                assert source.parameters == source._written[1]
                assert source.has_flag == any("ptr %flag," in line for line in lines)
        return key

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "code_key", code_key)
        patch.setattr(program, "code_key", code_key)
        yield


@pytest.fixture
def fresh_compiler():
    """TorchDynamo knows nothing of what other tests have compiled."""
    torch._dynamo.reset()
