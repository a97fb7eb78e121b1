"""The commands of `sestina`: where each one is, so that none is loaded before it is called."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass

import click

from sestina.core.extras import naming_extra

__all__ = ["COMMANDS", "Entry", "is_present", "load_command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A command or group of commands."""

    module: str
    """Where it is; a module that this copy of sestina lacks is a command that it lacks."""
    attribute: str
    """The click command in that module."""
    summary: str
    """What `sestina --help` says of it; stands here, too, for help to load nothing."""
    extra: str | None = None
    """The extra of sestina that brings what it needs."""


COMMANDS: dict[str, Entry] = {
    "cache": Entry(
        module="sestina.cli.fuser",
        attribute="cache_commands",
        summary="List or clear the compiler's kernels on disk, and what it measured.",
        extra="fuser",
    ),
    "decode": Entry(
        module="sestina.cli.decoding",
        attribute="commands",
        summary="Turn token scores, or sound, into text.",
        extra="decoding",
    ),
    "doctor": Entry(
        module="sestina.cli.doctor",
        attribute="doctor_command",
        summary="Show what this machine has, and what each missing part costs.",
    ),
    "fuser": Entry(
        module="sestina.cli.fuser",
        attribute="commands",
        summary="Show what the compiler makes of a model.",
        extra="fuser",
    ),
    "ntk": Entry(
        module="sestina.cli.ntk",
        attribute="commands",
        summary="Design a network from a kernel.",
        extra="ntk",
    ),
    "tour": Entry(
        module="sestina.cli.tour",
        attribute="tour_command",
        summary="Run the main job of each room on real input, with pictures.",
    ),
}
"""Every command by its name. A room adds one entry."""


def is_present(name: str) -> bool:
    """Whether this copy of sestina has the command; loads nothing."""
    entry = COMMANDS.get(name)
    return entry is not None and importlib.util.find_spec(entry.module) is not None


def load_command(name: str) -> click.Command:
    """The command of that name, which must be present.

    Raises:
        MissingExtraError: if a package that it needs is not installed.
    """
    entry = COMMANDS[name]
    with naming_extra(entry.extra or name):
        command = getattr(importlib.import_module(entry.module), entry.attribute)
    assert isinstance(command, click.Command)
    return command
