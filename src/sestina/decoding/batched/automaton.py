"""An n-gram model of tokens as tensors: states, arcs and back-offs, asked for many at once."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sestina.core.errors import InvalidValueError
from sestina.decoding import _native
from sestina.decoding.language_models import LanguageModel, NgramModel
from sestina.decoding.reading import naming_path
from sestina.decoding.tokens import Tokens

__all__ = ["TokenAutomaton"]

# Tables of every state and token cost 8 bytes an entry and make a step one look-up.
_MOST_TABLE_ENTRIES = 2**23
_CHUNK = 2**18


class TokenAutomaton:
    """What a model says of each token after each context, for tensors of contexts and tokens.

    A state is a context, 0 the empty one. Arcs are sorted by state and token; where there is none,
    the state's back-off weight is added and the shorter context asked. Small models are spread
    into a table of all states and tokens. Immutable.

    Args:
        lm: an n-gram model whose words are the tokens; None for a model without any opinion.
        tokens: the tokens; those whose names the model lacks are its unknown word.
        device: where the tensors live.
        table: whether to spread the arcs into a table; if None, where it stays below 64 MiB.

    Raises:
        InvalidValueError: if `lm` is no n-gram model.
        FileFormatError: if it is one of KenLM's hash tables, whose n-grams can't be listed.
    """

    def __init__(
        self,
        lm: LanguageModel | None,
        tokens: Tokens,
        device: torch.device,
        *,
        table: bool | None = None,
    ) -> None:
        self.num_tokens = len(tokens)
        self.start = 0
        self.ending = torch.zeros(1, device=device)  # (state,) log10 of an end after it
        self._table: tuple[Tensor, Tensor] | None = (
            torch.zeros(self.num_tokens, device=device),
            torch.zeros(self.num_tokens, dtype=torch.int64, device=device),
        )
        if lm is None:
            return
        self._table = None
        self._take(lm, tokens, device)
        num_entries = len(self._backoff) * self.num_tokens
        if num_entries <= _MOST_TABLE_ENTRIES if table is None else table:
            self._table = self._spread()

    def _take(self, lm: LanguageModel, tokens: Tokens, device: torch.device) -> None:
        native = _listable(lm)
        flat = native.automaton()
        words = [
            native.word(tokens[index].encode(errors="surrogateescape"))
            for index in range(len(tokens))
        ]
        # Only the arcs of words that are tokens, or the end, matter; tokens may share a word.
        kept = np.unique([*words, native.end_of_sentence])
        place = np.full(len(flat.unigram_scores), -1)
        place[kept] = np.arange(len(kept))
        arcs = np.flatnonzero(place[flat.arc_words] >= 0)
        keys = flat.arc_states[arcs].astype(np.int64) * len(kept) + place[flat.arc_words[arcs]]
        order = np.argsort(keys)

        def tensor(values: np.ndarray, dtype: torch.dtype) -> Tensor:
            return torch.from_numpy(np.array(values)).to(device=device, dtype=dtype)

        self.start = native.start(True)  # noqa: FBT003  the extension's positional argument
        self._num_levels = native.order - 1
        self._num_words = len(kept)
        self._backoff = tensor(flat.backoffs, torch.float32)
        self._shorter = tensor(flat.shorter, torch.int64)
        self._unigram_score = tensor(flat.unigram_scores[kept], torch.float32)
        self._unigram_next = tensor(flat.unigram_next[kept], torch.int64)
        # One arc that nothing asks for, so that a search never falls off the end.
        last = np.iinfo(np.int64).max
        self._arc_key = tensor(np.append(keys[order], last), torch.int64)
        self._arc_score = tensor(np.append(flat.arc_scores[arcs][order], 0.0), torch.float32)
        self._arc_next = tensor(np.append(flat.arc_next[arcs][order], 0), torch.int64)
        self._word = tensor(place[words], torch.int64)
        states = torch.arange(len(self._backoff), device=device)
        end = int(place[native.end_of_sentence])
        self.ending = self._follow(states, torch.full_like(states, end))[0]

    def step(self, state_x: Tensor, token_x: Tensor) -> tuple[Tensor, Tensor]:
        """log10 of the probability of each token after each context, and the context after it.

        Args:
            state_x: any shape, int64.
            token_x: int64, of a shape that broadcasts with it.
        """
        if self._table is not None:
            entry_x = state_x * self.num_tokens + token_x
            return self._table[0][entry_x], self._table[1][entry_x]
        state_x, word_x = torch.broadcast_tensors(state_x, self._word[token_x])
        return self._follow(state_x, word_x)

    def _follow(self, state_x: Tensor, word_x: Tensor) -> tuple[Tensor, Tensor]:
        score_x = torch.zeros(state_x.shape, device=state_x.device)
        next_x = torch.full_like(state_x, -1)
        # As many steps as a context can be shortened, whether or not any needs them all: no look
        # at the data decides, so nothing waits for the device.
        for _ in range(self._num_levels):
            key_x = state_x * self._num_words + word_x
            arc_x = torch.searchsorted(self._arc_key, key_x)
            open_x = next_x < 0
            found_x = open_x & (self._arc_key[arc_x] == key_x)
            more_x = torch.where(found_x, self._arc_score[arc_x], self._backoff[state_x])
            score_x = torch.where(open_x, score_x + more_x, score_x)
            next_x = torch.where(found_x, self._arc_next[arc_x], next_x)
            state_x = self._shorter[state_x]
        open_x = next_x < 0
        score_x = torch.where(open_x, score_x + self._unigram_score[word_x], score_x)
        return score_x, torch.where(open_x, self._unigram_next[word_x], next_x)

    def _spread(self) -> tuple[Tensor, Tensor]:
        states = torch.arange(len(self._backoff), device=self._backoff.device)
        words = self._word[None, :]
        parts = [
            self._follow(*torch.broadcast_tensors(some[:, None], words))
            for some in states.split(max(1, _CHUNK // self.num_tokens))
        ]
        scores, following = zip(*parts, strict=True)
        return torch.cat(scores).flatten(), torch.cat(following).flatten()


def _listable(lm: LanguageModel) -> _native.NgramModel:
    if not isinstance(lm, NgramModel):
        raise InvalidValueError(
            "lm",
            lm,
            expected="an n-gram model or None",
            remedy="read one with read_lm; other models are for Decoder",
        )
    native = lm.native
    if isinstance(native, _native.KenlmModel):
        with naming_path("lm"):
            return native.compile()
    return native
