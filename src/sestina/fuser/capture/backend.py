"""The backend of `torch.compile`: AOTAutograd's graphs, compiled one by one."""

from __future__ import annotations

import functools
import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from functorch.compile import make_boxed_func, min_cut_rematerialization_partition
from torch import fx
from torch._dynamo.backends.common import aot_autograd

from sestina.core.errors import OptionError
from sestina.core.options import options_from_mapping
from sestina.fuser.capture.fallbacks import tell_graph, tell_operations
from sestina.fuser.capture.rewrites import INFERENCE, partition, rewrite
from sestina.fuser.capture.support import is_supported
from sestina.fuser.capture.unused import backward_for, undefined
from sestina.fuser.ir.nodes import Graph
from sestina.fuser.launch.program import Program, assemble
from sestina.fuser.lower.graph import NotCaptured, lower
from sestina.fuser.options import FuserOptions

__all__ = ["MODES", "Compiled", "backend", "compilers", "intercepting", "listening"]

MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
"""Those of `torch.compile`. They ask TorchInductor for CUDA graphs and for measured choices; here
there are no CUDA graphs, and what is measured, products of matrices, is measured in every mode."""


@dataclass(slots=True)
class Compiled:
    """One graph that was compiled, for those who listen.

    Attributes:
        graph: its IR.
        reasons: for each operation that ATen computes for want of a lowering, why.
        program: what runs it; replace its `run` to run something else.
        seconds: that planning, generating and compiling took.
    """

    graph: Graph
    reasons: dict[str, str]
    program: Program
    seconds: float


_listeners: list[Callable[[Compiled], None]] = []


@contextmanager
def listening(tell: Callable[[Compiled], None]) -> Iterator[None]:
    """Tells of each graph that is compiled within the block, in any thread."""
    _listeners.append(tell)
    try:
        yield
    finally:
        _listeners.remove(tell)


_interceptors: list[Callable[[dict[str, Any]], None]] = []


@contextmanager
def intercepting(change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Changes what AOTAutograd is told, for each graph that is captured within the block."""
    _interceptors.append(change)
    try:
        yield
    finally:
        _interceptors.remove(change)


def backend(
    captured: fx.GraphModule,
    example_inputs: Sequence[Any],
    *,
    mode: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """Compiles what TorchDynamo captured; `torch.compile(model, backend="sestina")` calls it.

    Args:
        captured: the graph.
        example_inputs: its arguments, or stand-ins of their shapes.
        mode: of `torch.compile`: one of `MODES`, which all give the same kernels.
        options: fields of `FuserOptions`.

    Returns:
        A function of the graph's arguments.

    Raises:
        OptionError: for a mode or an option that there is none of.
        NotFusedError: where the options are strict and ATen would have to compute something.
    """
    if mode is not None and mode not in MODES:
        raise OptionError(
            "mode",
            mode,
            expected=f"one of {', '.join(MODES)}",
            remedy="leave it out: every mode gives the same kernels",
        )
    chosen = options_from_mapping(FuserOptions, dict(options or {}))
    told = compilers(chosen)
    takes_none: list[bool] = []
    if "bw_compiler" in told:
        told["bw_compiler"] = functools.partial(_compiled_backward, chosen, takes_none)
    for change in _interceptors:
        change(told)
    with _without_collections():
        return undefined(aot_autograd(**told)(captured, example_inputs), takes_none)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Puts off the collection of garbage: capturing and planning keep nearly all that they make."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def compilers(options: FuserOptions) -> dict[str, Any]:
    """What AOTAutograd is told, by its own names."""
    if not is_supported():
        return {"fw_compiler": _left, "partition_fn": min_cut_rematerialization_partition}
    compiled = functools.partial(_without_collections()(_compiled), options)
    return {
        "fw_compiler": compiled,
        "bw_compiler": compiled,
        "inference_compiler": functools.partial(_compiled_inference, options),
        "partition_fn": functools.partial(partition, options),
        "keep_inference_input_mutations": True,
    }


def _left(captured: fx.GraphModule, _example_inputs: Sequence[Any]) -> Callable[..., Any]:
    """The graph as PyTorch runs it by itself."""
    run: Callable[..., Any] = make_boxed_func(captured.forward)
    return run


def _compiled_inference(
    options: FuserOptions, captured: fx.GraphModule, example_inputs: Sequence[Any]
) -> Any:
    rewrite(captured.graph, INFERENCE, options)
    captured.recompile()
    return _compiled(options, captured, example_inputs)


def _compiled_backward(
    options: FuserOptions,
    takes_none: list[bool],
    captured: fx.GraphModule,
    example_inputs: Sequence[Any],
) -> Any:
    compile_ = _without_collections()(_compiled)
    run, is_taken = backward_for(
        captured,
        lambda graph: compile_(options, graph, example_inputs),
        # Who listens is told of what will run, and errors come where the model is compiled.
        at_once=bool(options.strict or _listeners),
    )
    if is_taken:
        takes_none.append(True)
    return _boxed(run)


def _compiled(
    options: FuserOptions, captured: fx.GraphModule, example_inputs: Sequence[Any]
) -> Callable[..., Any]:
    start = time.perf_counter()
    try:
        lowered = lower(captured)
        program = assemble(lowered.graph)
    except NotCaptured as reason:
        tell_graph(str(reason), strict=options.strict)
        return _left(captured, example_inputs)
    except Exception as error:  # noqa: BLE001 - a mistake of ours costs speed and not the result
        tell_graph(f"no kernels for it, {type(error).__name__}: {error}", strict=options.strict)
        return _left(captured, example_inputs)
    tell_operations(lowered.reasons, strict=options.strict)
    run: Callable[..., Any] = program.run
    if _listeners:
        seconds = time.perf_counter() - start
        compiled = Compiled(lowered.graph, lowered.reasons, program, seconds)
        for tell in _listeners:
            tell(compiled)

        def run(args: list[Any]) -> list[Any]:  # the program's own may be replaced
            return program.run(args)

    return _boxed(run)


def _boxed(run: Callable[..., Any]) -> Callable[..., Any]:
    """Marked as AOTAutograd asks for it: the arguments come as a list, which may be emptied."""
    run._boxed_call = True  # type: ignore[attr-defined]
    return run
