"""Memory of a training step at its peak, over parameters, gradients and the optimizer's state.

And how many pages the system has to hand out in a step, each of which it first fills with zeros.

What the system counts, not what a library says: the largest resident size of the process. First
come steps that compile and grow what grows. Then everything idle is given back to the system, by
the fuser's pool and by the C library alike, and what is resident now is the floor: interpreter,
libraries, compiled code, parameters and state. The system's high-water mark is set to it, and some
steps later read: so the pool, once it is filled again, counts with all that it holds, and the C
library with the memory that it keeps. Gradients are dropped after each step and so are not in the
floor; their bytes are subtracted, also where the peak comes before they are all there. Pages are
counted in the steps after these, the C library's settings being its own.
"""

from __future__ import annotations

import ctypes
import gc
import resource
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.figures import Value
from benchmarks.fuser.bench_models import FLOAT32, trained
from benchmarks.fuser.models import MODELS
from benchmarks.harness import Report, Worker, at_most, main, repeat
from sestina.fuser import release_memory

PEAK = "benchmarks.fuser.bench_memory:peak"
HELD = ("BERT", "GPT-2", "T5")
TARGETS = {"eager": 0.8, "inductor": 1.0}
WARMUP, STEPS, PROCESSES, RUNS = 3, 3, 3, 3
_MIB, _PAGE = 2**20, resource.getpagesize()


def peak(workload: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
    """A few steps, and what they had in memory at most."""
    model, run_step = trained(workload)
    for _ in range(WARMUP):
        run_step()
    gradients = sum(param.nbytes for param in model.parameters() if param.requires_grad)

    def run() -> dict[str, Any]:
        gc.collect()
        release_memory()
        ctypes.CDLL(None).malloc_trim(0)
        floor = _status("VmRSS")
        # 5: the high-water mark becomes what is resident now; see proc(5).
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        for _ in range(STEPS):
            run_step()
        over = _status("VmHWM") - floor
        before = _faults()
        for _ in range(STEPS):
            run_step()
        return {"over": over - gradients, "faults": (_faults() - before) / STEPS}

    return run


def bench(report: Report) -> None:
    """A row for each model, and one beside each peer."""
    for model in MODELS:
        workload = FLOAT32.workload(model) | {"steps": STEPS, "warm-up": WARMUP}
        ours, faults = _measured(model, "sestina")
        low, _, high = statistics.quantiles(ours, n=4, method="inclusive")
        report.row(
            what=f"peak memory of a training step of {model}, over what stays",
            workload=workload,
            measured=Value(statistics.median(ours), "MiB", (low, high), len(ours)),
            notes={"each, MiB": ours},
        )
        others: dict[str, list[float]] = {}
        for peer, target in TARGETS.items():
            theirs, others[f"each of {peer}"] = _measured(model, peer)
            part = statistics.median(ours) / statistics.median(theirs)
            report.row(
                what=f"peak memory of a training step of {model}, a part of that of {peer}",
                workload=workload | {"peer": peer},
                measured=Value(part, runs=len(theirs)),
                target=at_most(target) if model in HELD else None,
                notes={f"each of {peer}, MiB": theirs},
            )
        report.row(
            what=f"fresh pages that a training step of {model} takes, in MiB",
            workload=workload,
            measured=Value(statistics.median(faults), "MiB", runs=len(faults)),
            notes={"each": faults} | others,
        )


def _measured(model: str, how: str) -> tuple[list[float], list[float]]:
    """MiB at the peak, and of fresh pages in a step.

    How the C library's memory falls to pieces differs from process to process.
    """
    found, fresh = [], []
    for _ in range(PROCESSES):
        with Worker(PEAK, FLOAT32.workload(model) | {"how": how}) as worker:
            samples = repeat(worker, runs=RUNS, warmup=0).ours
        found += [round(sample.extra["over"] / _MIB, 1) for sample in samples]
        fresh += [round(sample.extra["faults"] * _PAGE / _MIB, 1) for sample in samples]
    return found, fresh


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _status(name: str) -> int:
    """A size that the system states of this process, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    msg = f"/proc/self/status has no {name}: run this on Linux"
    raise OSError(msg)


if __name__ == "__main__":
    main(bench)
