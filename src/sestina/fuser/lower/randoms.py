"""Random tensors by position: the operation that capture puts in the place of ATen's."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sestina.fuser.ir.extents import Extent
from sestina.fuser.ir.nodes import Builder, Node
from sestina.fuser.lower.table import lowering
from sestina.fuser.random import UNIFORM

__all__: list[str] = []


@lowering(UNIFORM)
def _uniform(b: Builder, seed: Node, shape: Sequence[Extent], stream: int) -> Node:
    return b.make("uniform", (seed,), shape, torch.float32, stream=stream)
