"""The text of the best token of each frame: no search, no lexicon, no language model."""

from __future__ import annotations

from typing import Any

import numpy as np

from sestina.core.errors import OptionError
from sestina.decoding.emissions import as_emissions
from sestina.decoding.tokens import Tokens

__all__ = ["greedy"]


def greedy(emissions_tn: Any, tokens: Tokens, *, blank: str = "-", silence: str = "|") -> str:
    """What the best token of each frame says: repeats count once, then blanks fall out.

    Args:
        emissions_tn: (frame, token) scores; see `as_emissions`.
        tokens: what the columns stand for.
        blank: the blank token.
        silence: the token between words; empty if there is none.

    Raises:
        ShapeError, DtypeError, NonFiniteError: for emissions that can't be read.
        OptionError: if the blank is no token.

    Example:
        >>> import numpy as np
        >>> tokens = Tokens(["-", "|", "a", "b"])
        >>> greedy(np.eye(4)[[2, 2, 0, 2, 1, 3]], tokens)
        'aa b'
    """
    if blank not in tokens:
        raise OptionError(
            "blank", blank, expected=f"one of {tokens}", remedy="name the model's own"
        )
    scores_tn = as_emissions(emissions_tn, num_axes=2, num_tokens=len(tokens))
    best_t = scores_tn.argmax(axis=1)
    starts_t = np.diff(best_t, prepend=-1) != 0
    kept = best_t[starts_t & (best_t != tokens.index(blank))]
    spelled = "".join(tokens[index] for index in kept.tolist())
    if silence in tokens:
        silence = tokens[tokens.index(silence)]
    return " ".join((spelled.replace(silence, " ") if silence else spelled).split())
