"""`sestina fuser cache`: the kernels that are kept on disk."""

from __future__ import annotations

import datetime as dt

import click

from sestina.cli.output import json_option, print_json, print_listing
from sestina.fuser.compile.native import kernel_cache

__all__ = ["cache_commands"]


@click.group("cache")
def cache_commands() -> None:
    """List or clear the kernels that are kept on disk."""


@cache_commands.command("list")
@json_option
def _list_command(*, as_json: bool) -> None:
    """List compiled kernels, the last used first."""
    records: list[dict[str, object]] = [
        {
            "kernel": kernel.name[:16],
            "bytes": kernel.size_bytes,
            "last used": dt.datetime.fromtimestamp(kernel.last_used, tz=dt.UTC).isoformat(
                timespec="seconds"
            ),
        }
        for kernel in kernel_cache().kernels()
    ]
    if not records and not as_json:
        click.echo(f"no kernels in {kernel_cache().folder}")
        return
    print_listing(records, as_json=as_json)


@cache_commands.command("clear")
@json_option
def _clear_command(*, as_json: bool) -> None:
    """Remove every compiled kernel; they are compiled again when they are needed."""
    count = kernel_cache().clear()
    if as_json:
        print_json({"removed": count})
    else:
        click.echo(f"removed {count} kernels from {kernel_cache().folder}")
