"""Options and choices, as Flashlight Text's users give them."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

__all__ = [
    "CriterionType",
    "LexiconDecoderOptions",
    "LexiconFreeDecoderOptions",
    "LexiconFreeSeq2SeqDecoderOptions",
    "LexiconSeq2SeqDecoderOptions",
    "SmearingMode",
]


class _Choice(Enum):
    """One of a few, which counts as its number where a number is asked for."""

    def __int__(self) -> int:
        return int(self.value)

    __index__ = __int__

    def __hash__(self) -> int:
        return hash(self.value)


class CriterionType(_Choice):
    """How the acoustic model was trained, which says what a path of its tokens spells."""

    ASG = 0
    CTC = 1
    S2S = 2


class SmearingMode(_Choice):
    """How a part of a word foresees the scores of the words that it can become."""

    NONE = 0
    MAX = 1
    LOGADD = 2


def _real(value: Any) -> float:
    if isinstance(value, str | bytes):  # which float() would read
        raise TypeError
    return float(value)


def _criterion(value: Any) -> CriterionType:
    if not isinstance(value, CriterionType):
        raise TypeError
    return value


_KINDS: Final = {"int": operator.index, "float": _real, "bool": bool, "CriterionType": _criterion}


class _Options:
    """Options of which each keeps the kind that it is declared with, now and when it changes."""

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> None:
        kind = type(self).__annotations__.get(name)
        try:
            taken = value if kind is None else _KINDS[kind](value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name} must be {kind}, found {value!r}") from error
        object.__setattr__(self, name, taken)  # which refuses names that are no options


@dataclass(slots=True)
class LexiconDecoderOptions(_Options):
    """Options of a `LexiconDecoder`; `sestina.decoding.DecoderOptions` says what they mean."""

    beam_size: int
    beam_size_token: int
    beam_threshold: float
    lm_weight: float
    word_score: float
    unk_score: float
    sil_score: float
    log_add: bool
    criterion_type: CriterionType


@dataclass(slots=True)
class LexiconFreeDecoderOptions(_Options):
    """Options of a `LexiconFreeDecoder`."""

    beam_size: int
    beam_size_token: int
    beam_threshold: float
    lm_weight: float
    sil_score: float
    log_add: bool
    criterion_type: CriterionType


@dataclass(slots=True)
class LexiconSeq2SeqDecoderOptions(_Options):
    """Options of a `LexiconSeq2SeqDecoder`."""

    beam_size: int
    beam_size_token: int
    beam_threshold: float
    lm_weight: float
    word_score: float
    eos_score: float
    log_add: bool


@dataclass(slots=True)
class LexiconFreeSeq2SeqDecoderOptions(_Options):
    """Options of a `LexiconFreeSeq2SeqDecoder`."""

    beam_size: int
    beam_size_token: int
    beam_threshold: float
    lm_weight: float
    eos_score: float
    log_add: bool
