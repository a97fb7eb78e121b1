"""`sestina fuser bench`: what compiling gains on this machine."""

from __future__ import annotations

from dataclasses import asdict

import click

from sestina.cli.output import drawn_progress, json_option, print_json, print_table
from sestina.core.errors import InvalidValueError
from sestina.fuser.cases import CASES
from sestina.fuser.comparison import TRAINING, Timing, compare

__all__ = ["bench_command"]

_HEADERS = ("case", "way", "ms", "quartiles", "CPU ms", "times eager")


@click.command("bench")
@click.argument("name", required=False)
@click.option("--inductor", is_flag=True, help="Time PyTorch's own compiler, too.")
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=15,
    show_default=True,
    help="How often each way is timed.",
)
@json_option
def bench_command(name: str | None, *, inductor: bool, rounds: int, as_json: bool) -> None:
    """Time small graphs and a training step, as they are and compiled.

    NAME is a part of a case's name, as softmax; without it all of them run. The last column says
    how many times less CPU time each way takes than eager.
    """
    cases = _chosen(name)
    ways = ["eager", *(["inductor"] if inductor else []), "sestina"]
    with drawn_progress() as progress:
        timings = compare(cases, ways, rounds=rounds, progress=progress)
    if as_json:
        print_json([asdict(timing) for timing in timings])
    else:
        print_table([_row(timing) for timing in timings], _HEADERS)


def _chosen(name: str | None) -> list[str]:
    cases = [*CASES, TRAINING]
    found = [case for case in cases if (name or "").lower() in case.lower()]
    if not found:
        raise InvalidValueError(
            "NAME",
            name,
            expected="a part of one of " + "; ".join(cases),
            remedy="as in: sestina fuser bench softmax",
        )
    return found


def _row(timing: Timing) -> tuple[object, ...]:
    return (
        timing.case,
        timing.way,
        timing.wall * 1e3,
        f"{timing.low * 1e3:.3g} to {timing.high * 1e3:.3g}",
        timing.cpu * 1e3,
        round(timing.gain, 2),
    )
