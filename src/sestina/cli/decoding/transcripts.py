"""What `sestina decode` shows: texts, JSON, and the line with the real-time factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from sestina.cli.decoding.inputs import Utterance
from sestina.cli.output import print_json
from sestina.decoding import Hypothesis
from sestina.decoding.error_rates import ErrorRate

__all__ = ["Asked", "Spent", "print_texts", "print_transcripts", "print_words", "summary"]

_FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Seconds of the searches and of the sound that they were given."""

    search_s: float
    sound_s: float
    threads: int = 1
    """That searched: those asked for, or one for each utterance where these are fewer."""
    longest_step_s: float | None = None
    """Of a stream."""

    @property
    def real_time_factor(self) -> float | None:
        """Search by sound; None without sound."""
        return self.search_s / self.sound_s if self.sound_s else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How to decode and to show."""

    nbest: int
    threads: int
    stream: bool
    chunk_frames: int
    frame_ms: float
    references: Path | None
    words: bool = False
    """Whether each word is a line."""
    confidence: bool = False
    """Whether words come with theirs."""

    def seconds(self, frames: int) -> float:
        """How long so many frames last."""
        return frames * self.frame_ms / 1000


def print_texts(
    utterances: Sequence[Utterance], found: Sequence[Sequence[Hypothesis]], asked: Asked
) -> None:
    """A line a reading: its text, or where several are asked for its name, rank and score too."""
    for one, hypotheses in zip(utterances, found, strict=True):
        for rank, hypothesis in enumerate(hypotheses, 1):
            text = hypothesis.text
            if asked.confidence:
                text = " ".join(f"{word.text} ({word.confidence:.2f})" for word in hypothesis.words)
            if asked.nbest > 1:
                text = f"{one.name}\t{rank}\t{hypothesis.score:.3f}\t{text}"
            click.echo(text)


def print_words(
    utterances: Sequence[Utterance], found: Sequence[Sequence[Hypothesis]], asked: Asked
) -> None:
    """A line a word: name, rank of several, start and end in seconds, word, confidence."""
    for one, hypotheses in zip(utterances, found, strict=True):
        for rank, hypothesis in enumerate(hypotheses, 1):
            for word in hypothesis.words:
                columns = [
                    one.name,
                    *([str(rank)] if asked.nbest > 1 else []),
                    f"{asked.seconds(word.start):.3f}",
                    f"{asked.seconds(word.end):.3f}",
                    word.text,
                    *([] if word.confidence is None else [f"{word.confidence:.2f}"]),
                ]
                click.echo("\t".join(columns))


def print_transcripts(
    utterances: Sequence[Utterance],
    found: Sequence[Sequence[Hypothesis]],
    asked: Asked,
    spent: Spent,
    errors: ErrorRate | None,
) -> None:
    """All readings, with their words' times, and what the search took."""
    print_json(
        {
            "format": "sestina-decode",
            "version": _FORMAT_VERSION,
            "frame_ms": asked.frame_ms,
            "threads": spent.threads,
            "sound_s": spent.sound_s,
            "search_s": spent.search_s,
            "longest_step_s": spent.longest_step_s,
            "real_time_factor": spent.real_time_factor,
            "word_error_rate": None if errors is None else errors.rate,
            "utterances": [
                {
                    "name": one.name,
                    "frames": len(one.emissions_tn),
                    "reference": one.reference,
                    "hypotheses": [_facts(hypothesis, asked) for hypothesis in hypotheses],
                }
                for one, hypotheses in zip(utterances, found, strict=True)
            ],
        }
    )


def _facts(hypothesis: Hypothesis, asked: Asked) -> dict[str, object]:
    return {
        "text": hypothesis.text,
        "score": hypothesis.score,
        "acoustic_score": hypothesis.acoustic_score,
        "language_score": hypothesis.language_score,
        "hotword_score": hypothesis.hotword_score,
        "words": [
            {
                "text": word.text,
                "start_s": round(asked.seconds(word.start), 6),
                "end_s": round(asked.seconds(word.end), 6),
                **({} if word.confidence is None else {"confidence": word.confidence}),
            }
            for word in hypothesis.words
        ],
    }


def summary(utterances: Sequence[Utterance], asked: Asked, spent: Spent, loaded_s: float) -> str:
    """The line with the real-time factor."""
    count = f"{len(utterances)} utterance{'s' if len(utterances) != 1 else ''}"
    threads = spent.threads
    factor = spent.real_time_factor
    parts = [
        f"{count}, {spent.sound_s:.1f} s at {asked.frame_ms:g} ms a frame: searched in "
        f"{spent.search_s:.3f} s on {threads} thread{'s' if threads != 1 else ''}",
        "real-time factor " + ("unknown" if factor is None else f"{factor:.2g}"),
    ]
    if spent.longest_step_s is not None:
        step = f"{1000 * spent.longest_step_s:.1f} ms"
        parts.append(f"at most {step} for {asked.seconds(asked.chunk_frames):g} s of sound")
    parts.append(f"loaded in {loaded_s:.2f} s")
    return "; ".join(parts)
