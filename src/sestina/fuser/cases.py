"""What this compiler is measured with: small graphs whose time is memory, and a transformer.

The names are those of rows of results; `sestina fuser bench` runs the same on anyone's machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CASES", "Case", "Transformer"]


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


def _mask() -> Tensor:
    mask = torch.zeros(8, 1, 1, 128)
    mask[..., 100:] = -1e4
    return mask


CASES: dict[str, Case] = {
    "bias+GELU+dropout+residual+LayerNorm 4096×768": Case(
        _block, lambda: [_leaf(4096, 768), _leaf(768), _leaf(4096, 768), _leaf(768), _leaf(768)]
    ),
    "RMSNorm 4096×1024": Case(_rms_norm, lambda: [_leaf(4096, 1024), _leaf(1024)]),
    "masked softmax+dropout 8×4×128×128": Case(
        _masked_softmax, lambda: [_leaf(8, 4, 128, 128), _mask()]
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


class _Layer(nn.Module):
    """Attention and a feed-forward network, each after a normalisation and added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixed, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        heads = self.mixed(self.first(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        seen = self.out(seen.transpose(1, 2).reshape(batch, length, width))
        x = x + functional.dropout(seen, 0.1)
        wide = functional.gelu(self.wide(self.second(x)))
        return x + functional.dropout(self.narrow(wide), 0.1)


class Transformer(nn.Module):
    """Guesses the next token of sequences, with dropout; gives the loss.

    Args:
        vocabulary: how many tokens there are.
        width: of a token's vector.
        length: of a sequence.
        heads: of attention.
        layers: how many.
    """

    def __init__(
        self, vocabulary: int, width: int, length: int, *, heads: int, layers: int
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(torch.randn(length, width) * 0.02)
        self.layers = nn.ModuleList([_Layer(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """The mean cross-entropy of (batch, length) tokens and their followers."""
        x = self.tokens(tokens) + self.places
        for layer in self.layers:
            x = layer(x)
        scores = self.head(self.norm(x))
        return functional.cross_entropy(scores.flatten(0, 1), targets.flatten())
