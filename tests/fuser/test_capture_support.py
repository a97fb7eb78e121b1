import warnings

import pytest
import torch

from sestina.fuser.capture import support


@pytest.fixture(autouse=True)
def _forgotten():
    support.is_supported.cache_clear()
    yield
    support.is_supported.cache_clear()


@pytest.mark.parametrize("version", ["2.13.0", "2.13.1+cpu"])
def test_a_tested_version_is_supported_without_a_word(version):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert support.is_supported(version)


def test_the_version_here_is_a_tested_one():
    first, last = support.TESTED
    numbers = tuple(map(int, torch.__version__.split("+")[0].split(".")[:2]))
    assert first <= numbers <= last


def test_another_version_is_said_once_and_tested():
    with pytest.warns(UserWarning, match=r"PyTorch 9\.1\.0 .* passes, so graphs are compiled"):
        assert support.is_supported("9.1.0")


def test_a_version_that_fails_the_test_runs_graphs_itself(monkeypatch):
    monkeypatch.setattr(support, "passes_its_test", lambda: False)
    with pytest.warns(UserWarning, match="fails, so PyTorch runs graphs itself"):
        assert not support.is_supported("9.1.0")


def test_wrong_results_and_errors_fail_the_test():
    assert support.passes_its_test()
    assert not support.passes_its_test(
        lambda captured: lambda args: [a * 2 for a in captured(*args)]
    )
    assert not support.passes_its_test(lambda captured: 1 / 0)
