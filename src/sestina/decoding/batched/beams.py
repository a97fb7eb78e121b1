"""One frame of CTC beam search for all utterances and hypotheses at once.

Axes: b utterance, k hypothesis (i and j where two meet), n token tried, v token of all.

A prefix is a sequence of tokens, or with `by_context` its last token and what the language model
remembers of it. Its paths that end in a blank and those that end in its last token compete as two
hypotheses, but share the prefix, so that a frame can: keep it (a blank, or its token for longer),
or extend it by a token that the frame tries. Extensions that are a prefix of the beam already join
it. All shapes depend on the options alone, and nothing looks at a value, so a frame is a fixed
sequence of kernels that no GPU waits for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sestina.decoding.batched.automaton import TokenAutomaton
from sestina.decoding.batched.merging import add_all, add_equal, extended, plus

__all__ = ["Beam", "Frame", "Links", "Rules", "advance", "empty_beam"]


class Beam(NamedTuple):
    """The prefixes that are left, and the scores of their paths relative to the best one's."""

    blank_bk: Tensor
    """Score of the paths that end in a blank; float32."""
    token_bk: Tensor
    """Score of those that end in the prefix's last token; float32."""
    last_bk: Tensor
    """The last token, -1 if there is none; int64."""
    key_bk: Tensor
    """What tells prefixes with the same last token apart; int64."""
    state_bk: Tensor
    """The automaton's state; int64."""


class Frame(NamedTuple):
    """What a frame offers."""

    emission_bv: Tensor
    """float32, with what the silence gets beside."""
    token_bn: Tensor
    """The tokens tried."""
    tried_bn: Tensor
    """What extending by them adds; minus infinity for the blank."""
    rest_b: Tensor
    """Score of the blanks that were skipped just before; minus infinity if none was."""
    is_there_b: Tensor
    """Which utterances have the frame; to the others nothing happens."""


class Links(NamedTuple):
    """Where the paths of a beam come from.

    Its entries are 2·k for those of prefix k that end in its token, 2·k + 1 for those that end in
    a blank.
    """

    source_bkp: Tensor
    """The entry of the beam before that each entry comes from (p: 0 token, 1 blank)."""
    last_bk: Tensor
    """The prefix's last token."""
    language_bk: Tensor
    """log10 of that token's probability if it was added in this frame, else 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What does not change from frame to frame."""

    automaton: TokenAutomaton
    blank: int
    beam_size: int
    threshold: float
    lm_weight: float
    log_add: bool
    by_context: bool
    tries_all: bool
    """Whether `Frame.token_bn` is all tokens in order."""


def empty_beam(rules: Rules, num_utterances: int, device: torch.device) -> Beam:
    """The beam before the first frame: the empty prefix, and places for others."""
    shape = num_utterances, rules.beam_size
    blank_bk = torch.full(shape, -torch.inf, device=device)
    blank_bk[:, 0] = 0.0
    start = rules.automaton.start
    return Beam(
        blank_bk=blank_bk,
        token_bk=torch.full(shape, -torch.inf, device=device),
        last_bk=torch.full(shape, -1, dtype=torch.int64, device=device),
        key_bk=torch.full(shape, start, dtype=torch.int64, device=device),
        state_bk=torch.full(shape, start, dtype=torch.int64, device=device),
    )


class _Kinds(NamedTuple):
    """Scores of the two kinds of paths that something comes from."""

    blank: Tensor
    """Of those that end in a blank."""
    token: Tensor

    def single(self) -> Tensor:
        """The better one."""
        return torch.maximum(*self)

    def together(self, cut: Tensor, rules: Rules) -> Tensor:
        """Both, each left out if it is below the cut."""
        return plus(rules.log_add)(*(x.masked_fill(x < cut, -torch.inf) for x in self))


class _Extensions(NamedTuple):
    """Every prefix of the beam with every token that the frame tries."""

    score_bkn: Tensor
    single_bkn: Tensor
    """Score of the better kind of paths that it comes from."""
    entry_bkn: Tensor
    """Those paths, as in `Links`."""
    key_bkn: Tensor
    state_bkn: Tensor
    language_bkn: Tensor


class _Stays(NamedTuple):
    """The prefixes of the beam themselves."""

    blank_bk: Tensor
    token_bk: Tensor
    blank_entry_bk: Tensor
    token_entry_bk: Tensor
    language_bk: Tensor


def advance(beam: Beam, frame: Frame, rules: Rules) -> tuple[Beam, Links, Tensor]:
    """The beam after a frame, where its paths come from, and what its scores were lowered by.

    The scores are lowered so that the best is 0: float32 is then as fine after hours as it is at
    the start.
    """
    old = beam
    beam, entry_bkp = _rested(beam, frame, rules)
    extending, language_bkn, state_bkn = _extend(beam, frame, rules)
    blank_b1 = frame.emission_bv[:, rules.blank, None]
    to_blank = _Kinds(beam.blank_bk + blank_b1, beam.token_bk + blank_b1)
    longer_bk = beam.token_bk + frame.emission_bv.gather(1, beam.last_bk.clamp(min=0))

    # The threshold is held against single contributions: those below it do not count in sums.
    best_b = extending.single().amax((1, 2))
    best_b = best_b.maximum(torch.maximum(to_blank.single(), longer_bk).amax(1))
    cut_b1 = (best_b - rules.threshold)[:, None]

    token_bn = frame.token_bn[:, None, :]
    key_bkn = state_bkn if rules.by_context else extended(beam.key_bk[:, :, None], token_bn)
    extensions = _Extensions(
        score_bkn=extending.together(cut_b1[:, :, None], rules),
        single_bkn=extending.single(),
        entry_bkn=_better(extending, entry_bkp[:, :, None]),
        key_bkn=key_bkn,
        state_bkn=state_bkn,
        language_bkn=language_bkn,
    )
    stays = _Stays(
        blank_bk=to_blank.together(cut_b1, rules),
        token_bk=longer_bk.masked_fill(longer_bk < cut_b1, -torch.inf),
        blank_entry_bk=_better(to_blank, entry_bkp),
        token_entry_bk=entry_bkp[..., 0],
        language_bk=torch.zeros_like(beam.blank_bk),
    )
    extensions, stays = _joined(beam, frame, rules, extensions, stays)
    if rules.by_context:
        score_bkn = add_equal(
            extensions.key_bkn,
            extensions.score_bkn,
            extensions.single_bkn,
            log_add=rules.log_add,
        )
        extensions = extensions._replace(score_bkn=score_bkn)
    new, links, lowered_b = _select(beam, frame, rules, extensions, stays, cut_b1)
    return _where_there(frame, new, old, links, lowered_b)


def _rested(beam: Beam, frame: Frame, rules: Rules) -> tuple[Beam, Tensor]:
    """The beam after the blanks that were skipped, and which entry each kind of path has."""
    rests_b1 = (frame.rest_b > -torch.inf)[:, None]
    rest_b1 = frame.rest_b[:, None]
    total_bk = plus(rules.log_add)(beam.blank_bk, beam.token_bk) + rest_b1
    places_k = 2 * torch.arange(rules.beam_size, device=beam.blank_bk.device)
    ends_in_blank_bk = (beam.blank_bk >= beam.token_bk) | ~rests_b1
    entry_bkp = torch.stack(
        [places_k.expand_as(beam.last_bk), places_k + ends_in_blank_bk.long()], dim=2
    )
    beam = beam._replace(
        blank_bk=torch.where(rests_b1, total_bk, beam.blank_bk),
        token_bk=beam.token_bk.masked_fill(rests_b1, -torch.inf),
    )
    return beam, entry_bkp


def _better(kinds: _Kinds, entry_xp: Tensor) -> Tensor:
    return torch.where(kinds.blank >= kinds.token, entry_xp[..., 1], entry_xp[..., 0])


def _extend(beam: Beam, frame: Frame, rules: Rules) -> tuple[_Kinds, Tensor, Tensor]:
    """Every prefix with every token: its scores, the language model's part, its next state."""
    token_bn = frame.token_bn[:, None, :]
    language_bkn, state_bkn = rules.automaton.step(beam.state_bk[:, :, None], token_bn)
    shift_bkn = frame.tried_bn[:, None, :] + rules.lm_weight * language_bkn
    # The same token again is a new one only after a blank.
    repeats_bkn = token_bn == beam.last_bk[:, :, None]
    from_token_bkn = (beam.token_bk[:, :, None] + shift_bkn).masked_fill(repeats_bkn, -torch.inf)
    return _Kinds(beam.blank_bk[:, :, None] + shift_bkn, from_token_bkn), language_bkn, state_bkn


def _joined(
    beam: Beam, frame: Frame, rules: Rules, extensions: _Extensions, stays: _Stays
) -> tuple[_Extensions, _Stays]:
    """Extensions (of i) that are a prefix (j) of the beam already count there instead."""
    if rules.tries_all:
        is_tried_bj = beam.last_bk >= 0
        at_bj = beam.last_bk.clamp(min=0)
    else:
        is_last_bjn = frame.token_bn[:, None, :] == beam.last_bk[:, :, None]
        is_tried_bj, at_bj = is_last_bjn.any(2), is_last_bjn.int().argmax(2)
    is_alive_bj = torch.maximum(beam.blank_bk, beam.token_bk) > -torch.inf
    at_bij = at_bj[:, None, :].expand(-1, rules.beam_size, -1)
    same_bij = extensions.key_bkn.gather(2, at_bij) == beam.key_bk[:, None, :]
    same_bij &= (is_tried_bj & is_alive_bj)[:, None, :]

    score_bij = extensions.score_bkn.gather(2, at_bij).masked_fill(~same_bij, -torch.inf)
    single_bij = extensions.single_bkn.gather(2, at_bij).masked_fill(~same_bij, -torch.inf)
    single_bj, best_bj = single_bij.max(1)
    is_better_bj = single_bj > stays.token_bk
    score_bj = add_all(score_bij, 1, log_add=rules.log_add)

    def from_best(value_bkn: Tensor, otherwise_bj: Tensor) -> Tensor:
        value_bij = value_bkn.gather(2, at_bij)
        value_bj = value_bij.gather(1, best_bj[:, None, :])[:, 0]
        return torch.where(is_better_bj, value_bj, otherwise_bj)

    # Counted as integers: these add up to the same in any order.
    times_bkn = torch.zeros_like(extensions.key_bkn).scatter_add_(2, at_bij, same_bij.long())
    return (
        extensions._replace(score_bkn=extensions.score_bkn.masked_fill(times_bkn > 0, -torch.inf)),
        stays._replace(
            token_bk=plus(rules.log_add)(stays.token_bk, score_bj),
            token_entry_bk=from_best(extensions.entry_bkn, stays.token_entry_bk),
            language_bk=from_best(extensions.language_bkn, stays.language_bk),
        ),
    )


def _select(
    beam: Beam,
    frame: Frame,
    rules: Rules,
    extensions: _Extensions,
    stays: _Stays,
    cut_b1: Tensor,
) -> tuple[Beam, Links, Tensor]:
    """The best hypotheses, of stays and extensions together."""
    num_places = rules.beam_size
    rank_bk = torch.maximum(stays.blank_bk, stays.token_bk)
    rank_bx = torch.cat([rank_bk, extensions.score_bkn.flatten(1)], dim=1)
    chosen_bk = rank_bx.topk(num_places, dim=1).indices
    stays_bk = chosen_bk < num_places
    stay_bk = chosen_bk.clamp(max=num_places - 1)
    extension_bk = (chosen_bk - num_places).clamp(min=0)

    def choose(of_stay_bk: Tensor, of_extension_bkn: Tensor) -> Tensor:
        extended_bk = of_extension_bkn.flatten(1).gather(1, extension_bk)
        return torch.where(stays_bk, of_stay_bk.gather(1, stay_bk), extended_bk)

    blank_bk = stays.blank_bk.gather(1, stay_bk).masked_fill(~stays_bk, -torch.inf)
    token_bk = choose(stays.token_bk, extensions.score_bkn)
    # Both kinds of paths of these prefixes are twice as many hypotheses as may stay.
    both_bx = torch.cat([blank_bk, token_bk], dim=1)
    lowest_b1 = both_bx.topk(num_places, dim=1).values[:, -1:].maximum(cut_b1)
    high_b1 = both_bx.amax(1, keepdim=True)
    high_b1 = high_b1.masked_fill(high_b1 == -torch.inf, 0.0)
    last_bk = choose(beam.last_bk, frame.token_bn[:, None, :].expand_as(extensions.key_bkn))
    token_entry_bk = choose(stays.token_entry_bk, extensions.entry_bkn)
    blank_entry_bk = stays.blank_entry_bk.gather(1, stay_bk)
    new = Beam(
        blank_bk=blank_bk.masked_fill(blank_bk < lowest_b1, -torch.inf) - high_b1,
        token_bk=token_bk.masked_fill(token_bk < lowest_b1, -torch.inf) - high_b1,
        last_bk=last_bk,
        key_bk=choose(beam.key_bk, extensions.key_bkn),
        state_bk=choose(beam.state_bk, extensions.state_bkn),
    )
    links = Links(
        source_bkp=torch.stack([token_entry_bk, blank_entry_bk], dim=2),
        last_bk=last_bk,
        language_bk=choose(stays.language_bk, extensions.language_bkn),
    )
    return new, links, high_b1[:, 0]


def _where_there(
    frame: Frame, new: Beam, old: Beam, links: Links, lowered_b: Tensor
) -> tuple[Beam, Links, Tensor]:
    """The beam as it was, and links to itself, where an utterance has no such frame."""
    is_there_b1 = frame.is_there_b[:, None]
    entries_x = torch.arange(2 * new.last_bk.shape[1], device=new.last_bk.device)
    itself_bkp = entries_x.reshape(1, -1, 2)
    return (
        Beam(*(torch.where(is_there_b1, *pair) for pair in zip(new, old, strict=True))),
        Links(
            source_bkp=torch.where(is_there_b1[:, :, None], links.source_bkp, itself_bkp),
            last_bk=links.last_bk,  # no one asks what was said in a frame that is not there
            language_bk=links.language_bk.masked_fill(~is_there_b1, 0.0),
        ),
        lowered_b.masked_fill(~frame.is_there_b, 0.0),
    )
