"""`sestina fuser explain`: the kernels of a script, or of a function with its arguments."""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from sestina.cli.output import json_option, print_json
from sestina.core.errors import InvalidValueError
from sestina.fuser.capture.backend import Compiled, listening
from sestina.fuser.report import Report, explain, report_of

__all__ = ["explain_command"]


@click.command("explain")
@click.argument("target")
@click.argument("arguments", nargs=-1)
@click.option("--graph", "shows_graph", is_flag=True, help="Print the IR of each graph, too.")
@click.option("--source", metavar="KERNEL", help="Print the LLVM IR of a kernel, as 0.k1, too.")
@json_option
def explain_command(
    target: str, arguments: Sequence[str], *, shows_graph: bool, source: str | None, as_json: bool
) -> None:
    """Show which kernels TARGET becomes, what they cost, and what ATen computes.

    TARGET is a script, which runs with ARGUMENTS and whose calls of
    torch.compile(..., backend="sestina") are reported; or module:function, a function without
    arguments that gives a function or module of PyTorch followed by its arguments, as a tuple.
    That one is compiled, run and timed.
    """
    report = _of_script(target, arguments) if target.endswith(".py") else _of_function(target)
    chosen = _kernel_source(report, source) if source is not None else None
    if as_json:
        print_json(asdict(report))
        return
    click.echo(str(report))
    if shows_graph:
        for number, graph in enumerate(report.graphs):
            click.echo(f"\ngraph {number}\n{graph}")
    if chosen is not None:
        click.echo(f"\n{chosen}")


def _of_script(target: str, arguments: Sequence[str]) -> Report:
    path = Path(target)
    if not path.is_file():
        raise InvalidValueError(
            "TARGET", target, expected="a script that exists", remedy="check the path"
        )
    found: list[Compiled] = []
    before = sys.argv
    sys.argv = [target, *arguments]
    try:
        with listening(found.append):
            runpy.run_path(str(path), run_name="__main__")
    finally:
        sys.argv = before
    if not found:
        raise InvalidValueError(
            "TARGET",
            target,
            expected="a script that compiles something",
            remedy='let it call torch.compile(model, backend="sestina")',
        )
    return report_of(found)


def _of_function(target: str) -> Report:
    module_name, colon, name = target.partition(":")
    if not colon or not module_name or not name:
        raise InvalidValueError(
            "TARGET",
            target,
            expected="script.py or module:function",
            remedy="as in: sestina fuser explain train.py",
        )
    sys.path.insert(0, "")
    try:
        made = _called(target, importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        raise InvalidValueError(
            "TARGET",
            target,
            expected="a module that can be imported from here",
            remedy=f"{error}; call this where the module is",
        ) from error
    finally:
        sys.path.remove("")
    function, *arguments = made
    return explain(function, *arguments)


def _called(target: str, module: Any, name: str) -> tuple[Any, ...]:
    function: Callable[[], Any] | None = getattr(module, name, None)
    made = function() if callable(function) else None
    if not isinstance(made, tuple) or not made or not callable(made[0]):
        raise InvalidValueError(
            "TARGET",
            target,
            expected="a function without arguments that gives (function, argument, …)",
            remedy="define one, as: def example(): return model, torch.randn(8, 32)",
        )
    return made


def _kernel_source(report: Report, name: str) -> str:
    sources = {kernel.name: kernel.source for kernel in report.kernels}
    if name not in sources:
        raise InvalidValueError(
            "--source", name, expected=", ".join(sources) or "a kernel", remedy="name one of these"
        )
    return sources[name]
