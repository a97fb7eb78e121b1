"""Beam search over a model that makes one token after another, for a batch of inputs at once.

Axes: b input, k hypothesis, v token of all, x candidate of a step, t place in a sequence; rows, of
which the model sees b · k, are r.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor

from sestina.core.errors import InvalidValueError, NonFiniteError, OptionError, ShapeError
from sestina.decoding.batched.automaton import TokenAutomaton
from sestina.tensors import check_dtype

__all__ = ["BatchedSeq2SeqDecoder", "BatchedSeq2SeqOptions", "TokenSequence"]

_DTYPES = (torch.float16, torch.bfloat16, torch.float64, torch.float32)

Cache = TypeVar("Cache")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchedSeq2SeqOptions:
    """Options of a `BatchedSeq2SeqDecoder`.

    Raises:
        OptionError: if one is out of its range.
    """

    beam_size: int = 5
    """Hypotheses kept after each token, and finished ones kept at the end."""
    max_length: int = 200
    """Tokens of a sequence at most, its end included."""
    length_penalty: float = 1.0
    """A finished sequence is ranked by its score over its length to this power, its end counted."""
    early_stopping: bool | Literal["never"] = False
    """When an input's search ends: with beam_size finished sequences (True); when the best one
    under way, ended now, would not be among these (False); or when even one that lasts to
    max_length would not ("never"). As in Hugging Face's `generate`."""
    eos_score: float = 0.0
    """Added where a sequence ends."""
    lm_weight: float = 1.0
    """What the language model's log10 scores are multiplied with."""

    def __post_init__(self) -> None:
        """Checks the ranges."""
        self._check("beam_size", 1 <= self.beam_size <= 10_000, "1 to 10,000")
        self._check("max_length", self.max_length >= 1, "at least 1")
        stops = self.early_stopping in (True, False, "never")
        self._check("early_stopping", stops, "True, False or 'never'")
        for name in ("length_penalty", "eos_score", "lm_weight"):
            self._check(name, abs(getattr(self, name)) <= 1e6, "-1e6 to 1e6")

    def _check(self, name: str, holds: bool, expected: str) -> None:  # noqa: FBT001  a claim
        if not holds:
            raise OptionError(
                name, getattr(self, name), expected=expected, remedy="choose one in this range"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSequence:
    """What a search has found."""

    tokens: tuple[int, ...]
    """Without the start and the end."""
    score: float
    """What it was ranked by: the sum of all scores over its length to the power of the penalty."""
    finished: bool
    """Whether it came to its end before max_length."""


class _Running(NamedTuple):
    """Hypotheses under way, best first."""

    score_bk: Tensor
    token_bkt: Tensor
    state_bk: Tensor


class _Finished(NamedTuple):
    """The best sequences so far, best first; of score minus infinity where there are fewer."""

    score_bk: Tensor
    token_bkt: Tensor
    length_bk: Tensor
    ended_bk: Tensor


class _Candidates(NamedTuple):
    """Hypotheses with one token more, best first."""

    score_bx: Tensor
    from_bx: Tensor
    token_bx: Tensor
    state_bx: Tensor


class BatchedSeq2SeqDecoder(Generic[Cache]):
    """Finds the sequences that a model of the next token gives the highest scores.

    Args:
        step: `step(token_r, cache)` takes the last token of each row and what the model remembers
            of the rows, and returns the logits of the next one, (row, token), and the new cache.
            Whatever the logits' base, they are normalised to probabilities in float32.
        reorder: `reorder(cache, row_r)` returns the cache whose row r is row `row_r[r]` of the
            given one. The first call spreads the cache of the inputs over the hypotheses.
        end: the token that ends a sequence.
        options: of the search.
        automaton: an n-gram model of the tokens whose scores are added, or None for none.

    Raises:
        InvalidValueError: if `end` is no token's index.

    Example:
        >>> import torch
        >>> from sestina.decoding.batched import BatchedSeq2SeqDecoder
        >>> logits_tv = torch.tensor([[0.0, 1, 2, 3], [0, 3, 1, 1], [5, 0, 0, 0]])  # 0 ends
        >>> decoder = BatchedSeq2SeqDecoder(
        ...     lambda token_r, place: (logits_tv[place].expand(len(token_r), -1), place + 1),
        ...     lambda place, row_r: place,
        ...     end=0,
        ... )
        >>> decoder.decode(0, torch.tensor([0]))[0][0].tokens
        (3, 1)
    """

    def __init__(
        self,
        step: Callable[[Tensor, Cache], tuple[Tensor, Cache]],
        reorder: Callable[[Cache, Tensor], Cache],
        *,
        end: int,
        options: BatchedSeq2SeqOptions | None = None,
        automaton: TokenAutomaton | None = None,
    ) -> None:
        most = "" if automaton is None else f" below {automaton.num_tokens}"
        if end < 0 or (automaton is not None and end >= automaton.num_tokens):
            raise InvalidValueError(
                "end",
                end,
                expected=f"the index of a token{most}",
                remedy="pass the model's end-of-sequence token",
            )
        self._step = step
        self._reorder = reorder
        self._end = end
        self._options = options or BatchedSeq2SeqOptions()
        self._automaton = automaton

    @property
    def options(self) -> BatchedSeq2SeqOptions:
        """What the search was asked for."""
        return self._options

    @torch.no_grad()
    def decode(self, cache: Cache, start_b: Tensor, *, nbest: int = 1) -> list[list[TokenSequence]]:
        """The best sequences for each input, best first.

        Args:
            cache: what the model knows of the inputs before the first step; a row for each.
            start_b: (input,) the token before the first, int64; its device is the search's.
            nbest: how many of each at most.

        Raises:
            DtypeError, ShapeError: if `start_b` or the logits are of another type or shape.
            NonFiniteError: if the logits hold NaN, or nothing else than minus infinity.
        """
        if nbest < 1:
            raise InvalidValueError(
                "nbest", nbest, expected="at least 1", remedy="ask for one or more"
            )
        check_dtype("start_b", start_b, (torch.int64,))
        if start_b.ndim != 1:
            raise ShapeError(
                "start_b",
                tuple(start_b.shape),
                expected="(input,)",
                remedy="pass one token for each input",
            )
        num_inputs, num_places = len(start_b), self._options.beam_size
        if num_inputs == 0:
            return []
        row_r = torch.arange(num_inputs, device=start_b.device).repeat_interleave(num_places)
        cache, last_r = self._reorder(cache, row_r), start_b[row_r]
        running, finished = self._begin(num_inputs, start_b.device)
        open_b = torch.ones(num_inputs, dtype=torch.bool, device=start_b.device)
        for length in range(1, self._options.max_length + 1):
            logits_rv, cache = self._step(last_r, cache)
            self._check_logits(logits_rv, len(row_r))
            candidates = self._candidates(running, logits_rv.float())
            ends_bx = candidates.token_bx == self._end
            finished = self._finish(candidates, running, finished, ends_bx, open_b, length)
            running, from_bk = self._continue(candidates, running, ends_bx, length)
            open_b &= self._is_open(running, finished, length)
            # The one look at values in a step: whether to go on, and whether anything is wrong.
            goes_on, is_wrong = torch.stack(
                [open_b.any(), candidates.score_bx.isnan().any()]
            ).tolist()
            if is_wrong:
                raise NonFiniteError(
                    f"logits of step {length}",
                    "NaN, or minus infinity for all tokens",
                    expected="a number or minus infinity for each token",
                    remedy="look at what the model was given",
                )
            if not goes_on:
                break
            offset_b1 = num_places * torch.arange(num_inputs, device=start_b.device)[:, None]
            cache = self._reorder(cache, (offset_b1 + from_bk).flatten())
            last_r = running.token_bkt[:, :, length - 1].flatten()
        return _read(finished, nbest)

    def _begin(self, num_inputs: int, device: torch.device) -> tuple[_Running, _Finished]:
        shape = num_inputs, self._options.beam_size
        none_bk = torch.full(shape, -torch.inf, device=device)
        token_bkt = torch.zeros(
            (*shape, self._options.max_length), dtype=torch.int64, device=device
        )
        score_bk = none_bk.clone()
        score_bk[:, 0] = 0.0
        start = self._automaton.start if self._automaton else 0
        state_bk = torch.full(shape, start, dtype=torch.int64, device=device)
        finished = _Finished(none_bk, token_bkt, torch.zeros_like(state_bk), none_bk > 0)
        return _Running(score_bk, token_bkt, state_bk), finished

    def _check_logits(self, logits_rv: Tensor, num_rows: int) -> None:
        check_dtype("logits", logits_rv, _DTYPES)
        num_tokens = self._automaton.num_tokens if self._automaton else None
        fits = logits_rv.ndim == 2 and len(logits_rv) == num_rows
        fits = fits and (num_tokens is None or logits_rv.shape[1] == num_tokens)
        if not fits or logits_rv.shape[1] <= max(self._end, 1):
            known = num_tokens or f"more than {max(self._end, 1)}"
            raise ShapeError(
                "logits",
                tuple(logits_rv.shape),
                expected=f"({num_rows} rows, {known} tokens)",
                remedy="return the scores of the next token only, for each row",
            )

    def _candidates(self, running: _Running, logits_rv: Tensor) -> _Candidates:
        """The best hypotheses with one token more, twice as many as may stay: some will end."""
        options, automaton = self._options, self._automaton
        num_tokens = logits_rv.shape[1]
        score_bkv = logits_rv.log_softmax(1).reshape(*running.score_bk.shape, num_tokens)
        token_v = torch.arange(num_tokens, device=logits_rv.device)
        if automaton is not None:
            language_bkv, state_bkv = automaton.step(running.state_bk[:, :, None], token_v)
            ending_bk1 = automaton.ending[running.state_bk][:, :, None]
            language_bkv = torch.where(token_v == self._end, ending_bk1, language_bkv)
            score_bkv = score_bkv + options.lm_weight * language_bkv
        if options.eos_score != 0.0:
            score_bkv = score_bkv + options.eos_score * (token_v == self._end)
        score_by = (running.score_bk[:, :, None] + score_bkv).flatten(1)
        score_bx, place_bx = score_by.topk(2 * options.beam_size, dim=1)
        from_bx = place_bx // num_tokens
        if automaton is not None:
            state_bx = state_bkv.flatten(1).gather(1, place_bx)
        else:
            state_bx = running.state_bk.gather(1, from_bx)
        return _Candidates(score_bx, from_bx, place_bx % num_tokens, state_bx)

    def _finish(
        self,
        candidates: _Candidates,
        running: _Running,
        finished: _Finished,
        ends_bx: Tensor,
        open_b: Tensor,
        length: int,
    ) -> _Finished:
        """The finished sequences, with those that end now among the beam_size best candidates."""
        num_places = self._options.beam_size
        ends_bk = ends_bx[:, :num_places]
        stops_bk = ends_bk | (length == self._options.max_length)
        score_bk = candidates.score_bx[:, :num_places] / math.pow(
            length, self._options.length_penalty
        )
        score_bk = score_bk.masked_fill(~(stops_bk & open_b[:, None]), -torch.inf)
        token_bkt = _extended(running, candidates, length)[:, :num_places]
        ended = _Finished(
            score_bk=score_bk,
            token_bkt=token_bkt,
            length_bk=torch.where(ends_bk, length - 1, length),
            ended_bk=ends_bk,
        )
        together = _Finished(
            *(torch.cat(pair, dim=1) for pair in zip(finished, ended, strict=True))
        )
        score_bk, place_bk = together.score_bk.topk(num_places, dim=1)
        return _Finished(score_bk, *(_choose(one, place_bk) for one in together[1:]))

    def _continue(
        self, candidates: _Candidates, running: _Running, ends_bx: Tensor, length: int
    ) -> tuple[_Running, Tensor]:
        """The best candidates that do not end, and which hypotheses they come from."""
        score_bx = candidates.score_bx.masked_fill(ends_bx, -torch.inf)
        score_bk, place_bk = score_bx.topk(self._options.beam_size, dim=1)
        token_bxt = _extended(running, candidates, length)
        going = _Running(
            score_bk=score_bk,
            token_bkt=_choose(token_bxt, place_bk),
            state_bk=candidates.state_bx.gather(1, place_bk),
        )
        return going, candidates.from_bx.gather(1, place_bk)

    def _is_open(self, running: _Running, finished: _Finished, length: int) -> Tensor:
        """Whether what is under way for an input may still change what is found for it."""
        options = self._options
        is_full_b = finished.score_bk[:, -1] > -torch.inf
        if options.early_stopping is True:
            return ~is_full_b
        lasts = options.early_stopping == "never" and options.length_penalty > 0
        longest = options.max_length if lasts else length
        highest_b = running.score_bk[:, 0] + max(options.eos_score, 0.0)
        divisor = math.pow(longest, options.length_penalty)
        return highest_b / divisor > finished.score_bk[:, -1]


def _choose(value_bx: Tensor, place_bk: Tensor) -> Tensor:
    """The values at these places, whatever further axes they have."""
    further = value_bx.shape[2:]
    index = place_bk.reshape(*place_bk.shape, *[1] * len(further)).expand(-1, -1, *further)
    return value_bx.gather(1, index)


def _extended(running: _Running, candidates: _Candidates, length: int) -> Tensor:
    """The tokens of the candidates."""
    token_bxt = _choose(running.token_bkt, candidates.from_bx)
    token_bxt[:, :, length - 1] = candidates.token_bx
    return token_bxt


def _read(finished: _Finished, nbest: int) -> list[list[TokenSequence]]:
    columns = (one[:, :nbest].tolist() for one in finished)
    return [
        [
            TokenSequence(tokens=tuple(tokens[:length]), score=score, finished=ended)
            for score, tokens, length, ended in zip(*one, strict=True)
            if score > -torch.inf
        ]
        for one in zip(*columns, strict=True)
    ]
