"""A compiled function as text, at each stage of the pipeline.

What a kernel is and why can be followed from the captured graph to the machine's instructions:
names of tensors, `v7` and the like, are the same from the IR on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import fx

from sestina.fuser.capture.backend import Compiled, backend, intercepting, listening
from sestina.fuser.capture.rewrites import rewritten_by
from sestina.fuser.compile.native import assembly
from sestina.fuser.render.kernel import Rendered
from sestina.fuser.trial import has_graph, is_compiled, run_once, unchanged
from sestina.fuser.verifier import verify_graph, verify_kernel, verify_segments

__all__ = ["STAGES", "Stages", "stages", "stages_of"]

STAGES = (
    "captured",
    "rewritten",
    "ir",
    "segments",
    "schedule",
    "llvm",
    "assembly",
    "program",
)
"""The stages in the order of the pipeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """One graph, forward, backward or of an inference, as text; `str` gives all of it."""

    name: str
    """Which graph it is: inference, forward or backward; empty where that isn't known."""
    captured: str
    """As AOTAutograd gave it: in training, forward and backward together.

    This and the next are empty where only the compiler was listened to, as in scripts.
    """
    rewritten: str
    """As it was lowered: cut in two, duplicates merged, random numbers made to be repeated.

    Its first line names the rewrites that changed something, as a comment, if any did.
    """
    ir: str = ""
    """What each operation became by the legality table; from here on empty where PyTorch runs it.
    """
    segments: str = ""
    """Which nodes are one kernel, what is stored, and why nodes are apart from what they read."""
    schedule: str = ""
    """For each kernel its loops, and what each pass over a row computes and keeps."""
    llvm: str = ""
    """For each kernel the LLVM IR."""
    assembly: str = ""
    """For each kernel the instructions of this CPU."""
    program: str = ""
    """The Python that allocates, calls kernels and ATen, and drops what is not needed any more."""

    def __str__(self) -> str:
        return self.only(STAGES)

    def only(self, names: Sequence[str]) -> str:
        """Some of the stages as one text, each under its name."""
        texts = asdict(self)
        return "\n\n".join(f"── {name} ──\n{texts[name]}" for name in names if texts[name])


def stages(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Stages, ...]:
    """Compiles a function or module for some arguments, and prints each stage of each graph.

    It is called once, backward pass included where the result wants gradients; gradients, buffers
    and random numbers are afterwards what they were. What TorchDynamo has compiled before in this
    process is forgotten, as by `torch._dynamo.reset`.

    Args:
        function: anything that `torch.compile` takes. What is compiled with this backend already
            keeps its options, `dynamic=True` say.
        args: its arguments.
        kwargs: its other arguments.

    Returns:
        The stages of each graph, in the order in which they were compiled.

    Example:
        >>> import torch
        >>> (graph,) = stages(lambda x, y: x.exp() * y, torch.zeros(8), torch.zeros(8))
        >>> print(graph.captured)
        arg0_1: float32[8]
        arg1_1: float32[8]
        exp: float32[8] = aten.exp.default(arg0_1)
        mul: float32[8] = aten.mul.Tensor(exp, arg1_1)
        return mul
        >>> print(graph.segments)
        kernel of 1 rows, 8 columns
          v3: float32[8] = exp(v1)
          v4: float32[8] = mul(v3, v2)
          stores v4
    """
    torch._dynamo.reset()
    capture = _Capture()
    keeps = has_graph(function, args, kwargs)
    try:
        with unchanged(function, args, kwargs), intercepting(capture.note):
            if is_compiled(function):
                run_once(function, args, kwargs, keeps=keeps)
            if not capture.found:
                compiled: Any = torch.compile(function, backend=backend)
                run_once(compiled, args, kwargs, keeps=keeps)
    finally:
        torch._dynamo.reset()  # what was compiled here is for looking at
    return tuple(capture.found)


def stages_of(
    compiled: Compiled, *, name: str = "", captured: str = "", rewritten: str = ""
) -> Stages:
    """The stages of a graph that a listener was told of.

    Args:
        compiled: what it was told.
        name: of the graph, if it is known.
        captured: the graph as it was given, as text, if it is known.
        rewritten: likewise as it was lowered.

    Raises:
        Broken: if what one pass leaves is not what the next one may expect: a mistake here.
    """
    program = compiled.program
    verify_graph(compiled.graph)
    verify_segments(compiled.graph, program.segments)
    for launched in program.kernels:
        verify_kernel(launched[0].kernel)

    def each(text_of: Callable[[Rendered], str]) -> str:
        texts = [
            f"k{index}{_times(launched)}\n{text_of(launched[0]).strip()}"
            for index, launched in enumerate(program.kernels)
        ]
        return "\n\n".join(texts)

    return Stages(
        name=name,
        captured=captured,
        rewritten=rewritten,
        ir=str(compiled.graph),
        segments=str(program.segments),
        schedule=each(lambda one: str(one.kernel)),
        llvm=each(lambda one: one.source),
        assembly=each(lambda one: assembly(one.source)),
        program=program.source.strip(),
    )


class _Capture:
    """Notes what graphs look like before and after they are rewritten."""

    def __init__(self) -> None:
        self.found: list[Stages] = []

    def note(self, told: dict[str, Any]) -> None:
        """Changes what AOTAutograd is told about one graph of TorchDynamo's."""
        divide, joint_text = told["partition_fn"], ""
        changed: tuple[str, ...] = ()

        def partition(joint: fx.GraphModule, *args: Any, **kwargs: Any) -> Any:
            nonlocal joint_text, changed
            joint_text = _written(joint.graph)
            parts = divide(joint, *args, **kwargs)
            changed = rewritten_by(joint)
            return parts

        def noting(name: str, compiler: Callable[..., Any]) -> Callable[..., Any]:
            def compile_(graph: fx.GraphModule, inputs: Sequence[Any]) -> Any:
                before = joint_text or _written(graph.graph)
                heard: list[Compiled] = []
                with listening(heard.append):
                    run = compiler(graph, inputs)
                after = _written(graph.graph)
                if names := changed if joint_text else rewritten_by(graph):
                    after = f"# {', '.join(names)}\n{after}"
                texts = {"name": name, "captured": before, "rewritten": after}
                self.found += [stages_of(one, **texts) for one in heard] or [Stages(**texts)]
                return run

            return compile_

        told["partition_fn"] = partition
        for key, name in _COMPILERS.items():
            if key in told:
                told[key] = noting(name, told[key])


# What AOTAutograd calls the compilers of the three kinds of graphs.
_COMPILERS = {
    "fw_compiler": "forward",
    "bw_compiler": "backward",
    "inference_compiler": "inference",
}


def _times(launched: Sequence[Rendered]) -> str:
    return f", for {len(launched)} tensors alike" if len(launched) > 1 else ""


def _written(graph: fx.Graph) -> str:
    """A graph of torch.fx in the manner of the IR: a line for each node."""
    return "\n".join(_line(node) for node in graph.nodes)


def _line(node: fx.Node) -> str:
    if node.op == "output":
        return f"return {', '.join(map(str, _flat(node.args)))}"
    name = node.name + _typed(node.meta.get("val"))
    if node.op == "placeholder":
        return name
    if node.op == "get_attr":
        return f"{name} = {node.target}"
    target = getattr(node.target, "__name__", node.target)
    if isinstance(node.target, torch._ops.OpOverload):
        target = node.target
    given = [*map(str, node.args), *(f"{key}={value}" for key, value in node.kwargs.items())]
    return f"{name} = {target}({', '.join(given)})"


def _typed(value: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return ""
    sizes = ", ".join(map(str, value.shape))
    return f": {str(value.dtype).removeprefix('torch.')}[{sizes}]"


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _flat(item)
    else:
        yield value
