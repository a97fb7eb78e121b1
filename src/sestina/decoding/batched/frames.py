"""From a batch of emissions to what the search reads, frame by frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sestina.core.errors import InvalidValueError, NonFiniteError, ShapeError
from sestina.decoding.batched.beams import Frame
from sestina.tensors import check_dtype

__all__ = ["Frames", "check_numbers", "checked_emissions", "frames_of"]

_DTYPES = (torch.float16, torch.bfloat16, torch.float64, torch.float32)


def checked_emissions(emissions: object, *, num_tokens: int, device: torch.device) -> Tensor:
    """The emissions in float32; `check_numbers` looks at their values.

    Raises:
        InvalidValueError: if they are no tensor, or on another device than `device`.
        DtypeError: if they do not hold floating-point numbers.
        ShapeError: if they are not (utterance, frame, token) with that many tokens.
    """
    emissions_btn = check_dtype("emissions", emissions, _DTYPES)
    if emissions_btn.ndim != 3 or emissions_btn.shape[2] != num_tokens:
        raise ShapeError(
            "emissions",
            tuple(emissions_btn.shape),
            expected=f"(utterance, frame, token) with {num_tokens} tokens",
            remedy="check the model's output against the tokens; pass emissions[None] for one",
        )
    if emissions_btn.device != device:
        raise InvalidValueError(
            "emissions' device",
            str(emissions_btn.device),
            expected=f"the decoder's, {device}",
            remedy=f"call .to({str(device)!r}), or make the decoder with that device",
        )
    return emissions_btn.detach().float()


def check_numbers(emissions_btn: Tensor, lengths_b: Tensor) -> None:
    """Passes if each frame up to the lengths holds numbers or minus infinity.

    Raises:
        NonFiniteError: if one holds NaN or plus infinity.
    """
    frames_t = torch.arange(emissions_btn.shape[1], device=emissions_btn.device)
    is_there_bt = frames_t < lengths_b[:, None]
    bad_btn = (emissions_btn.isnan() | (emissions_btn == torch.inf)) & is_there_bt[:, :, None]
    if bool(bad_btn.any()):
        place = [int(k) for k in bad_btn.nonzero()[0]]
        raise NonFiniteError(
            f"emissions{place}",
            float(emissions_btn[tuple(place)]),
            expected="a number or minus infinity",
            remedy="look at what the model was given; masked frames belong beyond the lengths",
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frames:
    """The frames that are searched; those that are skipped for blanks left out."""

    emissions_btv: Tensor
    tokens_btn: Tensor
    tried_btn: Tensor
    rests_bt: Tensor
    """Score of the blanks skipped just before a frame; minus infinity if none was."""
    counts_b: Tensor
    """How many of them each utterance has."""
    places_bt: Tensor
    """Which frame of the utterance each one is."""
    last_rest_b: Tensor
    """Score of the blanks skipped after the last; 0 if there is none."""

    def __iter__(self) -> Iterator[Frame]:
        """One after another."""
        for t in range(self.places_bt.shape[1]):
            yield Frame(
                emission_bv=self.emissions_btv[:, t],
                token_bn=self.tokens_btn[:, t],
                tried_bn=self.tried_btn[:, t],
                rest_b=self.rests_bt[:, t],
                is_there_b=t < self.counts_b,
            )

    def spread(self, tokens_bmt: Tensor, num_frames: int, *, blank: int) -> Tensor:
        """Paths over these frames as paths over all frames, the others being blanks."""
        num_paths, num_searched = tokens_bmt.shape[1:]
        is_there_bt = torch.arange(num_searched, device=tokens_bmt.device) < self.counts_b[:, None]
        tokens_bmt = tokens_bmt.masked_fill(~is_there_bt[:, None], blank)
        spread_bmt = tokens_bmt.new_full((len(tokens_bmt), num_paths, num_frames), blank)
        return spread_bmt.scatter_(2, self.places_bt[:, None].expand(-1, num_paths, -1), tokens_bmt)


def frames_of(
    emissions_btv: Tensor,
    lengths_b: Tensor,
    *,
    blank: int,
    num_tried: int,
    bonus: tuple[int, float] | None,
    token_score: float,
    skip_above: float | None,
) -> Frames:
    """What the search reads.

    Args:
        emissions_btv: checked.
        lengths_b: int64.
        blank: its token.
        num_tried: how many of each frame's best tokens extend a prefix.
        bonus: a token, and what it gets in each frame beside its emission.
        token_score: what each new token gets beside its emission.
        skip_above: the probability above which a blank's frame is skipped; None skips none.
    """
    num_utterances, num_frames, num_tokens = emissions_btv.shape
    places_bt = torch.arange(num_frames, device=emissions_btv.device).expand(num_utterances, -1)
    rests_bt = torch.full(places_bt.shape, -torch.inf, device=emissions_btv.device)
    last_rest_b = torch.zeros(num_utterances, dtype=torch.float64, device=emissions_btv.device)
    counts_b = lengths_b
    if skip_above is not None:
        places_bt, rests_bt, counts_b, last_rest_b = _searched(
            emissions_btv[:, :, blank], lengths_b, skip_above
        )
        emissions_btv = emissions_btv.gather(1, places_bt[:, :, None].expand(-1, -1, num_tokens))
    if num_tried < num_tokens:
        tokens_btn = emissions_btv.topk(num_tried, dim=2).indices
    else:
        tokens_btn = torch.arange(num_tokens, device=emissions_btv.device).expand(
            *emissions_btv.shape
        )
    if bonus is not None:
        token, score = bonus
        emissions_btv = emissions_btv.clone()
        emissions_btv[:, :, token] += score
    tried_btn = emissions_btv.gather(2, tokens_btn) + token_score
    tried_btn = tried_btn.masked_fill(tokens_btn == blank, -torch.inf)
    return Frames(
        emissions_btv=emissions_btv,
        tokens_btn=tokens_btn,
        tried_btn=tried_btn,
        rests_bt=rests_bt,
        counts_b=counts_b,
        places_bt=places_bt,
        last_rest_b=last_rest_b,
    )


def _searched(
    blank_bt: Tensor, lengths_b: Tensor, skip_above: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Places, rests and counts of the frames that are not skipped, and the last rests."""
    frames_t = torch.arange(blank_bt.shape[1], device=blank_bt.device)
    is_there_bt = frames_t < lengths_b[:, None]
    is_skipped_bt = is_there_bt & (blank_bt > math.log(skip_above))
    is_searched_bt = is_there_bt & ~is_skipped_bt
    counts_b = is_searched_bt.sum(1)
    # The one look at values, before the search: how many frames it will have.
    num_searched = int(counts_b.max()) if len(counts_b) else 0
    places_bt = (~is_searched_bt).int().argsort(dim=1, stable=True)[:, :num_searched]
    # Skipped blanks up to each frame, the first being none.
    sums_bt = torch.where(is_skipped_bt, blank_bt, 0.0).double().cumsum(1)
    sums_bt = torch.nn.functional.pad(sums_bt, (1, 0))
    after_bt = torch.nn.functional.pad(places_bt + 1, (1, 0))
    rests_bt = sums_bt.gather(1, places_bt) - sums_bt.gather(1, after_bt[:, :-1])
    rests_bt = rests_bt.float().masked_fill(places_bt == after_bt[:, :-1], -torch.inf)
    last_bt = after_bt.gather(1, counts_b[:, None])
    last_rest_b = (sums_bt.gather(1, lengths_b[:, None]) - sums_bt.gather(1, last_bt))[:, 0]
    return places_bt, rests_bt, counts_b, last_rest_b
