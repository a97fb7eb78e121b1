"""Uniform numbers by position: a counter and a key make them, so nothing need be kept.

Element i of a random tensor, counted row by row whatever the strides, comes from Philox4x32 (Salmon
et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) with the call's seed as its key. A
counter gives four words; 16 counters together make a block of 64 elements, word by word: element
64·b + 16·w + l is word w of counter 16·b + l. So a vector of 16 lanes makes a whole block without
moving anything between its lanes.

7 rounds are what the paper calls safe: the fewest that pass BigCrush. The bits' upper 24 make a
number in [0, 1).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["BLOCK", "LANES", "MULTIPLIERS", "ROUNDS", "UNIFORM", "WEYL", "philox", "uniforms"]

ROUNDS = 7
BLOCK = 64
LANES = 16
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
_MASK = np.uint64(0xFFFFFFFF)

Words = NDArray[np.uint64]


def philox(counter: Sequence[Words], key: Sequence[int], rounds: int = ROUNDS) -> list[Words]:
    """The four words that Philox4x32 makes of counters of four words and a key of two.

    Args:
        counter: four arrays of one shape, each word below 2³².
        key: two words below 2³².
        rounds: how often they are mixed; 10 is the paper's default.
    """
    x = list(counter)
    low, high = key
    for _ in range(rounds):
        first, second = x[0] * np.uint64(MULTIPLIERS[0]), x[2] * np.uint64(MULTIPLIERS[1])
        x = [
            (second >> np.uint64(32)) ^ x[1] ^ np.uint64(low),
            second & _MASK,
            (first >> np.uint64(32)) ^ x[3] ^ np.uint64(high),
            first & _MASK,
        ]
        low, high = (low + WEYL[0]) & 0xFFFFFFFF, (high + WEYL[1]) & 0xFFFFFFFF
    return x


def uniforms(seed: int, shape: Sequence[int], stream: int) -> NDArray[np.float32]:
    """The tensor of uniform numbers in [0, 1) that kernels make of a seed and a stream.

    Args:
        seed: any integer of 64 bits; its words are the key.
        shape: of the tensor.
        stream: tells tensors of one seed apart.
    """
    size = int(np.prod(shape, dtype=np.int64))
    block, within = np.divmod(np.arange(size, dtype=np.uint64), np.uint64(BLOCK))
    word, lane = np.divmod(within, np.uint64(LANES))
    number = block * np.uint64(LANES) + lane
    counter = [
        number & _MASK,
        number >> np.uint64(32),
        np.full(size, stream, dtype=np.uint64),
        np.zeros(size, dtype=np.uint64),
    ]
    words = philox(counter, (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF))
    chosen = np.choose(word.astype(np.int64), words) if size else np.zeros(0, dtype=np.uint64)
    made = (chosen >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)
    return made.reshape(shape)


@torch.library.custom_op("sestina::uniform", mutates_args=())
def _uniform(seed: torch.Tensor, size: Sequence[int], stream: int) -> torch.Tensor:
    return torch.from_numpy(uniforms(int(seed), size, stream))


@_uniform.register_fake
def _(seed: torch.Tensor, size: Sequence[int], stream: int) -> torch.Tensor:
    del stream
    return seed.new_empty(size, dtype=torch.float32)


UNIFORM = torch.ops.sestina.uniform.default
