"""Forward map: how much a process grows while it computes both kernels of 10,000 inputs."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.harness import Report, Value, Worker, at_most, main
from benchmarks.ntk.bench_matrices import inputs_of, network_of

N = 10_000


def peak_memory(workload):
    """Both kernels, and by how much the process grew at its largest."""
    x1, x2 = inputs_of(workload)
    network = network_of(workload)
    network.kernels(x1[:300])  # what is loaded on first use

    def run():
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the peak so far
        before = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        network.kernels(x1, x2)
        peak = Path("/proc/self/status").read_text(encoding="ascii")
        peak_bytes = int(peak.partition("VmHWM:")[2].split()[0]) * 1024
        return {"growth_bytes": peak_bytes - before * os.sysconf("SC_PAGE_SIZE")}

    return run


def bench(report: Report) -> None:
    for d, norms in ((100, "equal"), (100, "unequal"), (3072, "equal")):
        workload = {
            "n": N,
            "d": d,
            "depth": 4,
            "sigma_b": 0.1,
            "square": True,
            "norms": norms,
            "dtype": "float32",
        }
        with Worker("benchmarks.ntk.bench_memory:peak_memory", workload, num_cores=2) as mine:
            growth = max(mine.run().extra["growth_bytes"] for _ in range(3))
        report.row(
            what=f"memory, both kernels, d = {d}, {norms} norms",
            workload=workload,
            measured=Value(growth / 1e6, unit="MB", runs=3),
            limit=2 * N * N * 4 / 1e6,
            target=at_most((2 * N * N * 4 + 200e6) / 1e6),
        )


if __name__ == "__main__":
    main(bench)
