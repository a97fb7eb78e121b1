"""Beam search with a lexicon or without, and a language model."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sestina.core.errors import InvalidValueError, NoReadingError, OptionError, ShapeError
from sestina.decoding import _native
from sestina.decoding.checks import MOST, check_count, check_kind
from sestina.decoding.emissions import as_array, as_emissions, as_lengths, as_transitions
from sestina.decoding.hotword_scores import HotwordScores
from sestina.decoding.language_models import LanguageModel, NgramModel
from sestina.decoding.lattice import LATTICE_SPELLINGS, Lattice, usual_posteriors
from sestina.decoding.lexicon import Lexicon
from sestina.decoding.options import DecoderOptions
from sestina.decoding.phrases import (
    Grammar,
    allowing,
    as_hotwords,
    boosting,
    symbols_of,
    words_of,
)
from sestina.decoding.results import Hypothesis, Naming, Parts
from sestina.decoding.search_options import search_options
from sestina.decoding.sources import shared
from sestina.decoding.spelled_words import SpelledWords
from sestina.decoding.stream import Stream
from sestina.decoding.tokens import Tokens

__all__ = ["Decoder"]


_LARGEST_CARRIED = 1e30
"""A score that rides on the language model, by its weight; sums of these are float32."""
_SAMPLED_TOKENS = 1000


class Decoder:
    """Turns emissions into words or tokens; immutable, so that threads may share one.

    Args:
        vocabulary: the words and their spellings; or the tokens, to search without a lexicon.
        lm: a language model, e.g. of `read_lm`, or None for none. Of words where there is a lexicon
            and the options do not say otherwise, else of tokens.
        options: of the search; with `DecoderOptions()` if not given.
        transitions: (token, token before it) natural logarithms, added for going from one token to
            another; of the ASG criterion also for staying. Minus infinity forbids. With CTC and a
            lexicon they count within words.
        hotwords: words or phrases that are to be found more easily, with a score (natural
            logarithm) for each time that they are. Those that the lexicon lacks are spelled with
            their letters.
        grammar: what alone may be said: phrases of which a result is one, or an automaton.

    Raises:
        OptionError: if a token that the options name does not exist.
        InvalidValueError: if `lm` is no language model, or another argument of the wrong kind.
        ShapeError, NonFiniteError: for transitions that do not fit the tokens, or are no numbers.

    Example:
        >>> import numpy as np
        >>> from sestina.decoding import Decoder, Lexicon, Tokens
        >>> tokens = Tokens(["-", "|", "a", "b"])
        >>> lexicon = Lexicon.from_spellings({"ab": "a b |", "ba": "b a |"}, tokens)
        >>> emissions_tn = np.log([[.1, .1, .7, .1], [.1, .1, .1, .7], [.1, .7, .1, .1]])
        >>> best = Decoder(lexicon).decode(emissions_tn)[0]
        >>> best.text, best.words[0].start, best.words[0].end, round(best.score, 3)
        ('ab', 0, 2, -1.07)
        >>> Decoder(tokens).decode(emissions_tn)[0].text
        'ab'
    """

    def __init__(
        self,
        vocabulary: Lexicon | Tokens,
        lm: LanguageModel | None = None,
        options: DecoderOptions | None = None,
        *,
        transitions: Any = None,
        hotwords: Mapping[str, float] | None = None,
        grammar: Grammar | Collection[str] | None = None,
    ) -> None:
        check_kind("vocabulary", vocabulary, Lexicon | Tokens, "a Lexicon or Tokens")
        check_kind("lm", lm, LanguageModel | None, "a LanguageModel of read_lm, or None")
        check_kind("options", options, DecoderOptions | None, "DecoderOptions, or None")
        self._options = options or DecoderOptions()
        self._vocabulary = vocabulary
        self._tokens = vocabulary if isinstance(vocabulary, Tokens) else vocabulary.tokens
        # Words of pieces are then known by their texts, and the search is one of tokens.
        self._spells_pieces = self._options.open_vocabulary and self._tokens.spelling != "letters"
        self._lexicon: Lexicon | None = None
        if isinstance(vocabulary, Lexicon) and not self._spells_pieces:
            self._lexicon = vocabulary
        elif self._options.open_vocabulary and not self._spells_pieces:
            self._lexicon = Lexicon.from_spellings({}, self._tokens)
        self._lm = lm
        self._transitions = _transitions(transitions, len(self._tokens))
        self._hotwords = as_hotwords(hotwords)
        self._grammar = (
            grammar if isinstance(grammar, Grammar | None) else Grammar.of_phrases(grammar)
        )
        self._make_phrases = self._phrases_maker()
        self._phrases = None if self._make_phrases is None else self._make_phrases()
        has_lexicon = self._lexicon is not None
        self._posteriors = usual_posteriors(has_lexicon=has_lexicon, has_lm=lm is not None)
        self._naming = Naming(
            tokens=self._tokens,
            # No method of this object, which would then live until cycles are looked for.
            word=partial(_word, self._lexicon, self._options.unk_word),
            blank=self._named(self._options.blank) if self._options.criterion == "ctc" else "",
            silence=self._named(self._options.silence),
            spelling="none" if self._lexicon is not None else self._tokens.spelling,
            unknown=len(self._lexicon or ())
            if has_lexicon and self._options.open_vocabulary
            else -1,
        )
        self._hotword_scores = self._made_hotword_scores()
        self._spelled_words = None
        if self._spells_pieces:
            self._spelled_words = SpelledWords(vocabulary, lm, self._options, self._lm_weight)
        self._native = self._made_native()
        self._warn_of_words()

    def _warn_of_words(self) -> None:
        """A model of words in a search of tokens finds nothing that anyone has said."""
        if self._lexicon is not None or self._spells_pieces or not isinstance(self._lm, NgramModel):
            return
        said = [name for name in self._tokens if name != self._naming.blank][:_SAMPLED_TOKENS]
        known = sum(name in self._lm for name in said)
        if 2 * known < len(said):
            warnings.warn(
                f"the language model knows {known} of {len(said)} tokens; without a lexicon it is "
                "asked about tokens, so give it one of tokens, or an open vocabulary",
                stacklevel=3,
            )

    def _named(self, token: str) -> str:
        """The first name of a token, which may have several."""
        return self._tokens[self._tokens.index(token)] if token in self._tokens else token

    def _made_native(self) -> _native.Decoder:
        names = list(self._tokens)
        flat, options = self._transitions.ravel(), self._search_options()
        model = self._lm.native if self._lm is not None else _native.NoModel()
        if self._spelled_words is not None:
            model = self._spelled_words.model(model, options)
        if self._lexicon is None:
            return _native.Decoder(model, names, options, flat, self._phrases)
        return _native.Decoder(
            self._lexicon.native,
            model,
            names,
            getattr(_native.Smearing, self._options.smearing),
            options,
            flat,
            self._bonuses(self._lexicon),
            self._phrases,
        )

    def _phrases_maker(self) -> Callable[[], _native.PhraseAutomaton] | None:
        """What makes the phrases; the lexicon becomes that of the words that they need."""
        if self._hotwords and self._grammar is not None:
            raise OptionError(
                "hotwords",
                tuple(self._hotwords),
                expected="none beside a grammar",
                remedy="a grammar leaves nothing to boost",
            )
        by_word = self._lexicon is not None and self._options.lm_level == "word"
        silence = self._named(self._options.silence)
        separator = "" if by_word else silence
        if self._lexicon is not None:
            needed = [word for phrase in self._hotwords for word in words_of(phrase)]
            # An open vocabulary of letters begins without words that could show how theirs end.
            end = None if isinstance(self._vocabulary, Lexicon) else silence
            if self._grammar is not None:
                self._lexicon = self._lexicon.with_words(self._grammar.words, end)
                self._lexicon = self._lexicon.only(self._grammar.words)
            self._lexicon = self._lexicon.with_words(needed, end)
        if self._grammar is not None:
            tokens = None if by_word else self._tokens
            return partial(allowing, self._grammar, tokens=tokens, separator=separator)
        if not self._hotwords:
            return None
        phrases = {
            symbols_of(phrase, None if by_word else self._tokens, separator): score
            / (self._lm_weight or 1.0)
            for phrase, score in self._hotwords.items()
        }
        if max(map(abs, phrases.values())) > _LARGEST_CARRIED:
            raise OptionError(
                "lm_weight",
                self._options.lm_weight,
                expected="a weight that can carry the hotwords' scores",
                remedy="leave the language model out, or give it more weight",
            )
        return partial(boosting, phrases, separator=separator)

    def _made_hotword_scores(self) -> HotwordScores | None:
        if self._phrases is None or not self._hotwords:
            return None
        has_lm, weight = self._lm is not None or self._spells_pieces, self._lm_weight
        return HotwordScores(
            self._phrases, weight, has_lm, self._lexicon, self._tokens, self._options
        )

    @property
    def _lm_weight(self) -> float:
        """Of the model with what it carries; a model of no weight carries nothing."""
        weight = self._options.lm_weight
        if not self._hotwords and not self._spells_pieces:
            return weight
        if self._lm is None:
            return 1.0
        if weight <= 0:
            carried = "hotwords" if self._hotwords else "pieces in an open vocabulary"
            raise OptionError(
                "lm_weight",
                weight,
                expected=f"above 0 with {carried}",
                remedy="or leave the lm out",
            )
        return weight

    def _bonuses(self, lexicon: Lexicon) -> NDArray[np.float32]:
        score = self._options.word_length_score
        if not score:
            return np.zeros(0, dtype=np.float32)
        return np.array(
            [score * len(lexicon.word(n)) for n in range(len(lexicon))], dtype=np.float32
        )

    def _search_options(self) -> _native.SearchOptions:
        return search_options(
            self._options,
            self._tokens,
            self._lexicon,
            has_lm=self._lm is not None,
            lm_weight=self._lm_weight,
            spells_pieces=self._spells_pieces,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles its parts, which pickle the paths and digests of their files."""
        return _made_again, (
            self._vocabulary,
            self._lm,
            self._options,
            self._transitions,
            self._hotwords,
            self._grammar,
        )

    @property
    def make_phrases(self) -> Callable[[], _native.PhraseAutomaton] | None:
        """What makes the automaton of the hotwords or the grammar, if there is one; it pickles."""
        return self._make_phrases

    @property
    def vocabulary(self) -> Lexicon | Tokens:
        """The lexicon that it was made with, or the tokens."""
        return self._vocabulary

    @property
    def tokens(self) -> Tokens:
        """The columns of its emissions."""
        return self._tokens

    @property
    def lm(self) -> LanguageModel | None:
        """The language model, if there is one."""
        return self._lm

    @property
    def options(self) -> DecoderOptions:
        """What the search was asked for."""
        return self._options

    @property
    def native(self) -> _native.Decoder:
        """As the compiled search has it."""
        return self._native

    def decode(
        self, emissions_tn: Any, *, nbest: int = 1, confidence: bool = False
    ) -> list[Hypothesis]:
        """The best readings of one utterance, best first.

        Args:
            emissions_tn: (frame, token) natural logarithms of probabilities; see `as_emissions`.
            nbest: how many readings at most.
            confidence: whether their words come with it; see `Lattice.confidences`.

        Raises:
            ShapeError, DtypeError, NonFiniteError: for emissions that can't be read.
            InvalidValueError: if no reading has a probability above 0.
        """
        utterances = [self._checked(emissions_tn)]
        return self._decode(utterances, nbest, threads=1, confidence=confidence)[0]

    def decode_batch(
        self,
        emissions_btn: Any,
        lengths: Any = None,
        *,
        nbest: int = 1,
        threads: int = 1,
        confidence: bool = False,
    ) -> list[list[Hypothesis]]:
        """The best readings of each utterance; the same ones whatever the number of threads.

        Args:
            emissions_btn: (utterance, frame, token), or a sequence of (frame, token).
            lengths: (utterance,) frames of each one, for the former; all frames if not given.
                What lies beyond is not looked at.
            nbest: how many readings of each at most.
            threads: how many work at once.
            confidence: whether their words come with it; see `Lattice.confidences`.

        Raises:
            ShapeError, DtypeError, NonFiniteError: for emissions that can't be read.
            InvalidValueError: if an utterance has no reading with a probability above 0.
        """
        utterances = emissions_btn
        if not isinstance(emissions_btn, Sequence):
            batch, width = as_array(emissions_btn), len(self._tokens)
            if batch.ndim != 3:
                raise ShapeError(
                    "emissions",
                    batch.shape,
                    expected=f"(utterance, frame, token) with {width} tokens",
                    remedy="a single utterance goes to decode",
                )
            frames = as_lengths(lengths, num_utterances=batch.shape[0], num_frames=batch.shape[1])
            utterances = [one[:length] for one, length in zip(batch, frames, strict=True)]
        elif lengths is not None:
            raise InvalidValueError(
                "lengths",
                lengths,
                expected="none for a sequence, whose utterances have lengths of their own",
                remedy="leave them out, or stack the utterances to one array",
            )
        given = [self._checked(one, f"emissions[{k}]") for k, one in enumerate(utterances)]
        return self._decode(given, nbest, threads=threads, confidence=confidence)

    def lattice(
        self,
        emissions_tn: Any,
        *,
        beam: float | None = None,
        max_spellings: int = LATTICE_SPELLINGS,
    ) -> Lattice:
        """All readings of one utterance that the search kept.

        It takes memory for each frame, some 10 KiB at a beam of 50: for utterances, not for hours.

        Args:
            emissions_tn: (frame, token) natural logarithms of probabilities; see `as_emissions`.
            beam: how far below the best path others may score; 20, or 8 without a lexicon.
            max_spellings: how many ways to spell a word so far are kept where the search does not
                tell them apart: only without a lexicon, if it merges by the model's states.

        Raises:
            ShapeError, DtypeError, NonFiniteError: for emissions that can't be read.
            InvalidValueError: if no reading is possible, `beam` negative, `max_spellings` below 1.
        """
        checked = self._checked(emissions_tn)
        usual_beam, scale = self._posteriors
        beam = usual_beam if beam is None else beam
        if not beam >= 0:
            raise InvalidValueError(
                "beam", beam, expected="at least 0", remedy="choose 5 to 20, or leave it out"
            )
        check_count("max_spellings", max_spellings)
        native = self._native.lattice(checked, beam, min(max_spellings, MOST))
        if native is None:
            raise _no_reading("emissions", len(checked))
        return Lattice(native, self._naming, scale, self._parts)

    def stream(self) -> Stream:
        """A search that takes its emissions in pieces."""
        return Stream(self._native.search(), self._checked, self._read)

    def _checked(self, emissions_tn: Any, name: str = "emissions") -> NDArray[np.float32]:
        return as_emissions(emissions_tn, num_axes=2, num_tokens=len(self._tokens), name=name)

    def _decode(
        self,
        utterances: list[NDArray[np.float32]],
        nbest: int,
        *,
        threads: int,
        confidence: bool,
    ) -> list[list[Hypothesis]]:
        check_count("nbest", nbest)
        check_count("threads", threads)
        nbest, threads = min(nbest, MOST), min(threads, len(utterances) or 1)
        found: list[list[tuple[Any, ...]]]
        if confidence:
            sure = self._native.decode_with_confidences(
                utterances, nbest, threads, *self._posteriors, LATTICE_SPELLINGS
            )
            found = [[(*one, shares) for one, shares in hypotheses] for hypotheses in sure]
        else:
            found = [*self._native.decode(utterances, nbest, threads)]
        return [
            self._read(hypotheses, len(one), f"emissions of utterance {place}")
            for place, (hypotheses, one) in enumerate(zip(found, utterances, strict=True))
        ]

    def _read(self, found: list[Any], num_frames: int, name: str) -> list[Hypothesis]:
        if not found:
            raise _no_reading(name, num_frames)
        return [self._hypothesis(one, num_frames) for one in found]

    def _hypothesis(self, found: tuple[Any, ...], num_frames: int) -> Hypothesis:
        score, acoustic, carried, path, *sure = found
        return Hypothesis(
            score=score,
            acoustic_score=acoustic,
            carried_score=carried,
            path=path,
            num_frames=num_frames,
            naming=self._naming,
            confidences=tuple(min(1.0, share) for share in sure[0]) if sure else None,
            parts=self._parts,
        )

    @property
    def _parts(self) -> Parts | None:
        carries_more = self._hotword_scores is not None or self._spelled_words is not None
        return self._parted if carries_more else None

    def _parted(self, found: Hypothesis) -> tuple[float, float]:
        language, hotwords = found.carried_score, 0.0
        if self._hotword_scores is not None:
            language, hotwords = self._hotword_scores.parted(language, found.path)
        if self._spelled_words is not None:
            language = self._spelled_words.parted(language, found.words)
        return language, hotwords


def _word(lexicon: Lexicon | None, unk_word: str, number: int) -> str:
    # One number more than there are words stands for those that the lexicon lacks.
    return lexicon.word(number) if lexicon is not None and number < len(lexicon) else unk_word


def _transitions(given: Any, num_tokens: int) -> NDArray[np.float32]:
    if given is None:
        return np.zeros((0, 0), dtype=np.float32)
    return as_transitions(given, num_tokens)


def _made_again(
    vocabulary: Lexicon | Tokens,
    lm: LanguageModel | None,
    options: DecoderOptions,
    transitions: NDArray[np.float32],
    hotwords: Mapping[str, float],
    grammar: Grammar | None,
) -> Decoder:
    # Its parts are shared already, so that equal ones are the same.
    key = pickle.dumps((options, transitions, hotwords, grammar))
    decoder: Decoder = shared(
        (Decoder, vocabulary, lm, key),
        lambda: Decoder(
            vocabulary,
            lm,
            options,
            transitions=transitions if transitions.size else None,
            hotwords=hotwords,
            grammar=grammar,
        ),
    )
    return decoder


def _no_reading(name: str, num_frames: int) -> NoReadingError:
    return NoReadingError(
        name,
        f"{num_frames} frames",
        expected="scores that leave some reading a probability above 0",
        remedy="look for frames of minus infinity, or widen the beam",
    )
