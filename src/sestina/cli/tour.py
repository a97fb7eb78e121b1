"""`sestina tour`: the main job of each room on real input, and one page that shows all of it."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from sestina.cli import chapters
from sestina.cli.book import Chapter, ChapterModule, read_records
from sestina.cli.output import drawn_progress
from sestina.cli.page import render_page
from sestina.cli.rooms import COMMANDS
from sestina.core.errors import MissingExtraError, SestinaError
from sestina.core.extras import naming_extra
from sestina.core.files import atomic_directory, atomic_write_text
from sestina.core.registry import Registry

__all__ = ["Loader", "find_chapters", "run_tour", "tour_command"]

Loader = Callable[[], ChapterModule]
"""Loads a chapter when it is called; it may need packages that are not installed."""


@click.command()
@click.argument("rooms", nargs=-1, metavar="[ROOM]...")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("tour"),
    show_default=True,
    help="The directory for pictures and the page.",
)
@click.option("--quick", is_flag=True, help="Smaller input: to see that it works.")
def tour_command(*, rooms: tuple[str, ...], out: Path, quick: bool) -> None:
    """Run the main job of each ROOM (all by default) on real input.

    Prints a small table for each, and writes pictures and index.html, which shows every chapter
    that was run into that directory up to now.
    """
    page = run_tour(find_chapters(), out, rooms=rooms, quick=quick)
    click.echo(f"\nwrote {page}")


def find_chapters() -> Registry[Loader]:
    """What loads the chapter of each room that has one."""
    found = Registry[Loader]("room of the tour")
    for _, room, _ in pkgutil.iter_modules(chapters.__path__):
        found.add(room, functools.partial(_load, room))
    return found


def run_tour(
    loaders: Registry[Loader], out: Path, *, rooms: Sequence[str] = (), quick: bool = False
) -> Path:
    """Run chapters into the directory `out`, and give its page.

    A chapter that fails leaves what an earlier run of it wrote; the others still run, and the page
    is written, before the failure is raised. If all are asked for, a chapter whose packages are not
    installed is left out, which is said on stderr.

    Args:
        loaders: what loads each room's chapter.
        out: made if it is not there.
        rooms: whose chapters to run; empty for all.
        quick: smaller input.

    Raises:
        UnknownNameError: if a room has no chapter; before anything is run.
        MissingExtraError: if none could run for want of packages.
        SestinaError: if a chapter failed.
    """
    asked = {room: loaders[room] for room in rooms or loaders}
    out.mkdir(parents=True, exist_ok=True)
    missing: list[MissingExtraError] = []
    failures: dict[str, SestinaError] = {}
    for room, load in asked.items():
        try:
            _run_chapter(room, load(), out, quick=quick)
        except MissingExtraError as error:
            missing.append(error)
            click.echo(f"left out {room}: {error}", err=True)
        except SestinaError as error:
            failures[room] = error
    page = out / "index.html"
    atomic_write_text(page, render_page(read_records(out)))
    if missing and (rooms or len(missing) == len(asked)):
        raise missing[0]
    if failures:
        raise _failure(failures)
    return page


def _load(room: str) -> ChapterModule:
    entry = COMMANDS.get(room)
    with naming_extra(entry.extra or room if entry else room):
        module: Any = importlib.import_module(f"{chapters.__name__}.{room}")
    return module  # type: ignore[no-any-return]


def _run_chapter(room: str, module: ChapterModule, out: Path, *, quick: bool) -> None:
    with drawn_progress() as progress, atomic_directory(out / room) as folder:

        def say(line: str) -> None:
            progress.wipe()
            click.echo(line)

        book = Chapter(
            room=room,
            title=module.TITLE,
            folder=folder,
            quick=quick,
            progress=progress,
            say=say,
        )
        say(f"{room}: {module.TITLE}")
        started_s = time.monotonic()
        module.run(book)
        book.write_record(took_s=time.monotonic() - started_s)


def _failure(failures: Mapping[str, SestinaError]) -> SestinaError:
    problems = "; ".join(f"{room}: {error.problem}" for room, error in failures.items())
    first = next(iter(failures.values()))
    failure = SestinaError(f"chapter failed: {problems}", remedy=first.remedy)
    failure.__cause__ = first
    return failure
