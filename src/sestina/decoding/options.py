"""What a beam search is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral, Real
from typing import Any, Literal, get_args, get_origin, get_type_hints

from sestina.core.errors import OptionError
from sestina.core.registry import nearest_name

__all__ = ["LARGEST_SCORE", "DecoderOptions", "check_types"]

# Far beyond what makes sense, and far from where sums of float64 lose their digits.
LARGEST_SCORE = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderOptions:
    """Options of a `Decoder`. Scores of emissions are natural logarithms, of language models log10.

    Raises:
        OptionError: if one is out of its range.
    """

    beam_size: int = 50
    """Hypotheses kept after each frame."""
    beam_size_token: int | None = None
    """Tokens tried in each frame, the best ones; all of them if not given."""
    beam_threshold: float = 50.0
    """How far below the best one of its frame a hypothesis may score."""
    lm_weight: float = 2.0
    """What the language model's log10 scores are multiplied with."""
    word_score: float = 0.0
    """Added for each word."""
    unk_score: float = -math.inf
    """Added for a word that the lexicon lacks; minus infinity allows none."""
    sil_score: float = 0.0
    """Added for each frame of silence."""
    token_score: float = 0.0
    """Added for each new token; in a lexicon for those that spell the words, as silence between
    words comes and goes freely."""
    word_length_score: float = 0.0
    """Added for each letter of each word of the lexicon, as it is written."""
    lm_level: Literal["word", "token"] = "word"
    """What the language model is one of. Without a lexicon it is always one of tokens, unless the
    vocabulary is open."""
    criterion: Literal["ctc", "asg"] = "ctc"
    """What the acoustic model was trained with; `asg` knows no blank, and takes `transitions`."""
    open_vocabulary: bool = False
    """Whether words that the lexicon lacks are spelled out, for `unk_score` each. Of pieces all are
    spelled out, in any way that makes their texts; without a lexicon those that the language model
    knows cost nothing."""
    blank_skip_threshold: float | None = None
    """Frames whose blank is likelier than this are taken for nothing else, unless a hypothesis has
    just ended a word on another token than the silence; no frames if not given."""
    log_add: bool = False
    """Whether the paths of a hypothesis add up; else the best one counts."""
    smearing: Literal["none", "max", "logadd"] = "max"
    """How a part of a word foresees the language model's scores of the words it can become."""
    merge: Literal["context", "history"] = "context"
    """Hypotheses become one if the language model cannot tell them apart any more (`context`), or
    only if all their words are the same (`history`, as Flashlight does, and always without one)."""
    semantics: Literal["ctc", "flashlight"] = "ctc"
    """`flashlight` repeats its departures from CTC, for equal results."""
    blank: str = "-"
    """The blank token."""
    silence: str = "|"
    """The token between words; empty if there is none."""
    unk_word: str = "<unk>"
    """The word that stands for those that the lexicon lacks."""

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
        for name in ("lm_weight", "word_score", "sil_score", "token_score", "word_length_score"):
            self._check(name, abs(getattr(self, name)) <= LARGEST_SCORE, "-1e6 to 1e6")
        self._check(
            "unk_score",
            abs(self.unk_score) <= LARGEST_SCORE or self.unk_score == -math.inf,
            "-1e6 to 1e6 or minus infinity",
        )
        self._check(
            "blank_skip_threshold",
            self.blank_skip_threshold is None or 0 < self.blank_skip_threshold <= 1,
            "above 0 and at most 1, or none",
        )
        self._check(
            "blank_skip_threshold",
            self.blank_skip_threshold is None or self.criterion == "ctc",
            "none with ASG, which has no blank",
        )
        self._check(
            "open_vocabulary",
            not self.open_vocabulary or (self.unk_score > -math.inf and self.lm_level == "word"),
            "with an unk_score above minus infinity, and a language model of words",
        )
        self._check("blank", bool(self.blank) or self.criterion == "asg", "a token, with CTC")
        self._check(
            "silence",
            not self.silence or self.silence != self.blank or self.criterion == "asg",
            "another token than the blank, or empty for none",
        )

    def _check(self, name: str, holds: bool, expected: str) -> None:  # noqa: FBT001  a claim
        if not holds:
            raise OptionError(
                name, getattr(self, name), expected=expected, remedy="choose one in this range"
            )


def check_types(options: Any) -> None:
    """Nothing, if each field of a dataclass of options has the type that it says.

    Numbers may be NumPy's. Those of files are checked by `sestina.core.options`; these come from
    code.

    Raises:
        OptionError: if one has another type, or is none of its choices.
    """
    for name, hint in _hints(options.__class__).items():
        value = getattr(options, name)
        kinds = (hint,) if get_origin(hint) is Literal else get_args(hint) or (hint,)
        if any(_is_of(value, kind) for kind in kinds):
            continue
        choices = get_args(hint) if get_origin(hint) is Literal else ()
        nearest = nearest_name(str(value), choices)
        raise OptionError(
            name,
            value,
            expected=" or ".join(map(repr, choices)) or " or ".join(_TYPES[kind] for kind in kinds),
            remedy=f"did you mean {nearest!r}?" if nearest else "choose one of these",
        )


_TYPES = {
    bool: "True or False",
    int: "an integer",
    float: "a number",
    str: "a text",
    type(None): "None",
}


@lru_cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _is_of(value: object, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if kind in (int, float):  # which booleans are not, although Python says so
        number = Integral if kind is int else Real
        return isinstance(value, number) and not isinstance(value, bool)
    return isinstance(value, kind)
