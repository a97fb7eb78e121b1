"""Beam search with a lexicon and a language model."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sestina.core.errors import InvalidValueError, OptionError
from sestina.decoding import _native
from sestina.decoding.emissions import as_emissions, as_lengths
from sestina.decoding.language_models import LanguageModel
from sestina.decoding.lexicon import Lexicon
from sestina.decoding.options import DecoderOptions
from sestina.decoding.results import Hypothesis, Naming
from sestina.decoding.sources import shared

__all__ = ["Decoder", "Stream"]

_MOST = 2**31 - 1  # of hypotheses, as the compiled search counts


class Decoder:
    """Turns emissions into words; immutable, so that threads may share one.

    Args:
        lexicon: the words and their spellings.
        lm: a language model of words, e.g. of `read_arpa`, or None for none.
        options: of the search; with `DecoderOptions()` if not given.

    Raises:
        OptionError: if a token that the options name does not exist.
        InvalidValueError: if `lm` is no language model.

    Example:
        >>> import numpy as np
        >>> from sestina.decoding import Decoder, Lexicon, Tokens
        >>> tokens = Tokens(["-", "|", "a", "b"])
        >>> lexicon = Lexicon.from_spellings({"ab": "a b |", "ba": "b a |"}, tokens)
        >>> emissions_tn = np.log([[.1, .1, .7, .1], [.1, .1, .1, .7], [.1, .7, .1, .1]])
        >>> best = Decoder(lexicon).decode(emissions_tn)[0]
        >>> best.text, best.words[0].start, best.words[0].end, round(best.score, 3)
        ('ab', 0, 2, -1.07)
    """

    def __init__(
        self,
        lexicon: Lexicon,
        lm: LanguageModel | None = None,
        options: DecoderOptions | None = None,
    ) -> None:
        if not isinstance(lm, LanguageModel | None):
            raise InvalidValueError(
                "lm", lm, expected="a LanguageModel or None", remedy="read one with read_arpa"
            )
        self._lexicon = lexicon
        self._lm = lm
        self._options = options or DecoderOptions()
        self._naming = Naming(
            tokens=lexicon.tokens,
            word=self._word,
            blank=self._options.blank,
            silence=self._options.silence,
        )
        self._native = _native.Decoder(
            lexicon.native,
            lm.native if lm is not None else _native.NoModel(),
            getattr(_native.Smearing, self._options.smearing),
            len(lexicon.tokens),
            self._native_options(),
        )

    def _native_options(self) -> _native.SearchOptions:
        options, tokens = self._options, self._lexicon.tokens
        made = _native.SearchOptions()
        for name in ("beam_size", "beam_threshold", "lm_weight", "word_score", "unk_score"):
            setattr(made, name, getattr(options, name))
        made.sil_score, made.log_add = options.sil_score, options.log_add
        made.beam_size_token = min(options.beam_size_token or 0, len(tokens))
        made.merge = getattr(_native.Merge, options.merge)
        made.flashlight = options.semantics == "flashlight"
        for name, spelling in (("blank", options.blank), ("silence", options.silence)):
            if not spelling:
                continue
            if spelling not in tokens:
                raise OptionError(
                    name, spelling, expected=f"one of {tokens}", remedy="name the model's own"
                )
            setattr(made, name, tokens.index(spelling))
        known = self._lexicon.index(options.unk_word)
        made.unk_word = len(self._lexicon) if known is None else known
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles its parts, which pickle the paths and digests of their files."""
        return _made_again, (self._lexicon, self._lm, self._options)

    @property
    def lexicon(self) -> Lexicon:
        """The words and their spellings."""
        return self._lexicon

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

    def decode(self, emissions_tn: Any, *, nbest: int = 1) -> list[Hypothesis]:
        """The best readings of one utterance, best first.

        Args:
            emissions_tn: (frame, token) natural logarithms of probabilities; see `as_emissions`.
            nbest: how many readings at most.

        Raises:
            ShapeError, DtypeError, NonFiniteError: for emissions that can't be read.
            InvalidValueError: if no reading has a probability above 0.
        """
        return self._decode([self._checked(emissions_tn)], nbest, threads=1)[0]

    def decode_batch(
        self, emissions_btn: Any, lengths: Any = None, *, nbest: int = 1, threads: int = 1
    ) -> list[list[Hypothesis]]:
        """The best readings of each utterance; the same ones whatever the number of threads.

        Args:
            emissions_btn: (utterance, frame, token), or a sequence of (frame, token).
            lengths: (utterance,) frames of each one, for the former; all frames if not given.
            nbest: how many readings of each at most.
            threads: how many work at once.

        Raises:
            ShapeError, DtypeError, NonFiniteError: for emissions that can't be read.
            InvalidValueError: if an utterance has no reading with a probability above 0.
        """
        if isinstance(emissions_btn, Sequence):
            return self._decode(
                [self._checked(one) for one in emissions_btn], nbest, threads=threads
            )
        batch = as_emissions(emissions_btn, num_axes=3, num_tokens=len(self._lexicon.tokens))
        frames = as_lengths(lengths, num_utterances=batch.shape[0], num_frames=batch.shape[1])
        cut = [one[:length] for one, length in zip(batch, frames, strict=True)]
        return self._decode(cut, nbest, threads=threads)

    def stream(self) -> Stream:
        """A search that takes its emissions in pieces."""
        return Stream(self, self._native.search())

    def _checked(self, emissions_tn: Any) -> NDArray[np.float32]:
        return as_emissions(emissions_tn, num_axes=2, num_tokens=len(self._lexicon.tokens))

    def _decode(
        self, utterances: list[NDArray[np.float32]], nbest: int, *, threads: int
    ) -> list[list[Hypothesis]]:
        _check_count("nbest", nbest)
        _check_count("threads", threads)
        found = self._native.decode(
            utterances, min(nbest, _MOST), min(threads, len(utterances) or 1)
        )
        return [
            self._read(hypotheses, len(one), f"emissions of utterance {place}")
            for place, (hypotheses, one) in enumerate(zip(found, utterances, strict=True))
        ]

    def _read(self, found: list[Any], num_frames: int, name: str) -> list[Hypothesis]:
        if not found:
            raise InvalidValueError(
                name,
                f"{num_frames} frames",
                expected="scores that leave some reading a probability above 0",
                remedy="look for frames of minus infinity, or widen the beam",
            )
        return [self._hypothesis(one, num_frames) for one in found]

    def _hypothesis(self, found: tuple[float, float, float, Any], num_frames: int) -> Hypothesis:
        score, acoustic, language, path = found
        return Hypothesis(
            score=score,
            acoustic_score=acoustic,
            language_score=language,
            path=path,
            num_frames=num_frames,
            naming=self._naming,
        )

    def _word(self, number: int) -> str:
        # One number more than there are words stands for those that the lexicon lacks.
        known = number < len(self._lexicon)
        return self._lexicon.word(number) if known else self._options.unk_word


def _made_again(lexicon: Lexicon, lm: LanguageModel | None, options: DecoderOptions) -> Decoder:
    # Its parts are shared already, so that equal ones are the same.
    return shared(
        (Decoder, lexicon, lm, pickle.dumps(options)), lambda: Decoder(lexicon, lm, options)
    )


def _check_count(name: str, value: int) -> None:
    if value < 1:
        raise InvalidValueError(name, value, expected="at least 1", remedy="ask for one or more")


class Stream:
    """A search that takes its emissions in pieces; made by `Decoder.stream`.

    However the frames are cut, the result is that of one piece. One thread at a time.

    Example:
        >>> import numpy as np
        >>> from sestina.decoding import Decoder, Lexicon, Tokens
        >>> lexicon = Lexicon.from_spellings({"a": "a"}, Tokens(["-", "|", "a"]))
        >>> stream = Decoder(lexicon).stream()
        >>> for frame in np.log([[.1, .1, .8], [.8, .1, .1], [.1, .1, .8]]):
        ...     stream.step(frame[None])
        >>> stream.best()[0].text
        'a a'
    """

    def __init__(self, decoder: Decoder, search: _native.Search) -> None:
        self._decoder = decoder
        self._search = search

    def step(self, emissions_tn: Any) -> None:
        """Reads on.

        Args:
            emissions_tn: (frame, token) natural logarithms; any number of frames.

        Raises:
            ShapeError, DtypeError, NonFiniteError: for emissions that can't be read; the search is
                as it was.
        """
        self._search.step(self._decoder._checked(emissions_tn))  # noqa: SLF001  one file, one check

    def best(self, *, nbest: int = 1) -> list[Hypothesis]:
        """The best readings if the utterance ended here; it may go on all the same.

        Raises:
            InvalidValueError: if no reading has a probability above 0.
            RuntimeError: if the search is at work in another thread.
        """
        _check_count("nbest", nbest)
        found = self._search.finish(min(nbest, _MOST))
        frames = self._search.frames
        return self._decoder._read(found, frames, "emissions so far")  # noqa: SLF001  as above

    def restart(self) -> None:
        """Forgets all frames, for the next utterance."""
        self._search.begin()
