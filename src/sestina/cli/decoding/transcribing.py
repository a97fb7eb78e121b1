"""`sestina decode FILES`: from token scores, or sound, to text."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from sestina.cli.decoding.inputs import (
    HOTWORD_SCORE,
    Knowledge,
    Named,
    Utterance,
    read_knowledge,
    read_references,
    read_utterances,
    unnormalised,
)
from sestina.cli.decoding.transcripts import (
    Asked,
    Spent,
    print_texts,
    print_transcripts,
    print_words,
    summary,
)
from sestina.cli.options import options_argument
from sestina.cli.output import DrawnProgress, drawn_progress, json_option
from sestina.core.errors import FileFormatError, InvalidValueError, OptionError
from sestina.core.options import option_fields, options_from_mapping
from sestina.decoding import Decoder, DecoderOptions, Hypothesis
from sestina.decoding.error_rates import ErrorRate, error_rate

__all__ = ["BUNDLED_OPTIONS", "knowledge_options", "note_unnormalised", "transcribe_command"]

Result = TypeVar("Result")

BUNDLED_OPTIONS: Mapping[str, object] = {
    "lm_weight": 2.2,
    "word_score": 0.9,
    "log_add": True,
    "beam_size": 1000,
    "beam_threshold": 25.0,
}
"""What suits the bundled acoustic model, lexicon and language model, unless asked otherwise: the
best on the tune set of some weights near its optimum and beams below 100 µs a frame."""

_SHOWN_WORDS = 12
"""How many of a stream's words that will not change are shown before those that may."""

_AT_ONCE = 8
"""Utterances for each thread between two steps of the progress."""


_FRAME_MS = (1e-3, 60_000.0)
"""From a microsecond to a minute; in other units the frames were meant."""


class _Milliseconds(click.FloatRange):
    """A range of numbers; NaN, which no comparison finds outside of one, is in none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        found: float = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail(f"{value!r} is not in the range {self._describe_range()}.", param, ctx)
        return found


def note_unnormalised(utterances: Sequence[Utterance], *, are_meant: bool) -> None:
    """Says so on stderr if scores look like logits and are not meant to; they are decoded so."""
    total = None if are_meant else unnormalised(utterances)
    if total is not None:
        click.echo(
            f"note: in some frame the probabilities add up to {total:.3g}; if these are logits, "
            "add --logits",
            err=True,
        )


def knowledge_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Adds --tokens, --lexicon, --lm, --load, hotwords, --grammar, --logits and --transitions."""
    path = click.Path(path_type=Path)
    for add in (
        click.option(
            "--transitions",
            type=path,
            help="Scores of going from token to token, .npy (token, token before it); for asg.",
        ),
        click.option("--logits", is_flag=True, help="Scores are logits: apply a log-softmax."),
        click.option(
            "--grammar",
            type=path,
            help="Phrases, one a line: a reading is one of them, and nothing else.",
        ),
        click.option(
            "--hotword-score",
            default=HOTWORD_SCORE,
            show_default=True,
            type=float,
            help="Of hotwords without a score.",
        ),
        click.option(
            "--hotwords", type=path, help="A file of hotwords, one a line, written like --hotword."
        ),
        click.option(
            "--hotword",
            multiple=True,
            metavar="PHRASE[:SCORE]",
            help="A word or phrase that is to be found more easily; may be given again.",
        ),
        click.option(
            "--load",
            default="memory",
            show_default=True,
            type=click.Choice(["memory", "mmap"]),
            help="Read a binary language model at once, or page by page when needed.",
        ),
        click.option(
            "--lm", type=path, help="A language model: ARPA (.gz too), KenLM, or of compile-lm."
        ),
        click.option(
            "--lexicon",
            type=path,
            help="Words and their spellings, one a line; without it tokens are what is searched.",
        ),
        click.option("--tokens", type=path, help="The tokens, one a line, in order of columns."),
    ):
        command = add(command)
    return command


@click.command("decode", no_args_is_help=True)
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
@knowledge_options
@click.option(
    "--nbest", default=1, show_default=True, type=click.IntRange(1), help="Readings of each."
)
@click.option(
    "--threads", default=1, show_default=True, type=click.IntRange(1), help="Searches at once."
)
@click.option("--words", is_flag=True, help="Show words, one a line, with their times in seconds.")
@click.option("--confidence", is_flag=True, help="Show how sure each word is, from 0 to 1.")
@click.option(
    "--stream",
    is_flag=True,
    help="Give it piece by piece; readings go to stderr, in brackets what may yet change.",
)
@click.option(
    "--chunk-frames",
    default=50,
    show_default=True,
    type=click.IntRange(1),
    help="Frames of such a piece.",
)
@click.option(
    "--frame-ms",
    default=20.0,
    show_default=True,
    type=_Milliseconds(*_FRAME_MS),
    help="How long a frame lasts, for times and the real-time factor.",
)
@click.option(
    "--references",
    type=click.Path(path_type=Path),
    help="What was said, one utterance a line: the word error rate is shown.",
)
@options_argument(DecoderOptions)
@json_option
def transcribe_command(
    *,
    files: tuple[Path, ...],
    logits: bool,
    options: DecoderOptions,
    as_json: bool,
    **given: Any,
) -> None:
    """Decode token scores (.npz, .npy) or sound (.wav) to text, one line an utterance.

    Sound is heard by the bundled acoustic model, and decoded with its tokens, lexicon and language
    model unless others are given.

    An .npz file has an array `emissions` (or `log_probs`, `logits`): of one utterance, (frame,
    token); of several, (utterance, frame, token) with `lengths` in frames, or one after the other,
    (frame, token) with `lengths`. Without such a name each of its matrices is an utterance. Texts
    in `references` or `texts` are what was said. An .npy file is one array, (frame, token) or
    (utterance, frame, token). Scores are natural logarithms of probabilities.

    \b
    Examples:
      sestina decode speech.wav
      sestina decode emissions.npz --tokens tokens.txt --lexicon lexicon.txt --lm lm.arpa.gz
      sestina decode emissions.npz --config best.toml --nbest 5 --json …
      sestina decode speech.wav --hotword princess:8 --words --confidence

    \b
    Other commands, each with its --help:
      sestina decode tune        find the options that a task wants
      sestina decode compile-lm  write a language model that loads at once
    """  # noqa: D301 - \b keeps click from wrapping the lines below it
    asked = Asked(**{field.name: given.pop(field.name) for field in fields(Asked)})
    if asked.confidence and asked.stream:
        raise OptionError(
            "--confidence",
            "on",
            expected="whole utterances, where --stream gives pieces",
            remedy="leave one of them out",
        )
    started_s = time.monotonic()
    knowledge = read_knowledge(Named.taken_from(given), files)
    decoder = _decoder(knowledge, options)
    with drawn_progress() as progress:
        utterances = read_utterances(files, knowledge.tokens, are_logits=logits, progress=progress)
        errors_of = _scorer(utterances, asked.references)
        loaded_s = time.monotonic() - started_s
        found, spent = (
            _streamed(decoder, utterances, asked, progress)
            if asked.stream
            else _decoded(decoder, utterances, asked, progress)
        )
    note_unnormalised(utterances, are_meant=logits or options.criterion == "asg")
    errors = errors_of([one[0].text for one in found])
    if as_json:
        print_transcripts(utterances, found, asked, spent, errors)
    elif asked.words:
        print_words(utterances, found, asked)
    else:
        print_texts(utterances, found, asked)
    click.echo(summary(utterances, asked, spent, loaded_s), err=True)
    if errors is not None:
        click.echo(f"word error rate {errors}", err=True)


def _decoder(knowledge: Knowledge, options: DecoderOptions) -> Decoder:
    if knowledge.is_bundled:
        params = click.get_current_context().params
        names = [field.name for field in option_fields(DecoderOptions)]
        given = {name: params[name] for name in names if params[name] is not None}
        options = options_from_mapping(
            DecoderOptions, {**BUNDLED_OPTIONS, **params["config"], **given}
        )
    return knowledge.decoder(options)


def _scorer(
    utterances: Sequence[Utterance], references: Path | None
) -> Callable[[Sequence[str]], ErrorRate | None]:
    """Gives the errors of texts, or None if it isn't known what was said."""
    said = [one.reference for one in utterances]
    if references is not None:
        said = list(read_references(references, len(utterances)))
    known = [text for text in said if text is not None]
    if len(known) < len(said) or not any(text.split() for text in known):
        return lambda _: None
    return lambda texts: error_rate(known, texts)


def _decoded(
    decoder: Decoder, utterances: Sequence[Utterance], asked: Asked, progress: DrawnProgress
) -> tuple[list[list[Hypothesis]], Spent]:
    found: list[list[Hypothesis]] = []
    search_s = 0.0
    progress(0, len(utterances), "decoding")
    for start in range(0, len(utterances), _AT_ONCE * asked.threads):
        part = utterances[start : start + _AT_ONCE * asked.threads]
        started_s = time.perf_counter()
        found += _searched(decoder, part, asked)
        search_s += time.perf_counter() - started_s
        progress(len(found), len(utterances), "decoding")
    threads = max(1, min(asked.threads, len(utterances)))
    return found, Spent(search_s=search_s, sound_s=_sound_s(utterances, asked), threads=threads)


def _searched(decoder: Decoder, part: Sequence[Utterance], asked: Asked) -> list[list[Hypothesis]]:
    try:
        return decoder.decode_batch(
            [one.emissions_tn for one in part],
            nbest=asked.nbest,
            threads=asked.threads,
            confidence=asked.confidence,
        )
    except InvalidValueError:
        # One of them has no reading; which one, its place in this part would not tell.
        for one in part:
            with _naming(one):
                decoder.decode(one.emissions_tn)
        raise


class _naming:  # noqa: N801 - a context manager, used like a function
    """Turns the error of an utterance without a reading into one that names it."""

    def __init__(self, utterance: Utterance) -> None:
        self._utterance = utterance

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, InvalidValueError):
            raise FileFormatError(
                self._utterance.name, error.problem, remedy=error.remedy
            ) from error


def _streamed(
    decoder: Decoder, utterances: Sequence[Utterance], asked: Asked, progress: DrawnProgress
) -> tuple[list[list[Hypothesis]], Spent]:
    """As `_decoded`; what was read last is shown on stderr whenever it has changed.

    Words that may still change stand in brackets.
    """
    stream = decoder.stream()
    found: list[list[Hypothesis]] = []
    steps_s = [0.0]
    for one in utterances:
        stream.restart()
        shown = ""
        for start in range(0, len(one.emissions_tn), asked.chunk_frames):
            piece_tn = one.emissions_tn[start : start + asked.chunk_frames]
            started_s = time.perf_counter()
            with _naming(one):
                stream.step(piece_tn)
                text = _so_far(*stream.partial())
            steps_s.append(time.perf_counter() - started_s)
            if text != shown:
                heard_s = asked.seconds(start + len(piece_tn))
                progress.wipe()
                click.echo(f"{one.name} {heard_s:.2f} s: {text}", err=True)
                shown = text
        with _naming(one):
            found.append(stream.best(nbest=asked.nbest))
    spent = Spent(
        search_s=sum(steps_s),
        sound_s=_sound_s(utterances, asked),
        longest_step_s=max(steps_s),
    )
    return found, spent


def _so_far(best: Hypothesis, num_settled: int) -> str:
    words = best.words
    first = max(0, num_settled - _SHOWN_WORDS)
    parts = [
        *(["…"] if first else []),
        *(word.text for word in words[first:num_settled]),
    ]
    if num_settled < len(words):
        parts.append(f"[{' '.join(word.text for word in words[num_settled:])}]")
    return " ".join(parts)


def _sound_s(utterances: Sequence[Utterance], asked: Asked) -> float:
    return asked.seconds(sum(len(one.emissions_tn) for one in utterances))
