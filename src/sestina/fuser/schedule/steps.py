"""What a kernel does, one value after another, with every address a sum of strides.

| kind | operands | attributes |
|---|---|---|
| `load` | – | `place` |
| `constant` | – | `value` |
| `size` | – | `extent` |
| `index` | – | `place` without a base: the element is its own address |
| `uniform` | the seed | `place` without a base: the element's number; `stream` |
| `take` | the index | `place`, `stride` of the index, `extent` that it stays below |
| `inset` | the index, the value around | `place` of index 0, `start`, `extent` |
| `scan` | the value | `how`; `along`: the columns' loop that it is of what has run so far of |
| a name of `OPERATIONS` | values | – |
| `reduce` | the value | `how`; over the columns of a row |
| `total` | the value | `how`, `place`; over all rows, or over rows and columns |
| `store` | the value | `place` |
| `scatter` | the value, the index | `place` of index 0, `stride`, `extent`; adds |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from sestina.fuser.ir.extents import Extent
from sestina.fuser.ir.nodes import Node
from sestina.fuser.segment.axes import Axis

__all__ = ["Place", "Step"]


@dataclass(frozen=True, slots=True)
class Place:
    """Addresses in a tensor, in elements: an offset, and a stride for each axis."""

    base: Node | None
    offset: Extent
    strides: dict[Axis, Extent]

    def stride(self, axis: Axis) -> Extent:
        """Of an axis; 0 where the tensor doesn't depend on it."""
        return self.strides.get(axis, 0)


@dataclass(eq=False, slots=True)
class Step:
    """One value of a kernel; see the module's table.

    Attributes:
        axes: the loops that it depends on.
        level: how many sums over columns have to be there before it; the pass that makes it.
    """

    kind: str
    operands: tuple[Step, ...]
    dtype: torch.dtype
    axes: frozenset[Axis]
    attributes: dict[str, Any] = field(default_factory=dict)
    level: int = 0

    @property
    def place(self) -> Place:
        """Where a load, store, take or total is."""
        place: Place = self.attributes["place"]
        return place
