"""What compiling costs: the first two steps of BERT, cold and warm; deep graphs; kernels a step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.figures import Value
from benchmarks.harness import Report, at_least, at_most, main
from benchmarks.workers import ROOT

_STEPS = """
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
import torch
from benchmarks.fuser.models import built
from benchmarks.fuser.ways import made
torch.set_num_threads(1)
model, batch = built("BERT")
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
def spent():
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
start, own, kernels, longest = spent(), [], [0], [0.0]
compiled = made(model, sys.argv[1])
def steps():
    for _ in range(2):
        compiled(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
if sys.argv[1] == "sestina":
    from sestina.fuser.capture.backend import listening
    def note(one):
        own.append(one.seconds)
        kernels[0] += len(one.program.kernels)
    from sestina.fuser.compile import native
    loaded = native._loaded
    def timed(*given):
        begin = time.process_time()
        try:
            return loaded(*given)
        finally:
            longest[0] = max(longest[0], time.process_time() - begin)
    native.machine(), native._runtime(), native._jit()
    native._loaded = timed
    with listening(note):
        steps()
else:
    steps()
    if sys.argv[1] == "inductor":
        import torch._inductor.metrics as metrics
        kernels[0] = metrics.generated_kernel_count
found = {"cpu": spent() - start, "own": sum(own), "kernels": kernels[0], "longest": longest[0]}
print(json.dumps(found))
"""
_DEPTH = """
import json, sys
import torch
from torch import nn
from torch.nn import functional
from sestina.fuser import fuse
from sestina.fuser.capture.backend import listening
class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(32), nn.Linear(32, 32)
    def forward(self, x):
        return x + functional.dropout(functional.gelu(self.linear(self.norm(x))), 0.1)
torch.set_num_threads(1)
torch._dynamo.config.cache_size_limit = 64
model = nn.Sequential(*[Layer() for _ in range(int(sys.argv[1]))])
found = []
with listening(found.append):
    fuse(model)(torch.randn(16, 32)).sum().backward()
nodes = sum(len(one.graph.nodes) for one in found)
print(json.dumps({"seconds": sum(one.seconds for one in found), "nodes": nodes}))
"""


_KERNELS = """
import ctypes, json, sys, time
import torch
from benchmarks.fuser.cases import CASES
from sestina.fuser.capture.backend import listening
from sestina.fuser.compile import native
torch.set_num_threads(1)
native.machine(), native._runtime(), native._jit()
found = []
for case in CASES.values():
    arguments = case.arguments()
    with listening(found.append):
        result = torch.compile(case.function, backend="sestina")(*arguments)
        result.backward(torch.ones_like(result))
spent = []
for one in found:
    for several in one.program.kernels:
        # A line more, and it is another kernel than that of the graph just compiled.
        source = native.Text(several[0].source + sys.argv[1])
        key = native.code_key(source)
        start = time.process_time()
        code, origin = native._object_code(source, key)
        native._linked(code, ("rows",))
        spent.append(time.process_time() - start)
print(json.dumps({"seconds": spent, "origin": origin}))
"""


def _run(code: str, argument: str, cache: Path, *, path: str | None = None) -> dict[str, Any]:
    """The last line that a program prints, with a cache of its own."""
    environment = os.environ | {
        "XDG_CACHE_HOME": str(cache),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    if path is not None:
        environment["PATH"] = path
    done = subprocess.run(
        [sys.executable, "-c", code, argument],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def bench(report: Report) -> None:
    """Rows of one run each: compiling is done once."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        nowhere = str(cache / "no-compilers-here")
        cold = _run(_STEPS, "sestina", cache, path=nowhere)
        warm = _run(_STEPS, "sestina", cache, path=nowhere)
        inductor = _run(_STEPS, "inductor", cache)
        steps = {"model": "BERT", "threads": 1, "steps": 2}
        report.row(
            what="CPU time of the first two steps of BERT, nothing kept, no compiler on PATH",
            workload=steps,
            measured=Value(cold["cpu"], unit="s"),
            target=at_most(6),
            notes={"Inductor, s": inductor["cpu"], "own share, s": cold["own"]},
        )
        report.row(
            what="the same, times that Inductor takes as long",
            workload=steps,
            measured=Value(inductor["cpu"] / cold["cpu"]),
            target=at_least(5),
        )
        report.row(
            what="own share of the first two steps of BERT, kernels kept",
            workload=steps,
            measured=Value(warm["own"], unit="s"),
            target=at_most(0.15),
        )
        report.row(
            what="kernels a training step of BERT",
            workload=steps,
            measured=Value(warm["kernels"]),
            target=at_most(inductor["kernels"]),
        )
        for what, run, target in (
            ("CPU time of writing and compiling a kernel of BERT, the longest", cold, 40e-3),
            ("CPU time of loading a kernel of BERT from disk, the longest", warm, 2e-3),
        ):
            report.row(
                what=what,
                workload=steps | {"kernels": run["kernels"]},
                measured=Value(run["longest"], unit="s"),
                target=at_most(target),
            )
        for what, target in (
            ("CPU time of compiling a kernel of the micro graphs, the longest", 40e-3),
            ("CPU time of loading one from disk, the longest", 2e-3),
        ):
            spent = _run(_KERNELS, "\n", cache)["seconds"]
            report.row(
                what=what,
                workload={"kernels": len(spent)},
                measured=Value(max(spent), unit="s"),
                target=at_most(target),
                notes={"each, s": spent},
            )
        _report_depth(report, cache)


def _report_depth(report: Report, cache: Path) -> None:
    """How planning grows with the graph."""
    _run(_DEPTH, "3", cache)
    few, many = (_run(_DEPTH, str(layers), cache) for layers in (100, 300))
    report.row(
        what="planning time of 300 layers beside that of 100",
        workload={"layer": "LayerNorm+linear+GELU+dropout+residual", "passes": "both"},
        measured=Value(many["seconds"] / few["seconds"]),
        target=at_most(3.6),
        notes={"100 layers": few, "300 layers": many},
    )


if __name__ == "__main__":
    main(bench)
