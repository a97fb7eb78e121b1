"""`sestina decode tune`: the options that a task wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sestina.cli.decoding.inputs import (
    Named,
    Utterance,
    check_kept,
    read_knowledge,
    read_references,
    read_utterances,
)
from sestina.cli.decoding.transcribing import (
    BUNDLED_OPTIONS,
    knowledge_options,
    note_unnormalised,
)
from sestina.cli.destinations import check_destination
from sestina.cli.options import options_argument
from sestina.cli.output import drawn_progress, json_option, print_json, print_table
from sestina.core.errors import InvalidValueError, OptionError
from sestina.core.extras import import_extra
from sestina.core.files import atomic_write_text
from sestina.core.options import (
    options_from_mapping,
    options_to_mapping,
    options_to_toml,
    read_options,
)
from sestina.core.plots import save_figure
from sestina.decoding import DecoderOptions
from sestina.decoding.pictures import tuning_picture
from sestina.decoding.tuning import Trial, Tuning, TuningOptions, tune

__all__ = ["tune_command"]

_FORMAT_VERSION = 1
_PICTURES = (".png", ".svg", ".pdf")


@click.command("tune")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
@knowledge_options
@click.option(
    "--references",
    type=click.Path(path_type=Path),
    help="What was said, one utterance a line; not needed if the files tell.",
)
@click.option(
    "--start",
    type=click.Path(path_type=Path),
    help="A TOML file of decoding options: the first to be tried; what isn't tuned stays.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Where to write the best, as TOML.")
@click.option(
    "--plot", type=click.Path(path_type=Path), help="Draw errors over time: .png, .svg or .pdf."
)
@options_argument(TuningOptions)
@json_option
def tune_command(
    *,
    files: tuple[Path, ...],
    logits: bool,
    references: Path | None,
    start: Path | None,
    out: Path | None,
    plot: Path | None,
    options: TuningOptions,
    as_json: bool,
    **given: Any,
) -> None:
    """Find the options with the fewest word errors, or the fastest that are good enough.

    FILES are those of `sestina decode`, utterances of which it is known what was said: some dozens
    at least, and others than those that the result will be measured on. Each setting that is tried
    decodes them in one thread.

    With --target-wer the fastest setting that reaches it is chosen; with --time-budget the best one
    that takes no longer; without either the one with the fewest errors. What --out writes,
    `sestina decode --config` reads.

    \b
    Examples:
      sestina decode tune tune.npz --tokens tokens.txt --lexicon lexicon.txt --lm lm.arpa.gz \\
        --references said.txt --target-wer 12 --out best.toml --plot tuning.png
    """  # noqa: D301 - \b keeps click from wrapping the lines below it
    check_destination("--out", out, example="best.toml")
    _check_plot(plot)
    named = Named.taken_from(given)
    read = {**{str(path): path for path in files}, **named.files, "--references": references}
    check_kept("--out", out, read)  # but --start may be refined in place
    check_kept("--plot", plot, {**read, "--start": start})
    knowledge = read_knowledge(named, files)
    first = DecoderOptions() if start is None else read_options(DecoderOptions, start)
    if start is None and knowledge.is_bundled:
        first = options_from_mapping(DecoderOptions, BUNDLED_OPTIONS)
    if knowledge.lm is None:
        options = replace(options, tuned=tuple(n for n in options.tuned if n != "lm_weight"))
    with drawn_progress() as progress:
        utterances = read_utterances(files, knowledge.tokens, are_logits=logits, progress=progress)
        note_unnormalised(utterances, are_meant=logits or first.criterion == "asg")
        found = tune(
            knowledge.decoder,
            [one.emissions_tn for one in utterances],
            _said(utterances, references),
            options=options,
            start=first,
            progress=progress,
        )
    files_written = [] if plot is None else [save_figure(tuning_picture(found), plot)]
    if out is not None and found.is_met:
        atomic_write_text(out, options_to_toml(found.options))
        files_written.insert(0, out)
    if as_json:
        _print_json(found, files_written)
    else:
        _print_found(found, files_written)
    if not found.is_met:
        raise _unmet(found)


def _check_plot(path: Path | None) -> None:
    """Refuses what could not be drawn, before the work."""
    if path is None:
        return
    check_destination("--plot", path, example="tuning.png")
    if path.suffix.lower() not in _PICTURES:
        raise OptionError(
            "--plot",
            str(path),
            expected=f"a name that ends in {', '.join(_PICTURES)}",
            remedy=f"call it {path.with_suffix('.png').name}",
        )
    import_extra("matplotlib", extra="decoding")


def _said(utterances: Sequence[Utterance], references: Path | None) -> list[str]:
    if references is not None:
        return read_references(references, len(utterances))
    said = [one.reference for one in utterances if one.reference is not None]
    if len(said) < len(utterances):
        raise click.UsageError(
            f"--references is missing: the file of what was said in {len(utterances)} utterances, "
            "one a line"
        )
    return said


def _unmet(found: Tuning) -> InvalidValueError:
    goal, best = found.goal, found.chosen
    asked = [
        *([] if goal.target_wer is None else [f"{goal.target_wer:g} % errors"]),
        *([] if goal.time_budget is None else [f"{goal.time_budget:g} µs a frame"]),
    ]
    return InvalidValueError(
        "goal",
        " within ".join(asked),
        expected=f"what was reached: {_percent(best)} % errors at {best.us_per_frame:.3g} µs a "
        "frame",
        remedy="ask for less, or raise --trials",
    )


def _percent(trial: Trial) -> str:
    return f"{100 * trial.word_error_rate:.2f}"


def _print_found(found: Tuning, files: Sequence[Path]) -> None:
    names = [name for name in found.goal.tuned if hasattr(found.options, name)]
    rows = [
        [
            "*" if trial is found.chosen else "",
            _percent(trial),
            f"{trial.us_per_frame:.2f}",
            *(_shown(getattr(trial.options, name)) for name in names),
        ]
        for trial in found.frontier
    ]
    click.echo(
        f"{len(found.trials)} settings tried, {len(found.whole)} of them on all "
        f"{found.chosen.num_utterances} utterances; none was faster and better than these:"
    )
    print_table(rows, ["chosen", "WER %", "µs/frame", *names])
    low, high = found.chosen.errors.interval()
    click.echo(
        f"chosen: {found.chosen.errors}, 95 % between {100 * low:.2f} and {100 * high:.2f} %; "
        "on the utterances tuned on, so measure on others"
    )
    if files:
        click.echo(f"wrote {', '.join(map(str, files))}")


def _shown(value: object) -> str:
    if value is None:
        return "all"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _print_json(found: Tuning, files: Sequence[Path]) -> None:
    low, high = found.chosen.errors.interval()
    print_json(
        {
            "format": "sestina-decode-tuning",
            "version": _FORMAT_VERSION,
            "target_wer": found.goal.target_wer,
            "time_budget": found.goal.time_budget,
            "is_met": found.is_met,
            "chosen": {**_facts(found.chosen), "interval": [low, high]},
            "frontier": [_facts(trial) for trial in found.frontier],
            "trials": [_facts(trial) for trial in found.trials],
            "files": [str(path) for path in files],
        }
    )


def _facts(trial: Trial) -> dict[str, object]:
    return {
        "word_error_rate": trial.word_error_rate,
        "us_per_frame": trial.us_per_frame,
        "utterances": trial.num_utterances,
        "options": options_to_mapping(trial.options),
    }
