"""What the room's tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch with one thread: tensors as small as these only wait for a second one."""
    import torch  # noqa: PLC0415  most of the room's tests load no torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
