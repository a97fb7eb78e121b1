"""Kernels of tests are kept for the tests alone: the user's cache is not touched."""

import pytest
import torch

from sestina.fuser.compile import native
from sestina.fuser.compile.cache import Cache


@pytest.fixture(scope="session", autouse=True)
def _kernels_of_the_tests(tmp_path_factory):
    cache = Cache(tmp_path_factory.mktemp("cache") / "kernels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "kernel_cache", lambda: cache)
        yield


@pytest.fixture
def fresh_compiler():
    """TorchDynamo knows nothing of what other tests have compiled."""
    torch._dynamo.reset()
