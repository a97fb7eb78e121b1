"""A stand-in for a sequence-to-sequence model: cheap scores, the same for every decoder.

What it says depends on the last token and on the step, through one table each, so that a bench
times the search and how it is told of scores, not a model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Talker"]


class Talker:
    """Scores of tokens after a token.

    Args:
        num_tokens: how many there are; the first one is the end.
        num_steps: until the end becomes probable.
        seed: of what it says.
    """

    def __init__(self, num_tokens: int, *, num_steps: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.num_tokens = num_tokens
        # The last row is for the start, where the last token is -1.
        self.after = (2 * rng.normal(size=(num_tokens + 1, num_tokens))).astype(np.float32)
        self.at = (2 * rng.normal(size=(2 * num_steps, num_tokens))).astype(np.float32)
        self.at[:num_steps, 0] = -30
        self.at[num_steps:, 0] = 10
        # Below 0, as logarithms of probabilities are.
        self.after -= self.after.max() + 1
        self.at -= self.at.max()

    def rows(self, tokens: NDArray[np.int32], step: int) -> NDArray[np.float32]:
        """(hypothesis, token) scores."""
        rows: NDArray[np.float32] = self.after[tokens] + self.at[step]
        return rows
