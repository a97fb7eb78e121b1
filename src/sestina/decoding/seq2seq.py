"""Beam search for models that say one token after another: attention decoders, translation.

The model stays in Python: a callback that scores all hypotheses at once. Everything else, from the
choice of tokens to the language model, is compiled.

The compiled search is driven step by step: `rows()` gives the last token and the parent row of each
hypothesis that goes on, `step(scores)` takes a row of scores for each, until `rows()` is empty or
the sequences are long enough; `finish(count)` gives what was found. With `semantics="flashlight"`
and `merge="history"` that is what `decode_step(emissions, T, N)` of Flashlight's decoders does,
`update` standing for `update_func(emissions, N, T, prev_tokens, prev_beam_idx, prev_states, t)`. A
null out-state is a row of minus infinity. A result of Flashlight has max_output_length + 3 places:
-1s, the path, and the end repeated until the last step that was taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sestina.core.errors import (
    DtypeError,
    InvalidValueError,
    NonFiniteError,
    OptionError,
    ShapeError,
)
from sestina.decoding import _native
from sestina.decoding.emissions import as_array
from sestina.decoding.language_models import LanguageModel
from sestina.decoding.lexicon import Lexicon
from sestina.decoding.options import check_types
from sestina.decoding.tokens import Tokens

__all__ = ["BatchUpdate", "Seq2SeqDecoder", "Seq2SeqHypothesis", "Seq2SeqOptions", "Update"]

Numbers: TypeAlias = NDArray[np.int32]
States: TypeAlias = Sequence[Any] | None
Update: TypeAlias = Callable[[Numbers, Numbers, States, int], tuple[Any, States]]
BatchUpdate: TypeAlias = Callable[[Numbers, Numbers, States, int, Numbers], tuple[Any, States]]

_LARGEST = 1e6  # of a score: far beyond what makes sense, far from where sums lose their digits
_MOST = 2**31 - 1  # of hypotheses, as the compiled search counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Seq2SeqOptions:
    """Options of a `Seq2SeqDecoder`. Scores of the model are natural logarithms, of the LM log10.

    Raises:
        OptionError: if one is out of its range.
    """

    beam_size: int = 50
    """Hypotheses kept after each step, finished ones included."""
    beam_size_token: int | None = None
    """Tokens tried for each hypothesis, its best ones; all of them if not given."""
    beam_threshold: float = 50.0
    """How far below the best one of its step a hypothesis may score."""
    lm_weight: float = 2.0
    """What the language model's log10 scores are multiplied with."""
    word_score: float = 0.0
    """Added for each word; needs a lexicon."""
    token_score: float = 0.0
    """Added for each token but the end."""
    eos_score: float = 0.0
    """Added for the end."""
    length_penalty: float = 0.0
    """Scores are divided by (number of tokens with the end) to this power: above 0, longer ones win
    more often. Finished hypotheses compete by what comes out."""
    log_add: bool = False
    """Whether the scores of hypotheses that become one add up; else the best one counts."""
    smearing: Literal["none", "max", "logadd"] = "max"
    """How a part of a word foresees the language model's scores of the words it can become."""
    merge: Literal["tokens", "history", "context"] = "tokens"
    """Hypotheses become one if all their tokens and words are the same (`tokens`), if the language
    model has read the same (`history`, as Flashlight does), or if it cannot tell them apart any
    more (`context`). Only the first is exact, as the model's state depends on every token: the
    others go on with the state of the better one. Finished ones of the same words always become
    one."""
    lm_level: Literal["word", "token"] = "word"
    """What the language model is one of. Without a lexicon it is always one of tokens."""
    semantics: Literal["exact", "flashlight"] = "exact"
    """`flashlight` gives its results: hypotheses that are not finished are results, too, and with a
    language model of tokens only the first of several words with one spelling is found."""

    def __post_init__(self) -> None:
        """Checks the types and ranges."""
        check_types(self)
        self._check("beam_size", 1 <= self.beam_size <= 1_000_000, "1 to 1,000,000")
        self._check(
            "beam_size_token",
            self.beam_size_token is None or self.beam_size_token >= 1,
            "at least 1, or none for all tokens",
        )
        self._check("beam_threshold", self.beam_threshold >= 0, "at least 0")
        for name in ("lm_weight", "word_score", "token_score", "eos_score"):
            self._check(name, abs(getattr(self, name)) <= _LARGEST, "-1e6 to 1e6")
        self._check("length_penalty", abs(self.length_penalty) <= 10, "-10 to 10")

    def _check(self, name: str, holds: bool, expected: str) -> None:  # noqa: FBT001  a claim
        if not holds:
            raise OptionError(
                name, getattr(self, name), expected=expected, remedy="choose one in this range"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Seq2SeqHypothesis:
    """What a model has said, and how it scores."""

    score: float
    """What it was ranked by."""
    acoustic_score: float
    """The sum of the model's scores of its tokens."""
    language_score: float
    """The sum of the language model's log10 scores, not weighted."""
    finished: bool
    """Whether it has come to its end, rather than to the longest that was allowed."""
    path: NDArray[np.int32]
    """(token, 2): each token, the end included, and the number of the word it completes or -1."""
    vocabulary: Lexicon | Tokens

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Its tokens, without the end."""
        known = _tokens_of(self.vocabulary)
        spoken = self.path[: len(self.path) - self.finished, 0]
        return tuple(known[token] for token in spoken.tolist())

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words that it completed.

        Without a lexicon they are what `|` or a space parts, or pieces begin: `▁` begins a word (as
        SentencePiece has it), `##` goes on with one (as WordPiece does).
        """
        if isinstance(self.vocabulary, Lexicon):
            completed = self.path[:, 1]
            return tuple(map(self.vocabulary.word, completed[completed >= 0].tolist()))
        spelling = self.vocabulary.spelling
        if spelling == "wordpiece":
            spelled = " ".join(self.tokens).replace(" ##", "").removeprefix("##")
        else:
            spelled = "".join(self.tokens)
            spelled = spelled.replace("▁" if spelling == "sentencepiece" else "|", " ")
        return tuple(spelled.split())

    @cached_property
    def text(self) -> str:
        """The words, parted by spaces."""
        return " ".join(self.words)

    def __repr__(self) -> str:
        """What it says, and its score."""
        return f"Seq2SeqHypothesis({self.text!r}, score={self.score:.3f})"


class Seq2SeqDecoder:
    """Finds what a model would rather say than anything else; immutable, for any number of threads.

    Args:
        vocabulary: the words and their spellings, or the tokens if any sequence may be said.
        lm: a language model, e.g. of `read_lm`, or None for none. Of words where there is a lexicon
            and the options do not say otherwise, else of tokens.
        options: of the search; with `Seq2SeqOptions()` if not given.
        eos: the token that ends a sequence. With a lexicon it ends no sequence within a word.
        start: the token that the callback is given before the first one; -1 if none.

    Raises:
        UnknownNameError: if `eos` or `start` is no token.
        InvalidValueError: if `lm` is no language model, or a spelling contains `eos`.
        OptionError: if an option needs a lexicon and there is none.

    Example:
        >>> import numpy as np
        >>> from sestina.decoding import Seq2SeqDecoder, Tokens
        >>> after = {-1: [.1, .6, .3], 1: [.2, .1, .7], 2: [.8, .1, .1]}  # p(</s>), p(a), p(b)
        >>> def update(tokens, parents, states, step):
        ...     return np.log([after[token] for token in tokens.tolist()]), None
        >>> decoder = Seq2SeqDecoder(Tokens(["</s>", "a", "b"]), eos="</s>")
        >>> best = decoder.decode(update, max_length=10)[0]
        >>> best.text, round(best.score, 3)
        ('ab', -1.091)
    """

    def __init__(
        self,
        vocabulary: Lexicon | Tokens,
        lm: LanguageModel | None = None,
        options: Seq2SeqOptions | None = None,
        *,
        eos: str,
        start: str | None = None,
    ) -> None:
        if not isinstance(lm, LanguageModel | None):
            raise InvalidValueError(
                "lm", lm, expected="a LanguageModel or None", remedy="read one with read_lm"
            )
        if not isinstance(options, Seq2SeqOptions | None):
            raise InvalidValueError(
                "options",
                options,
                expected="Seq2SeqOptions or None",
                remedy="make them with Seq2SeqOptions(...)",
            )
        self._vocabulary = vocabulary
        self._options = options or Seq2SeqOptions()
        self._tokens = tokens = _tokens_of(vocabulary)
        self._start = -1 if start is None else tokens.index(start)
        made = self._native_options()
        made.eos = tokens.index(eos)
        if isinstance(vocabulary, Lexicon):
            _check_spellings(vocabulary, eos, made.eos)
        self._native = _native.Seq2SeqDecoder(
            vocabulary.native if isinstance(vocabulary, Lexicon) else None,
            [tokens[index] for index in range(len(tokens))],
            lm.native if lm is not None else _native.NoModel(),
            getattr(_native.Smearing, self._options.smearing),
            made,
        )

    def _native_options(self) -> _native.Seq2SeqOptions:
        options, made = self._options, _native.Seq2SeqOptions()
        if isinstance(self._vocabulary, Tokens) and options.word_score:
            raise OptionError(
                "word_score",
                options.word_score,
                expected="0 where there are no words",
                remedy="pass a Lexicon, or use token_score",
            )
        for name in (
            *("beam_size", "beam_threshold", "lm_weight", "word_score", "token_score"),
            *("eos_score", "length_penalty", "log_add"),
        ):
            setattr(made, name, getattr(options, name))
        made.token_lm = options.lm_level == "token"
        made.beam_size_token = min(options.beam_size_token or 0, len(self._tokens))
        made.joining = getattr(_native.Joining, options.merge)
        made.flashlight = options.semantics == "flashlight"
        return made

    @property
    def vocabulary(self) -> Lexicon | Tokens:
        """What may be said."""
        return self._vocabulary

    @property
    def options(self) -> Seq2SeqOptions:
        """What the search was asked for."""
        return self._options

    def decode(self, update: Update, *, max_length: int, nbest: int = 1) -> list[Seq2SeqHypothesis]:
        """The best sequences, best first.

        Finished ones only, unless none is; of the rest `finished` is false. The model is asked no
        further once no hypothesis can come before those that are finished.

        Args:
            update: called once a step as `update(tokens, parents, states, step)`, for the k
                hypotheses that go on, best first. `tokens` (k,) are their last ones, `parents` (k,)
                their rows in the last call (-1 in the first), `states` the list of what that call
                gave those rows (None in the first), `step` counts from 0. Returns scores and
                states: (k, token) natural logarithms of probabilities in any floating-point array
                on the CPU; and one object for each row, or None if it needs none or keeps them
                itself and orders them by `parents`. States go once no hypothesis needs them.
            max_length: how many tokens at most, the end included.
            nbest: how many sequences at most.

        Raises:
            ShapeError, DtypeError, NonFiniteError: for scores or states that can't be used.
            InvalidValueError: for a number below its range.
            Exception: whatever `update` raises; the decoder can be used on.
        """

        def update_one(
            tokens: Numbers, parents: Numbers, states: States, step: int, _: Numbers
        ) -> tuple[Any, States]:
            return update(tokens, parents, states, step)

        return self.decode_batch(update_one, 1, max_length=max_length, nbest=nbest)[0]

    def decode_batch(
        self,
        update: BatchUpdate,
        num_utterances: int,
        *,
        max_length: int | Sequence[int],
        nbest: int = 1,
    ) -> list[list[Seq2SeqHypothesis]]:
        """The best sequences of several utterances, with one call a step for all of them.

        Args:
            update: as for `decode`, with one argument more, `utterances` (k,): which one each
                hypothesis belongs to. Rows of an utterance are side by side; utterances that are
                finished have none.
            num_utterances: how many there are.
            max_length: how many tokens at most, the end included; of each one, or of all.
            nbest: how many sequences of each at most.

        Raises:
            ShapeError, DtypeError, NonFiniteError, InvalidValueError, Exception: as `decode` does.
        """
        _check_at_least("nbest", nbest, 1)
        lengths, count = _lengths(max_length, num_utterances), min(nbest, _MOST)
        searches = [self._native.search() for _ in range(num_utterances)]
        first_rows = [0] * num_utterances  # of each utterance in the last call
        states: States = None
        for step in range(max(lengths, default=0)):
            going = []
            for place, search in enumerate(searches):
                last, parents = search.rows()
                settled = search.settled(count, lengths[place])
                if step < lengths[place] and len(last) and not settled:
                    going.append((place, search, last, parents + np.int32(first_rows[place])))
            if not going:
                break
            places, _, lasts, origins = zip(*going, strict=True)
            tokens, parents = np.concatenate(lasts), np.concatenate(origins)
            utterances = np.repeat(np.array(places, np.int32), list(map(len, lasts)))
            if step == 0:
                tokens[:], parents[:] = self._start, -1
            # What no hypothesis needs any more has no name left, and can go.
            if step == 0:
                states = [None] * len(tokens)
            elif states is not None:
                states = [states[row] for row in parents.tolist()]
            scores, states = self._checked(
                update(tokens, parents, states, step, utterances), len(tokens), step
            )
            row = 0
            for place, search, last, _ in going:
                self._advance(search, scores[row : row + len(last)], row, step)
                first_rows[place] = row
                row += len(last)
        return [[self._hypothesis(found) for found in search.finish(count)] for search in searches]

    def _checked(
        self, returned: Any, num_rows: int, step: int
    ) -> tuple[NDArray[np.float32], States]:
        """Scores and states of a call, if they are as they should be."""
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise InvalidValueError(
                f"the result of update in step {step}",
                type(returned).__name__,
                expected="a pair: scores and states",
                remedy="return (scores, None) if the model needs no states",
            )
        scores, states = as_array(returned[0], name="scores"), returned[1]
        wanted = (num_rows, len(self._tokens))
        if scores.shape != wanted:
            raise ShapeError(
                f"scores of step {step}",
                scores.shape,
                expected=f"{wanted}: (hypothesis, token)",
                remedy="score every token after each of the hypotheses given",
            )
        if not np.issubdtype(scores.dtype, np.floating):
            raise DtypeError(
                f"scores of step {step}",
                scores.dtype,
                expected="floating-point numbers",
                remedy="return the logarithms of the probabilities, e.g. log_softmax of the logits",
            )
        if states is not None and len(states) != num_rows:
            raise ShapeError(
                f"states of step {step}",
                (len(states),),
                expected=f"({num_rows},): one for each hypothesis",
                remedy="return a list as long as the tokens, or None",
            )
        with np.errstate(over="ignore"):  # what is beyond float32 becomes infinite, and is refused
            return np.ascontiguousarray(scores, dtype=np.float32), states

    def _advance(
        self, search: _native.Seq2SeqSearch, scores: NDArray[np.float32], row: int, step: int
    ) -> None:
        place = search.step(scores)
        if place is not None:
            raise NonFiniteError(
                f"scores of step {step}[{row + place[0]}, {place[1]}]",
                float(scores[place]),
                expected="a number or minus infinity",
                remedy="look at what the model was given",
            )

    def _hypothesis(
        self, found: tuple[float, float, float, bool, NDArray[np.int32]]
    ) -> Seq2SeqHypothesis:
        score, acoustic, language, finished, path = found
        return Seq2SeqHypothesis(
            score=score,
            acoustic_score=acoustic,
            language_score=language,
            finished=finished,
            path=path,
            vocabulary=self._vocabulary,
        )


def _tokens_of(vocabulary: Lexicon | Tokens) -> Tokens:
    return vocabulary.tokens if isinstance(vocabulary, Lexicon) else vocabulary


def _check_spellings(lexicon: Lexicon, eos: str, index: int) -> None:
    word = _native.word_spelled_with(lexicon.native, index)
    if word >= 0:
        raise InvalidValueError(
            "lexicon",
            f"one where {lexicon.word(word)!r} is spelled with {eos!r}",
            expected="spellings without the token that ends a sequence",
            remedy="drop it from the spellings: the search adds it where a sequence ends",
        )


def _lengths(max_length: Any, num_utterances: int) -> list[int]:
    """The longest that each utterance may become."""
    several = isinstance(max_length, Sequence | np.ndarray)
    lengths: list[Any] = [*max_length] if several else [max_length] * num_utterances
    if len(lengths) != num_utterances:
        raise ShapeError(
            "max_length",
            (len(lengths),),
            expected=f"one number, or one for each of {num_utterances} utterances",
            remedy="pass as many lengths as there are utterances",
        )
    for length in lengths:
        _check_at_least("max_length", length, 1)
    return lengths


def _check_at_least(name: str, value: Any, least: int) -> None:
    if not isinstance(value, Integral) or value < least:
        raise InvalidValueError(
            name, value, expected=f"at least {least}, an integer", remedy="ask for one or more"
        )
