"""`sestina cache`: the kernels that are kept on disk, and what was measured of this machine."""

from __future__ import annotations

import datetime as dt

import click

from sestina.cli.output import json_option, print_json, print_listing
from sestina.fuser import measured
from sestina.fuser.compile import native
from sestina.fuser.compile.cache import CachedKernel

__all__ = ["cache_commands"]


@click.group("cache")
def cache_commands() -> None:
    """List or clear the kernels that are kept on disk, and what was measured of this machine."""


@cache_commands.command("list")
@json_option
def _list_command(*, as_json: bool) -> None:
    """List compiled kernels, and what was measured to choose among ways, the last used first."""
    cache = native.kernel_cache()
    cache.check()
    records = [_record("kernel", kernel, kernel.name[:16]) for kernel in cache.kernels()]
    records += [_record("measurement", one, one.name) for one in measured.kept()]
    if not records and not as_json:
        click.echo(f"no kernels in {cache.folder}")
        return
    print_listing(records, as_json=as_json)


def _record(kind: str, kept: CachedKernel, name: str) -> dict[str, object]:
    used = dt.datetime.fromtimestamp(kept.last_used, tz=dt.UTC).isoformat(timespec="seconds")
    return {"kind": kind, "name": name, "bytes": kept.size_bytes, "last used": used}


@cache_commands.command("clear")
@json_option
def _clear_command(*, as_json: bool) -> None:
    """Remove every compiled kernel and measurement; they are made again when they are needed."""
    cache = native.kernel_cache()
    cache.check()
    kernels, measurements = cache.clear(), measured.forget()
    if as_json:
        print_json({"removed": kernels, "measurements": measurements})
    else:
        click.echo(f"removed {kernels} kernels and {measurements} measurements from {cache.folder}")
