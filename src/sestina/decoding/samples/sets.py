"""The bundled emissions, recordings and model, made by `recipes/speech.py`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sestina.core.errors import UnknownNameError
from sestina.decoding.samples.acoustic import FRAME_DURATION_S, AcousticModel

__all__ = ["Recording", "Sample", "acoustic_model", "recordings", "sample"]

_DATA = Path(__file__).with_name("data")
_SPLITS = ("test", "tune")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """Emissions with all that is needed to decode and to judge them."""

    emissions: tuple[NDArray[np.float32], ...]
    """One (num_frames, num_tokens) array an utterance: natural logarithms of probabilities."""
    references: tuple[str, ...]
    """What was said, in words with a space between."""
    tokens_path: Path
    """A token a line, in the order of the columns; the CTC blank "-" is the first."""
    lexicon_path: Path
    """A word a line with its spelling in tokens, "|" last."""
    arpa_path: Path
    """A 3-gram model of words in the ARPA format, compressed with gzip."""
    frame_duration_s: float
    """0.02."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A sound file of the test set and what is said in it."""

    path: Path
    text: str


def sample(split: Literal["test", "tune"] = "test") -> Sample:
    """The bundled emissions of noisy synthesised speech, of voices that no training has heard.

    Args:
        split: "test" to measure on; "tune", other sentences, to choose settings on. No sentence of
            either is in the language model's training text.

    Raises:
        UnknownNameError: if there is no such split.

    Example:
        >>> from sestina.decoding.samples import sample
        >>> bundled = sample()
        >>> len(bundled.emissions) == len(bundled.references)
        True
    """
    if split not in _SPLITS:
        raise UnknownNameError(
            "split", split, expected=f"one of {', '.join(_SPLITS)}", remedy='measure on "test"'
        )
    with np.load(_DATA / f"emissions_{split}.npz") as arrays:
        frames_fn = arrays["log_probs"].astype(np.float32)
        ends = arrays["lengths"].cumsum()
        references = tuple(str(text) for text in arrays["references"])
    return Sample(
        emissions=tuple(np.split(frames_fn, ends[:-1])),
        references=references,
        tokens_path=_DATA / "tokens.txt",
        lexicon_path=_DATA / "lexicon.txt",
        arpa_path=_DATA / "lm.arpa.gz",
        frame_duration_s=FRAME_DURATION_S,
    )


def acoustic_model() -> AcousticModel:
    """The bundled acoustic model, for English letters; needs numpy only."""
    return AcousticModel.load(_DATA / "acoustic_model.npz")


def recordings() -> tuple[Recording, ...]:
    """Short sound files of the test set, the first of them without noise.

    Example:
        >>> from sestina.decoding.samples import recordings
        >>> recordings()[0].path.suffix
        '.wav'
    """
    lines = (_DATA / "recordings.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines)
    return tuple(Recording(path=_DATA / name, text=text) for name, text in pairs)
