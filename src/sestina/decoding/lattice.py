"""What else an utterance may have been: all readings that a search kept, as a graph of words."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sestina.core.errors import InvalidValueError
from sestina.decoding import _native
from sestina.decoding.checks import check_count, check_kind
from sestina.decoding.language_models import LanguageModel
from sestina.decoding.results import Hypothesis, Naming, Parts, TimedText

__all__ = [
    "LATTICE_BEAM",
    "LATTICE_BEAM_OF_TOKENS",
    "LATTICE_SPELLINGS",
    "POSTERIOR_SCALE",
    "POSTERIOR_SCALE_OF_TOKENS",
    "Consensus",
    "Lattice",
    "usual_posteriors",
]

LATTICE_BEAM = 20.0
"""How far below the best path the paths of a lattice score at most: by `POSTERIOR_SCALE`, what is
further down has less than a thousandth of its probability."""

LATTICE_BEAM_OF_TOKENS = 8.0
"""The same without a lexicon, where far more is within a beam, and scores say more."""

LATTICE_SPELLINGS = 4
"""How many ways to spell a word so far a lattice keeps where the search tells none apart."""

POSTERIOR_SCALE = 0.35
"""What scores are multiplied with to be logarithms of probabilities. Neighbouring frames repeat one
another, so sums over frames are too sure of themselves; with this factor confidences explain best
which words are right (fitted on 100 utterances by `benchmarks/decoding/bench_calibration.py`)."""

POSTERIOR_SCALE_OF_TOKENS = 0.85
"""The same with neither a lexicon nor a language model, whose weights make scores larger."""

_MOST_ARCS = 20_000_000  # of a rescored lattice: about 1 GiB
_MOST = 2**62
_LARGEST_SCALE = 1e6

_ARC = np.dtype(
    [
        ("source", np.int32),
        ("target", np.int32),
        ("word", np.int32),
        ("start", np.int32),
        ("end", np.int32),
        ("acoustic", np.float64),
        ("language", np.float64),
        ("score", np.float64),
    ]
)


def usual_posteriors(*, has_lexicon: bool, has_lm: bool) -> tuple[float, float]:
    """The beam of lattices and the scale of scores, unless others are asked for."""
    beam = LATTICE_BEAM if has_lexicon else LATTICE_BEAM_OF_TOKENS
    scale = POSTERIOR_SCALE if has_lexicon or has_lm else POSTERIOR_SCALE_OF_TOKENS
    return beam, scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Consensus:
    """The words with the fewest expected errors. They need not be one of the search's readings."""

    words: tuple[TimedText, ...]
    """With their confidence; times are means over the readings, rounded."""
    expected_errors: float
    """How many words of it are wrong, missing or too many, expected over all readings."""

    @property
    def text(self) -> str:
        """The words, parted by spaces."""
        return " ".join(word.text for word in self.words)


class Lattice:
    """The readings of an utterance that a search kept; made by `Decoder.lattice`. Immutable.

    Nodes are ends of words, arcs are words (the last arc of a path is what follows the last word).
    A path scores the sum of its arcs; a reading scores as its best path or, with `log_add`, as the
    sum of its paths. Where the search merges hypotheses (`merge="context"`) the lattice keeps each:
    its readings and their order are exact. Without a lexicon words are read off the tokens (as
    `Hypothesis.words` has them), and of what the search merges the likeliest texts are kept.

    Example:
        >>> import numpy as np
        >>> from sestina.decoding import Decoder, Lexicon, Tokens
        >>> lexicon = Lexicon.from_spellings({"ab": "a b", "bb": "b b"}, Tokens(list("-|ab")))
        >>> emissions_tn = np.log([[.1, .1, .5, .3], [.7, .1, .1, .1], [.1, .1, .1, .7]])
        >>> lattice = Decoder(lexicon).lattice(emissions_tn)
        >>> [(one.text, round(one.score, 2)) for one in lattice.nbest(2)]
        [('ab', -1.41), ('bb', -1.92)]
        >>> lattice.mbr().text, round(lattice.mbr().expected_errors, 2)
        ('ab', 0.43)
    """

    def __init__(
        self,
        native: _native.Lattice,
        naming: Naming,
        posterior_scale: float = POSTERIOR_SCALE,
        parts: Parts | None = None,
    ) -> None:
        self._native = native
        self._naming = naming
        self._posterior_scale = posterior_scale
        self._parts = parts

    @property
    def posterior_scale(self) -> float:
        """What scores are multiplied with to be logarithms of probabilities."""
        return self._posterior_scale

    @property
    def num_nodes(self) -> int:
        """How many nodes there are. Node 0 is the first; the last one ends every path."""
        return self._native.num_nodes

    @property
    def num_arcs(self) -> int:
        """How many arcs there are."""
        return self._native.num_arcs

    @property
    def num_frames(self) -> int:
        """The frames of the utterance."""
        return int(self._native.frames()[-1])

    @property
    def frames(self) -> NDArray[np.int32]:
        """(node,) How many frames have passed."""
        return self._native.frames()

    @property
    def arcs(self) -> NDArray[np.void]:
        """(arc,) A record of each arc, in the order of the nodes that they leave.

        `source` and `target` are nodes, the former the lower one; `word` is a number for `word()`,
        -1 on arcs into the last node; `start` and `end` the frames in which the word was said;
        `acoustic` the emissions since the word before it, blanks and silence (with its score)
        included; `language` log10 of the language model, not weighted, with what hotwords add;
        `score` all in all.
        """
        native = self._native
        columns = (
            *(native.arcs_source(), native.arcs_target(), native.arcs_word()),
            *(native.arcs_start(), native.arcs_end()),
            *(native.arcs_acoustic(), native.arcs_language(), native.arcs_score()),
        )
        arcs = np.empty(self.num_arcs, _ARC)
        for name, column in zip(_ARC.names or (), columns, strict=True):
            arcs[name] = column
        return arcs

    def word(self, number: int) -> str:
        """The word of an arc's number."""
        own = self._native.text(number)
        return self._naming.word(number) if own is None else own.decode(errors="surrogateescape")

    def nbest(self, count: int, *, confidence: bool = False) -> list[Hypothesis]:
        """The best readings, best first: exact, no text twice.

        As on the arcs, `sil_score` and `token_score` are in their acoustic scores.

        Args:
            count: how many at most.
            confidence: whether their words come with it (see `confidences`).

        Raises:
            InvalidValueError: if `count` is below 1, or this takes more than some 2 GiB: readings
                that are all alike, of a lattice that is too wide. Where paths add up and there is
                no lexicon that is soon so; `mbr` and `prune` help.
        """
        check_count("count", count)
        try:
            found = self._native.nbest(min(count, _MOST))
        except ValueError as error:
            raise _too_large("count", count, error) from None
        made = [self._hypothesis(*one) for one in found]
        if not confidence:
            return made
        return [replace(one, confidences=self.confidences(one)) for one in made]

    @property
    def best(self) -> Hypothesis:
        """The best reading, its words with their confidence."""
        return self.nbest(1, confidence=True)[0]

    def confidences(
        self, hypothesis: Hypothesis, *, scale: float | None = None
    ) -> tuple[float, ...]:
        """How probable each word of a reading is to be right, from 0 to 1.

        All readings of the lattice are aligned with it as for a word error rate; a word is as
        probable as the readings that have the same word at its place.

        Args:
            hypothesis: of this lattice, or of the same decoder.
            scale: readings are as probable as exp(scale · score); `posterior_scale` if not given.

        Raises:
            InvalidValueError: if `scale` is negative or not finite, the lattice too large, or the
                hypothesis one of other tokens.
        """
        scale = self._checked_scale(scale)
        check_kind("hypothesis", hypothesis, Hypothesis, "a reading of this lattice's decoder")
        path, most = hypothesis.path, len(self._naming.tokens)
        if path.ndim != 2 or path.shape[1] != 3 or (path[:, 0] >= most).any():
            raise InvalidValueError(
                "the hypothesis's path",
                path.shape,
                expected=f"one of a decoder with these {most} tokens",
                remedy="ask the lattice that its own decoder makes",
            )
        words = self._native.words_of(np.ascontiguousarray(path, dtype=np.int32))
        try:
            shares, _ = self._native.confidences(words, scale)
        except ValueError as error:
            raise _too_large("hypothesis", hypothesis.text, error) from None
        return tuple(min(1.0, share) for share in shares)

    def mbr(self, *, scale: float | None = None) -> Consensus:
        """The words with the fewest expected word errors (minimum Bayes risk).

        From the best path on, each place takes the word that most of the probability has there,
        as long as that lowers the expected edit distance to all readings.

        Args:
            scale: readings are as probable as exp(scale · score); `posterior_scale` if not given.

        Raises:
            InvalidValueError: if `scale` is negative or not finite, or the lattice too large.

        Source: Xu, Povey, Mangu and Zhu, "Minimum Bayes risk decoding and system combination based
        on a recursion for edit distance", Computer Speech & Language 25, 2011.
        """
        scale = self._checked_scale(scale)
        try:
            found, errors = self._native.consensus(scale)
        except ValueError as error:
            raise _too_large("lattice", repr(self), error) from None
        words = tuple(
            TimedText(
                text=self.word(number),
                start=round(start),
                end=round(end),
                confidence=min(1.0, posterior),
            )
            for number, posterior, start, end in found
        )
        return Consensus(words=words, expected_errors=errors)

    def posteriors(self, *, scale: float | None = None) -> NDArray[np.float64]:
        """(arc,) How probable each arc is; over any cut of the lattice they sum to 1.

        Raises:
            InvalidValueError: if `scale` is negative or not finite.
        """
        scale = self._checked_scale(scale)
        return self._native.posteriors(scale)

    def prune(self, beam: float) -> Lattice:
        """The arcs on paths that score within `beam` (natural logarithm) of the best one.

        Raises:
            InvalidValueError: if `beam` is negative or NaN.
        """
        _check(beam >= 0, "beam", beam, "at least 0", "choose 5 to 20")
        return Lattice(self._native.prune(beam), self._naming, self._posterior_scale, self._parts)

    def rescore(self, lm: LanguageModel, *, lm_weight: float | None = None) -> Lattice:
        """The same readings with the scores of another language model.

        Nodes are split where the model tells their histories apart, so its scores are exact. What
        the first search dropped stays dropped: prune less there. Scores of hotwords go with those
        of the first model.

        Args:
            lm: the language model, of words: also where the search had one of tokens, or none.
            lm_weight: what its log10 scores are multiplied with; the lattice's own if not given.

        Raises:
            InvalidValueError: if `lm` is no language model, or knows words only by their numbers
                and there is no lexicon; if `lm_weight` is not finite, or the result would have
                more than 20 million arcs.
        """
        _check(
            isinstance(lm, LanguageModel), "lm", lm, "a LanguageModel", "read one with read_arpa"
        )
        weight = self._native.lm_weight if lm_weight is None else lm_weight
        _check(math.isfinite(weight), "lm_weight", weight, "a number", "choose 0 to 5")
        model_words = self._words_by_index(lm) if lm.native.by_index else self._words_by_text(lm)
        try:
            made = self._native.rescore(lm.native, model_words, weight, _MOST_ARCS)
        except ValueError as error:
            raise _too_large("lattice", repr(self), error) from None
        return Lattice(made, self._naming)

    def _words_by_text(self, lm: LanguageModel) -> list[int]:
        texts = (self.word(number) for number in self._native.words())
        return [lm.native.word(text.encode(errors="surrogateescape")) for text in texts]

    def _words_by_index(self, lm: LanguageModel) -> list[int]:
        numbers, unknown = self._native.words(), self._naming.unknown
        own = [self._native.text(number) is not None for number in numbers]
        _check(
            unknown >= 0 or not any(own),
            "lm",
            lm,
            "a model that knows words by their texts, as there is no lexicon",
            "use an n-gram model or a BatchedLanguageModel",
        )
        return [
            unknown if spelled else number for number, spelled in zip(numbers, own, strict=True)
        ]

    def _checked_scale(self, scale: float | None) -> float:
        if scale is None:
            return self._posterior_scale
        _check(
            0 <= scale <= _LARGEST_SCALE,
            "scale",
            scale,
            f"a number from 0 to {_LARGEST_SCALE:g}",
            "leave it out, or fit it on utterances whose texts are known",
        )
        return scale

    def _hypothesis(self, score: float, acoustic: float, language: float, path: Any) -> Hypothesis:
        return Hypothesis(
            score=score,
            acoustic_score=acoustic,
            carried_score=language,
            path=path,
            num_frames=self.num_frames,
            naming=self._naming,
            parts=self._parts,
        )

    def __repr__(self) -> str:
        """Its size."""
        return f"Lattice({self.num_nodes} nodes, {self.num_arcs} arcs, {self.num_frames} frames)"


def _check(holds: bool, name: str, value: object, expected: str, remedy: str) -> None:  # noqa: FBT001  a claim
    if not holds:
        raise InvalidValueError(name, value, expected=expected, remedy=remedy)


def _too_large(name: str, value: object, error: ValueError) -> InvalidValueError:
    return InvalidValueError(
        name, value, expected=f"less work ({error})", remedy="see Lattice.prune"
    )
