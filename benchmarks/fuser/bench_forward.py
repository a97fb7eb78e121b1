"""LayerNorm+GELU forward, 4096×4096: results dropped each time, and kept alive."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.fuser.ways import ALLOCATORS, PEERS, made
from benchmarks.harness import Report, Worker, alternate, at_least, main

FORWARD = "benchmarks.fuser.bench_forward:forward"
SIZE = 4096
TARGETS = {("eager", 0): 6, ("inductor", 0): 4, ("eager", 4): 4.5, ("inductor", 4): 2.5}


def forward(workload: Mapping[str, Any]) -> Callable[[], None]:
    """One call without gradients; the last results stay referred to."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, w, b = torch.randn(SIZE, SIZE), torch.randn(SIZE), torch.randn(SIZE)
    kept: deque[Tensor] = deque(maxlen=workload["kept"])

    def normalised(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return functional.gelu(functional.layer_norm(x, (SIZE,), w, b))

    function = made(normalised, workload["how"])

    def run() -> None:
        with torch.no_grad():
            kept.append(function(x, w, b))

    run()
    return run


def bench(report: Report) -> None:
    """A row for each peer, dropped and kept, with memory as it comes and with all pages kept."""
    for allocator, environment in ALLOCATORS.items():
        for (peer, kept), times in TARGETS.items():
            with (
                Worker(FORWARD, {"how": "sestina", "kept": kept}, environment=environment) as ours,
                Worker(FORWARD, {"how": peer, "kept": kept}, environment=environment) as theirs,
            ):
                measured = alternate(ours, theirs, warmup=6)
            fate = f"the last {kept} results kept alive" if kept else "results dropped"
            is_plain = allocator == "as it comes"
            marked = "" if is_plain else f", {allocator}"
            report.row(
                what=f"LayerNorm+GELU forward 4096×4096, {fate}{marked}, beside {peer}",
                workload={"peer": peer, "kept": kept, "threads": 1, "allocator": allocator},
                measured=measured,
                # Set when fresh pages were two fifths of what eager took.
                target=at_least(times, of="ratio") if is_plain else None,
            )


assert set(PEERS) == {peer for peer, _ in TARGETS}

if __name__ == "__main__":
    main(bench)
