"""From the links between beams to the best path of each hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sestina.decoding.batched.beams import Beam, Links, Rules
from sestina.decoding.batched.merging import add_equal, plus

__all__ = ["Best", "best_entries", "trace"]


class Best(NamedTuple):
    """The best prefixes of a beam, best first."""

    score_bm: Tensor
    """With the end's; float32, minus infinity if there are no more."""
    entry_bm: Tensor
    """The better of its two kinds of paths, as in `Links`."""
    ending_bm: Tensor
    """log10 of the end's probability, float32."""


def best_entries(beam: Beam, rules: Rules, count: int) -> Best:
    """The best prefixes if the utterance ended here."""
    ending_bk = rules.automaton.ending[beam.state_bk]
    blank_bk = beam.blank_bk + rules.lm_weight * ending_bk
    token_bk = beam.token_bk + rules.lm_weight * ending_bk
    lowest_b1 = torch.maximum(blank_bk, token_bk).amax(1, keepdim=True) - rules.threshold
    score_bk = plus(rules.log_add)(
        blank_bk.masked_fill(blank_bk < lowest_b1, -torch.inf),
        token_bk.masked_fill(token_bk < lowest_b1, -torch.inf),
    )
    if rules.by_context:
        # No future is left to tell apart those that differ in their last token only.
        columns = (beam.state_bk, score_bk, torch.maximum(blank_bk, token_bk))
        score_bk = add_equal(*(one[:, :, None] for one in columns), log_add=rules.log_add)[..., 0]
    score_bm, place_bm = score_bk.topk(count, dim=1)
    entry_bk = 2 * torch.arange(rules.beam_size, device=score_bk.device) + (blank_bk >= token_bk)
    return Best(score_bm, entry_bk.gather(1, place_bm), ending_bk.gather(1, place_bm))


def trace(links: Sequence[Links], entry_bm: Tensor, *, blank: int) -> tuple[Tensor, Tensor]:
    """The token of each frame along the paths that end in some entries of the last beam.

    Args:
        links: of each frame.
        entry_bm: (utterance, path) entries, numbered as in `Links`.
        blank: the blank's index.

    Returns:
        The tokens, (utterance, path, frame), and the log10 of what the language model gave them,
        (utterance, path), float64.
    """
    tokens = []
    language_bm = torch.zeros(entry_bm.shape, dtype=torch.float64, device=entry_bm.device)
    for step in reversed(links):
        place_bm, is_blank_bm = entry_bm // 2, entry_bm % 2 == 1
        token_bm = step.last_bk.gather(1, place_bm)
        tokens.append(token_bm.masked_fill(is_blank_bm, blank))
        language_bm += step.language_bk.gather(1, place_bm).masked_fill(is_blank_bm, 0.0)
        entry_bm = step.source_bkp.flatten(1).gather(1, entry_bm)
    if not tokens:
        return entry_bm.new_empty((*entry_bm.shape, 0)), language_bm
    return torch.stack(tokens[::-1], dim=2), language_bm
