"""Small graphs whose time is memory: forward and backward, with their tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["CASES", "Case"]


@dataclass(frozen=True, slots=True)
class Case:
    """A function and what makes its arguments; those that want gradients get them."""

    function: Callable[..., Tensor]
    arguments: Callable[[], list[Tensor]]


def _leaf(*shape: int) -> Tensor:
    return torch.randn(*shape, requires_grad=True)


def _images(*, last: bool) -> Tensor:
    memory = torch.channels_last if last else torch.contiguous_format
    return torch.randn(16, 64, 56, 56).contiguous(memory_format=memory).requires_grad_()


def _block(x: Tensor, b: Tensor, r: Tensor, w: Tensor, c: Tensor) -> Tensor:
    dropped = functional.dropout(functional.gelu(x + b), 0.1)
    return functional.layer_norm(r + dropped, (768,), w, c)


def _rms_norm(x: Tensor, w: Tensor) -> Tensor:
    return functional.rms_norm(x, (1024,), w)


def _masked_softmax(x: Tensor, mask: Tensor) -> Tensor:
    return functional.dropout(torch.softmax(x * 0.125 + mask, -1), 0.1)


def _cross_entropy(x: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(x, target)


def _batch_norm(x: Tensor, r: Tensor, w: Tensor, b: Tensor) -> Tensor:
    normal = functional.batch_norm(x, None, None, w, b, training=True)
    return functional.relu(normal + r)


def _masked(x: Any) -> Tensor:
    mask = torch.zeros(8, 1, 1, 128)
    mask[..., 100:] = -1e4
    return mask if x is None else x


CASES: dict[str, Case] = {
    "bias+GELU+dropout+residual+LayerNorm 4096×768": Case(
        _block, lambda: [_leaf(4096, 768), _leaf(768), _leaf(4096, 768), _leaf(768), _leaf(768)]
    ),
    "RMSNorm 4096×1024": Case(_rms_norm, lambda: [_leaf(4096, 1024), _leaf(1024)]),
    "masked softmax+dropout 8×4×128×128": Case(
        _masked_softmax, lambda: [_leaf(8, 4, 128, 128), _masked(None)]
    ),
    "cross-entropy 4096×1000": Case(
        _cross_entropy, lambda: [_leaf(4096, 1000), torch.randint(0, 1000, (4096,))]
    ),
    "cross-entropy 1024×30522": Case(
        _cross_entropy, lambda: [_leaf(1024, 30522), torch.randint(0, 30522, (1024,))]
    ),
    "BatchNorm+add+ReLU 16×64×56×56": Case(
        _batch_norm, lambda: [_images(last=False), _images(last=False), _leaf(64), _leaf(64)]
    ),
    "BatchNorm+add+ReLU 16×64×56×56, channels last": Case(
        _batch_norm, lambda: [_images(last=True), _images(last=True), _leaf(64), _leaf(64)]
    ),
}
