"""`sestina fuser explain`: the kernels of a script, or of a function with its arguments."""

from __future__ import annotations

import importlib
import inspect
import runpy
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from sestina.cli.fuser.blaming import blaming
from sestina.cli.output import json_option, print_json
from sestina.core.errors import InvalidValueError
from sestina.fuser.capture.backend import Compiled, listening
from sestina.fuser.capture.fallbacks import hearing
from sestina.fuser.pipeline import STAGES, Stages, stages, stages_of
from sestina.fuser.report import Report, explain, report_of, timing

__all__ = ["explain_command"]

_OF_SCRIPTS = (
    "times are the shortest of the script's own calls; whether a call would be compiled anew is "
    "told of module:function"
)


@click.command("explain")
@click.argument("target")
@click.argument("arguments", nargs=-1)
@click.option("--graph", "shows_graph", is_flag=True, help="Print the IR of each graph, too.")
@click.option("--source", metavar="KERNEL", help="Print the LLVM IR of a kernel, as 0.k1, too.")
@click.option(
    "--stage",
    "names",
    type=click.Choice(STAGES),
    multiple=True,
    help="Print each graph at this stage instead; may be given several times.",
)
@click.option("--stages", "shows_all", is_flag=True, help="Print all stages.")
@json_option
def explain_command(
    target: str,
    arguments: Sequence[str],
    *,
    shows_graph: bool,
    source: str | None,
    names: Sequence[str],
    shows_all: bool,
    as_json: bool,
) -> None:
    """Show which kernels TARGET becomes, what they cost, and what ATen computes.

    TARGET is a script, which runs with ARGUMENTS (after -- if they begin with a dash) and whose
    calls of torch.compile(..., backend="sestina") are reported; or module:function, a function
    without arguments that gives a function or module of PyTorch followed by its arguments, as a
    tuple. That one is compiled, run and timed.
    """
    if (names or shows_all) and (shows_graph or source is not None):
        given = "--graph" if shows_graph else f"--source {source}"
        raise click.UsageError(f"{given} is of the report; as stages, ask for ir and llvm")
    is_script = target.endswith(".py")
    if arguments and not is_script:
        raise InvalidValueError(
            "ARGUMENTS",
            " ".join(arguments),
            expected="none: only a script takes them",
            remedy="leave them out, and let the function give them",
        )
    looked_at = _Script(target, arguments) if is_script else _Function(target)
    if names or shows_all:
        _print_stages(looked_at.stages(), STAGES if shows_all else names, as_json=as_json)
        return
    report = looked_at.report()
    chosen = _kernel_source(report, source) if source is not None else None
    if as_json:
        print_json(asdict(report))
        return
    click.echo(str(report))
    if isinstance(looked_at, _Script):
        click.echo(f"\n{_OF_SCRIPTS}")
    if shows_graph:
        for number, graph in enumerate(report.graphs):
            click.echo(f"\ngraph {number}\n{graph}")
    if chosen is not None:
        click.echo(f"\n{chosen}")


def _print_stages(graphs: Sequence[Stages], names: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        kept = ("name", *names)
        print_json([{k: v for k, v in asdict(one).items() if k in kept} for one in graphs])
        return
    for number, one in enumerate(graphs):
        title = f"graph {number}" + (f", {one.name}" if one.name else "")
        click.echo(f"{title}\n\n{one.only(names)}\n")


@dataclass(frozen=True, slots=True)
class _Script:
    target: str
    arguments: Sequence[str]

    def report(self) -> Report:
        """Of all that the script compiles, with the times of its calls."""
        left: list[str] = []
        with timing() as times, hearing(left.append):
            found = self._compiled(times.watch)
        if not found and not left:
            raise self._nothing()
        return report_of(found, times.least(), left=left)

    def stages(self) -> list[Stages]:
        """Of all that the script compiles."""
        found = self._compiled(lambda _: None)
        if not found:
            raise self._nothing()
        return [stages_of(one) for one in found]

    def _compiled(self, tell: Callable[[Compiled], None]) -> list[Compiled]:
        path = Path(self.target)
        if not path.is_file():
            raise InvalidValueError(
                "TARGET", self.target, expected="a script that exists", remedy="check the path"
            )
        found: list[Compiled] = []
        before = sys.argv
        sys.argv = [self.target, *self.arguments]
        # Where Python itself looks first for what a script imports.
        sys.path.insert(0, str(path.resolve().parent))
        try:
            with blaming(self.target, path), listening(found.append), listening(tell):
                _run(path)
        finally:
            sys.path.pop(0)
            sys.argv = before
        return found

    def _nothing(self) -> InvalidValueError:
        return InvalidValueError(
            "TARGET",
            self.target,
            expected="a script that compiles something",
            remedy='let it call torch.compile(model, backend="sestina")',
        )


def _run(path: Path) -> None:
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as stop:
        if stop.code not in {None, 0}:
            raise


@dataclass(frozen=True, slots=True)
class _Function:
    target: str

    def report(self) -> Report:
        """Of the function, with what it took."""
        function, arguments, path = self._made()
        with blaming(self.target, path):
            return explain(function, *arguments)

    def stages(self) -> list[Stages]:
        """Of the function."""
        function, arguments, path = self._made()
        with blaming(self.target, path):
            return list(stages(function, *arguments))

    def _made(self) -> tuple[Callable[..., Any], list[Any], Path]:
        module_name, colon, name = self.target.partition(":")
        if not colon or not module_name or not name:
            raise InvalidValueError(
                "TARGET",
                self.target,
                expected="script.py or module:function",
                remedy="as in: sestina fuser explain train.py",
            )
        if not all(part.isidentifier() for part in module_name.split(".")) or (
            module_name.endswith(".py")
        ):
            plain = module_name.removesuffix(".py").strip("./").replace("/", ".")
            raise InvalidValueError(
                "TARGET",
                self.target,
                expected="a module named as for an import",
                remedy=f"as in: sestina fuser explain {plain}:{name}",
            )
        path = Path(f"{module_name.replace('.', '/')}.py")
        sys.path.insert(0, "")
        try:
            with blaming(self.target, path):
                module = _imported(self.target, module_name)
                path = Path(getattr(module, "__file__", None) or path)
            with blaming(self.target, path):
                function, *arguments = _called(self.target, module, name)
        finally:
            sys.path.remove("")
        return function, arguments, path


def _imported(target: str, name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there, and what it imports is not
        raise InvalidValueError(
            "TARGET",
            target,
            expected="a module that can be imported from here",
            remedy=f"{error}; call this where the module is",
        ) from error


def _called(target: str, module: Any, name: str) -> tuple[Any, ...]:
    function: Callable[[], Any] | None = getattr(module, name, None)
    made = function() if callable(function) and _takes_nothing(function) else None
    if not isinstance(made, tuple) or not made or not callable(made[0]):
        raise InvalidValueError(
            "TARGET",
            target,
            expected="a function without arguments that gives (function, argument, …)",
            remedy="define one, as: def example(): return model, torch.randn(8, 32)",
        )
    return made


def _takes_nothing(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:  # of some builtins nothing is known
        pass
    return True


def _kernel_source(report: Report, name: str) -> str:
    sources = {kernel.name: kernel.source for kernel in report.kernels}
    if name not in sources:
        raise InvalidValueError(
            "--source", name, expected=", ".join(sources) or "a kernel", remedy="name one of these"
        )
    return sources[name]
