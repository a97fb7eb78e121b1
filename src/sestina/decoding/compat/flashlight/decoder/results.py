"""What a decoder of Flashlight Text has found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["DecodeResult", "RawResult"]

RawResult = tuple[float, float, float, NDArray[np.int32]]
"""Score, acoustic and language parts, and (2, frame) tokens and words of one hypothesis."""


class DecodeResult:
    """One hypothesis: the token of every frame, with one before the first and one after the last.

    Args:
        length: of `words` and `tokens`.
    """

    def __init__(self, length: int = 0) -> None:
        self.score = 0.0
        """What it was ranked by."""
        self.emittingModelScore = 0.0
        """The sum of the emissions along its path."""
        self.lmScore = 0.0
        """The sum of the language model's scores, not weighted."""
        self.words = [-1] * length
        """By frame, the word that ends there, or -1."""
        self.tokens = [-1] * length
        """By frame, the token."""

    @classmethod
    def of(cls, raw: RawResult) -> DecodeResult:
        """The result that a search has found."""
        result = cls()
        result.score, result.emittingModelScore, result.lmScore, frames = raw
        result.tokens, result.words = frames.tolist()
        return result
