"""Options and choices, as Flashlight Text's users give them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = [
    "CriterionType",
    "LexiconDecoderOptions",
    "LexiconFreeDecoderOptions",
    "LexiconFreeSeq2SeqDecoderOptions",
    "LexiconSeq2SeqDecoderOptions",
    "SmearingMode",
]


class CriterionType(Enum):
    """How the acoustic model was trained, which says what a path of its tokens spells."""

    ASG = 0
    CTC = 1
    S2S = 2

    def __int__(self) -> int:
        return self.value


class SmearingMode(Enum):
    """How a part of a word foresees the scores of the words that it can become."""

    NONE = 0
    MAX = 1
    LOGADD = 2

    def __int__(self) -> int:
        return self.value


@dataclass(slots=True)
class LexiconDecoderOptions:
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
class LexiconFreeDecoderOptions:
    """Options of a `LexiconFreeDecoder`."""

    beam_size: int
    beam_size_token: int
    beam_threshold: float
    lm_weight: float
    sil_score: float
    log_add: bool
    criterion_type: CriterionType


@dataclass(slots=True)
class LexiconSeq2SeqDecoderOptions:
    """Options of a `LexiconSeq2SeqDecoder`."""

    beam_size: int
    beam_size_token: int
    beam_threshold: float
    lm_weight: float
    word_score: float
    eos_score: float
    log_add: bool


@dataclass(slots=True)
class LexiconFreeSeq2SeqDecoderOptions:
    """Options of a `LexiconFreeSeq2SeqDecoder`."""

    beam_size: int
    beam_size_token: int
    beam_threshold: float
    lm_weight: float
    eos_score: float
    log_add: bool
