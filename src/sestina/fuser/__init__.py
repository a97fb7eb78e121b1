"""A compiler that fuses what PyTorch runs one operation at a time, on the CPU.

`torch.compile(model, backend="sestina")` is all there is to it: TorchDynamo captures the model,
forward and backward are planned as few kernels, these are generated and compiled in this process.

>>> import torch
>>> from sestina.fuser import fuse
>>> layer = fuse(lambda x, w: torch.softmax(x * w, dim=-1))
>>> layer(torch.zeros(2, 4), torch.ones(4))
tensor([[0.2500, 0.2500, 0.2500, 0.2500],
        [0.2500, 0.2500, 0.2500, 0.2500]])
"""

from __future__ import annotations

from sestina.core.extras import naming_extra

with naming_extra("fuser"):
    from sestina.fuser.capture.backend import backend
    from sestina.fuser.capture.direct import fuse, memory_efficient_fusion
    from sestina.fuser.capture.fallbacks import FallbackWarning
    from sestina.fuser.capture.guards import recompile_reasons
    from sestina.fuser.memory import held_bytes, release_memory
    from sestina.fuser.options import FuserOptions
    from sestina.fuser.pipeline import Stages, stages
    from sestina.fuser.report import Report, explain

__all__ = [
    "FallbackWarning",
    "FuserOptions",
    "Report",
    "Stages",
    "backend",
    "explain",
    "fuse",
    "held_bytes",
    "memory_efficient_fusion",
    "recompile_reasons",
    "release_memory",
    "stages",
]
