"""Neural language models: a module of torch, or a causal model of Hugging Face's transformers.

A module of its own, since it loads torch; transformers is loaded when a model of it is used.

Both are asked once per frame for all hypotheses, and `Decoder.decode_batch` with more threads than
processors gathers what several utterances ask (see `BatchedLanguageModel`). A model's last bits may
depend on what else is in a batch, and so may the scores.
"""

from __future__ import annotations

import inspect
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from sestina.core.errors import InvalidValueError
from sestina.core.extras import import_extra
from sestina.decoding.custom_models import BatchedLanguageModel

__all__ = ["HuggingFaceLanguageModel", "TorchLanguageModel"]

_UNKNOWN_SCORE = -100.0  # as of an ARPA file without <unk>
_ROWS_BYTES = 1 << 27  # of distributions that are remembered
Row = NDArray[np.float32]


class _Rows:
    """The distributions (log10, by id) after the states that were asked last."""

    def __init__(self) -> None:
        self._rows: OrderedDict[Hashable, Row] = OrderedDict()
        # Decoders that share a model may ask from several threads.
        self._at_work = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return _Rows, ()

    def of(
        self, states: Sequence[Hashable], compute: Callable[[list[Any]], list[Row]]
    ) -> dict[Hashable, Row]:
        """Of each state; `compute` is asked for those that are not remembered."""
        with self._at_work:
            return self._found(states, compute)

    def _found(
        self, states: Sequence[Hashable], compute: Callable[[list[Any]], list[Row]]
    ) -> dict[Hashable, Row]:
        distinct = dict.fromkeys(states)
        new = [state for state in distinct if state not in self._rows]
        found = dict(zip(new, compute(new), strict=True)) if new else {}
        for state in distinct:
            if state not in found:
                self._rows.move_to_end(state)
                found[state] = self._rows[state]
        for state in new:
            self._rows[state] = found[state]
        while len(self._rows) > 1 and len(self._rows) * found[states[0]].nbytes > _ROWS_BYTES:
            self._rows.popitem(last=False)
        return found


class TorchLanguageModel(BatchedLanguageModel):
    """A module that gives logits of the next id: of words, or of tokens in a search of tokens.

    Args:
        module: from ids (batch, position), int64, to logits (batch, position, id). It must not look
            ahead: rows are filled up behind their ends. In evaluation mode.
        vocabulary: the word (or token) of each id.
        begin: the word that is put before each sentence.
        end: the word whose probability ends a sentence; None if that has none.
        unknown: what words that the vocabulary lacks are taken for. If it lacks that, too, they
            score -100 and the state stays as it is.
        context: how many ids at the end the module is given, `begin` among them at first; all if
            None. Hypotheses that agree in them are one.
        device: of the module.
        batch_size: how many sequences the module gets at a time.

    Raises:
        InvalidValueError: if `begin` or `end` is not in the vocabulary, or the module is being
            trained.

    Example:
        >>> import torch
        >>> from sestina.decoding.neural import TorchLanguageModel
        >>> bigrams = torch.nn.Embedding(4, 4)  # logits that only the last id decides
        >>> lm = TorchLanguageModel(bigrams.eval(), ["<s>", "</s>", "a", "b"])
        >>> row = torch.log_softmax(bigrams(torch.tensor(0)), 0) / torch.log(torch.tensor(10.0))
        >>> abs(lm.scores(["a"])[0] - row[2].item()) < 1e-6
        True
    """

    def __init__(
        self,
        module: Callable[[torch.Tensor], torch.Tensor],
        vocabulary: Sequence[str],
        *,
        begin: str = "<s>",
        end: str | None = "</s>",
        unknown: str = "<unk>",
        context: int | None = None,
        device: torch.device | str = "cpu",
        batch_size: int = 256,
    ) -> None:
        _check_evaluating(module)
        self._ids = {word: number for number, word in enumerate(vocabulary)}
        for name, word in (("begin", begin), ("end", end)):
            if word is not None and word not in self._ids:
                raise InvalidValueError(
                    name, word, expected="a word of the vocabulary", remedy="name the module's own"
                )
        _check_at_least_one("context", context if context is not None else 1)
        _check_at_least_one("batch_size", batch_size)
        self._module = module
        self._begin = self._ids[begin]
        self._end = None if end is None else self._ids[end]
        self._unknown = self._ids.get(unknown)
        self._context = context
        self._device = torch.device(device)
        self._batch_size = batch_size
        self._rows = _Rows()

    def __contains__(self, word: str) -> bool:
        """Whether the vocabulary has the word."""
        return word in self._ids

    def start(self) -> tuple[int, ...]:
        """The id that is put before each sentence."""
        return (self._begin,)

    def score_batch(
        self, states: list[tuple[int, ...]], words: list[str]
    ) -> tuple[Row, list[tuple[int, ...]]]:
        """See `BatchedLanguageModel`; states are the ids so far."""
        rows = self._rows.of(states, self._computed)
        ids = [self._ids.get(word, self._unknown) for word in words]
        scores = [
            _UNKNOWN_SCORE if number is None else rows[state][number]
            for state, number in zip(states, ids, strict=True)
        ]
        after = [
            state if number is None else self._cut((*state, number))
            for state, number in zip(states, ids, strict=True)
        ]
        return np.array(scores, np.float32), after

    def finish_batch(self, states: list[tuple[int, ...]]) -> Row:
        """See `BatchedLanguageModel`."""
        if self._end is None:
            return np.zeros(len(states), np.float32)
        rows = self._rows.of(states, self._computed)
        return np.array([rows[state][self._end] for state in states], np.float32)

    def _cut(self, state: tuple[int, ...]) -> tuple[int, ...]:
        return state if self._context is None else state[-self._context :]

    def _computed(self, states: list[tuple[int, ...]]) -> list[Row]:
        rows: list[Row] = []
        for first in range(0, len(states), self._batch_size):
            rows += self._computed_batch(states[first : first + self._batch_size])
        return rows

    @torch.inference_mode()
    def _computed_batch(self, states: list[tuple[int, ...]]) -> list[Row]:
        lengths = torch.tensor([len(state) for state in states])
        ids_bt = torch.zeros(len(states), int(lengths.max()), dtype=torch.int64)
        for row, state in zip(ids_bt, states, strict=True):
            row[: len(state)] = torch.tensor(state)
        logits_btv = self._module(ids_bt.to(self._device))
        expected = (*ids_bt.shape, len(self._ids))
        if logits_btv.shape != expected:
            raise InvalidValueError(
                "the module's result",
                tuple(logits_btv.shape),
                expected=f"logits of shape {expected}",
                remedy="give the vocabulary of the module, or a module of the vocabulary",
            )
        last_bv = logits_btv[torch.arange(len(states)), lengths.to(self._device) - 1]
        return list(_log10(last_bv))


class _Said:
    """Tokens that were said: the last one, and where those before it are.

    What is the same is one object, while anything refers to it.
    """

    __slots__ = ("__weakref__", "after", "before", "key_values", "length", "token")

    def __init__(self, token: int, before: _Said | None) -> None:
        self.token = token
        self.before = before
        self.length: int = 1 if before is None else before.length + 1
        self.after: WeakValueDictionary[int, _Said] = WeakValueDictionary()
        self.key_values: torch.Tensor | None = None  # (layer, 2, head, feature) of the token

    def __reduce__(self) -> tuple[Any, ...]:
        return _Said, (self.token, self.before)

    def then(self, token: int) -> _Said:
        """The same and one token more."""
        found = self.after.get(token)
        if found is None:
            found = self.after[token] = _Said(token, self)
        return found


class HuggingFaceLanguageModel(BatchedLanguageModel):
    """A causal language model of Hugging Face's transformers, for a search of words.

    A word scores what its tokens do, one after the other. What the model computed of the tokens
    before is kept with each hypothesis, so that a token is computed once. Look-ahead asks for every
    word of the lexicon at the start of a sentence: with thousands of words say `smearing="none"`.

    Args:
        model: e.g. of `AutoModelForCausalLM.from_pretrained(folder)`; in evaluation mode.
        tokenizer: its tokenizer.
        text_of: what the model would write for a word of the lexicon, e.g. `str.lower`.
        begin: the token before each sentence; the tokenizer's own if None.
        end: the token whose probability ends a sentence; -1 if that has none, and the tokenizer's
            own if None.
        batch_size: how many hypotheses the model gets at a time.

    Raises:
        InvalidValueError: if the tokenizer has no such tokens, or the model is being trained.
        MissingExtraError: without transformers, which the extra `decoding-transformers` brings.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        text_of: Callable[[str], str] = str,
        begin: int | None = None,
        end: int | None = None,
        batch_size: int = 64,
    ) -> None:
        transformers = import_extra("transformers", extra="decoding-transformers")
        _check_evaluating(model)
        _check_at_least_one("batch_size", batch_size)
        self._model = model
        self._tokenizer = tokenizer
        self._new_cache: Callable[[], Any] = transformers.DynamicCache
        # The name changed within version 5.
        parameters = inspect.signature(model.forward).parameters
        self._cache_name = "cache" if "cache" in parameters else "past_key_values"
        self._text_of = text_of
        own_end = tokenizer.eos_token_id
        own_begin = own_end if tokenizer.bos_token_id is None else tokenizer.bos_token_id
        self._begin = _token("begin", own_begin if begin is None else begin)
        self._end = _token("end", own_end if end is None else end)
        self._batch_size = batch_size
        self._most_tokens = getattr(model.config, "max_position_embeddings", None)
        self._pieces: dict[tuple[str, bool], list[int]] = {}
        self._root = _Said(self._begin, None)
        self._rows = _Rows()

    def start(self) -> _Said:
        """The token before each sentence."""
        return self._root

    def score_batch(self, states: list[_Said], words: list[str]) -> tuple[list[float], list[_Said]]:
        """See `BatchedLanguageModel`; states are the tokens so far."""
        scores, after = [0.0] * len(states), list(states)
        left = {}
        for place, (state, word) in enumerate(zip(states, words, strict=True)):
            if word == "<unk>":
                scores[place] = _UNKNOWN_SCORE
            else:
                left[place] = self._tokens_of(word, first=state is self._root)
        depth = 0
        # The first tokens of all words, then the second ones of those that have more, and so on.
        while left:
            rows = self._rows.of([after[place] for place in left], self._computed)
            for place, tokens in left.items():
                scores[place] += float(rows[after[place]][tokens[depth]])
                after[place] = after[place].then(tokens[depth])
            depth += 1
            left = {place: tokens for place, tokens in left.items() if len(tokens) > depth}
        return scores, after

    def finish_batch(self, states: list[_Said]) -> Row:
        """See `BatchedLanguageModel`."""
        if self._end < 0:
            return np.zeros(len(states), np.float32)
        rows = self._rows.of(states, self._computed)
        return np.array([rows[state][self._end] for state in states], np.float32)

    def _tokens_of(self, word: str, *, first: bool) -> list[int]:
        key = (word, first)
        if key not in self._pieces:
            text = self._text_of(word)
            tokens = self._encoded(text)
            if not first:
                # Tokenizers differ in how they write the space before a word.
                before = self._encoded("a")
                tokens = self._encoded(f"a {text}")[len(before) :]
            if not tokens:
                raise InvalidValueError(
                    "word", word, expected="one that has tokens", remedy="give another text_of"
                )
            self._pieces[key] = tokens
        return self._pieces[key]

    def _encoded(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def _computed(self, states: list[_Said]) -> list[Row]:
        rows: list[Row] = []
        for first in range(0, len(states), self._batch_size):
            rows += self._computed_batch(states[first : first + self._batch_size])
        return rows

    @torch.inference_mode()
    def _computed_batch(self, states: list[_Said]) -> list[Row]:
        """The rows after these; what was computed of the tokens before theirs is known."""
        device = self._model.device
        most = max(state.length for state in states)
        if self._most_tokens is not None and most > self._most_tokens:
            raise InvalidValueError(
                "the length of a hypothesis",
                most,
                expected=f"at most the model's {self._most_tokens} tokens",
                remedy="decode shorter utterances",
            )
        cache = self._new_cache()
        inputs = {
            self._cache_name: cache,
            "input_ids": torch.tensor([[state.token] for state in states], device=device),
            "position_ids": torch.tensor([[state.length - 1] for state in states], device=device),
        }
        if most > 1:
            mask_bt = torch.zeros(len(states), most, dtype=torch.int64)
            for row, state in zip(mask_bt, states, strict=True):
                row[most - state.length :] = 1
            inputs["attention_mask"] = mask_bt.to(device)
            for layer, (keys_bhtf, values_bhtf) in enumerate(_gathered(states, most - 1)):
                cache.update(keys_bhtf, values_bhtf, layer)
        found = self._model(**inputs, use_cache=True)
        # Of each layer what belongs to the new token, which is the last one.
        layers = [
            torch.stack([layer.keys[:, :, -1], layer.values[:, :, -1]], 1) for layer in cache.layers
        ]
        for state, key_values in zip(states, torch.stack(layers, 1), strict=True):
            state.key_values = key_values.clone()  # or it would keep the whole batch alive
        return list(_log10(found.logits[:, -1]))


def _gathered(states: list[_Said], length: int) -> torch.Tensor:
    """(layer, 2, batch, head, position, feature) of all tokens but the last, zeros in front."""
    rows: list[torch.Tensor | None] = []
    for state in states:
        said, tokens = state.before, []
        while said is not None:
            assert said.key_values is not None
            tokens.append(said.key_values)
            said = said.before
        if tokens:
            row = torch.stack(tokens[::-1], -2)
            rows.append(torch.nn.functional.pad(row, (0, 0, length - len(tokens), 0)))
        else:
            rows.append(None)
    like = next(row for row in rows if row is not None)
    return torch.stack([torch.zeros_like(like) if row is None else row for row in rows], 2)


def _log10(logits_bv: torch.Tensor) -> Row:
    log_probs_bv = torch.log_softmax(logits_bv.float(), -1) / math.log(10)
    # Rounding may leave what is certain a little above 0.
    rows: Row = log_probs_bv.clamp(max=0.0).cpu().numpy()
    return rows


def _check_evaluating(module: object) -> None:
    if getattr(module, "training", False):
        raise InvalidValueError(
            "module",
            type(module).__name__,
            expected="a module in evaluation mode, whose scores are always the same",
            remedy="call its eval()",
        )


def _check_at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise InvalidValueError(name, value, expected="at least 1", remedy="pass one or more")


def _token(name: str, value: int | None) -> int:
    if value is None:
        raise InvalidValueError(
            name,
            value,
            expected="a token, as the tokenizer names none of its own",
            remedy=f"pass {name}=<its id>",
        )
    return value
