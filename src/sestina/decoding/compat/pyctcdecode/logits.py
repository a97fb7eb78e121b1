"""An acoustic model's outputs, made what the search reads."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sestina.core.errors import ShapeError
from sestina.decoding.compat.pyctcdecode.checks import check_number
from sestina.decoding.compat.pyctcdecode.constants import MIN_TOKEN_CLIP_P

__all__ = ["log_probabilities", "with_columns"]


def log_probabilities(
    logits_tn: ArrayLike, num_labels: int, token_min_logp: float
) -> NDArray[np.float32]:
    """(frame, label) natural logarithms, minus infinity for labels below `token_min_logp`.

    A frame's best label always stays.

    Args:
        logits_tn: (frame, label): probabilities if the rows add up to 1, else logits.
        num_labels: how many columns there are to be.
        token_min_logp: a natural logarithm.

    Raises:
        ShapeError: if they are not (frame, label).
        OptionError: if `token_min_logp` is no number.
    """
    check_number("token_min_logp", token_min_logp, finite=False)
    given_tn = np.asarray(logits_tn, dtype=np.float64)
    if given_tn.ndim != 2 or given_tn.shape[1] != num_labels:
        raise ShapeError(
            "logits",
            given_tn.shape,
            expected=f"(frame, label) of {num_labels} labels",
            remedy="pass one utterance, with a column for each label, the blank's included",
        )
    if not len(given_tn):
        return np.zeros((0, num_labels), dtype=np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):  # the search checks for numbers
        mean = given_tn.sum(axis=1).mean()
        # float32 probabilities add up to 1 but for their last digits.
        if math.isclose(mean, 1.0, rel_tol=1e-5) and given_tn.min() >= 0.0:
            logp_tn = np.log(np.clip(given_tn, MIN_TOKEN_CLIP_P, 1.0))
        else:
            shifted_tn = given_tn - given_tn.max(axis=1, keepdims=True)
            logp_tn = shifted_tn - np.log(np.exp(shifted_tn).sum(axis=1, keepdims=True))
            logp_tn = np.clip(logp_tn, math.log(MIN_TOKEN_CLIP_P), 0.0)
    low_tn = logp_tn < token_min_logp
    low_tn[np.arange(len(low_tn)), logp_tn.argmax(axis=1)] = False
    logp_tn[low_tn] = -np.inf
    return logp_tn.astype(np.float32)


def with_columns(logp_tn: NDArray[np.float32], num_tokens: int) -> NDArray[np.float32]:
    """With columns at the end, of what no frame has, until there are `num_tokens`."""
    missing = ((0, 0), (0, num_tokens - logp_tn.shape[1]))
    return np.pad(logp_tn, missing, constant_values=-np.inf)
