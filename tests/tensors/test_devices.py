from __future__ import annotations

import pytest
import torch

from sestina.core.errors import InvalidValueError
from sestina.tensors import resolve_device


def test_auto_is_cuda_if_there_is_one():
    assert resolve_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_names_and_devices_are_taken(device):
    assert resolve_device(device) == torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", "cpu:x", ""])
def test_what_is_no_device_is_refused(device):
    with pytest.raises(InvalidValueError, match="expected auto, cpu, cuda"):
        resolve_device(device)


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(InvalidValueError, match="of this machine; use auto or cpu"):
        resolve_device(f"cuda:{torch.cuda.device_count()}")
