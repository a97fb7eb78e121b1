"""What `explain` predicts of the graphs of bench_micro: bytes and times beside those counted."""

from __future__ import annotations

import os
import tempfile

import torch

from benchmarks.figures import Value
from benchmarks.fuser.cases import CASES
from benchmarks.harness import Report, at_most, main
from sestina.fuser.capture.backend import Compiled, listening
from sestina.fuser.report import explain

BYTES, TIME = 0.05, 0.3


def counted_bytes(found: list[Compiled]) -> int:
    """The bytes of the tensors whose addresses each kernel is called with."""
    kernels = [one for each in found for launched in each.program.kernels for one in launched]
    return sum(
        int(base.num_elements) * base.dtype.itemsize for one in kernels for base in one.bases
    )


def bench(report: Report) -> None:
    """Two rows for each graph, of one thread; what things cost is measured just before."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        _compare(report)


def _compare(report: Report) -> None:
    torch.set_num_threads(1)
    for name, case in CASES.items():
        torch.manual_seed(0)
        found: list[Compiled] = []
        with listening(found.append):
            explained = explain(case.function, *case.arguments())
        kernels = explained.kernels
        measured = sum(kernel.seconds or 0.0 for kernel in kernels)
        predicted = sum(kernel.predicted_seconds or 0.0 for kernel in kernels)
        moved = sum(kernel.bytes_moved or 0 for kernel in kernels)
        counted = counted_bytes(found[-len(explained.graphs) :])
        workload = {"case": name, "threads": 1}
        report.row(
            what=f"{name}: predicted bytes, their distance from those of the arguments",
            workload=workload,
            measured=Value(abs(moved / counted - 1)),
            target=at_most(BYTES),
            notes={"predicted": moved, "of arguments": counted},
        )
        report.row(
            what=f"{name}: predicted time of its kernels, its distance from the measured one",
            workload=workload,
            measured=Value(abs(predicted / measured - 1)),
            target=at_most(TIME),
            notes={
                "predicted, s": predicted,
                "measured, s": measured,
                "kernels": {
                    kernel.name: [kernel.predicted_seconds, kernel.seconds] for kernel in kernels
                },
            },
        )


if __name__ == "__main__":
    main(bench)
