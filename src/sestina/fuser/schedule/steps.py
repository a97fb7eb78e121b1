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
| `total` | the value | `how`, `place`; `over` all rows, or rows and columns: their loops |
| `store` | the value | `place` |
| `scatter` | the value, the index | as `take`; `how`: sum, last; `along`: loops run in order |
"""

from __future__ import annotations

from collections.abc import Mapping
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

    def __str__(self) -> str:
        terms = [
            f"a{axis.number}" if stride == 1 else f"{stride}·a{axis.number}"
            for axis, stride in self.strides.items()
            if stride != 0
        ]
        if self.offset != 0 or not terms:
            terms.append(str(self.offset))
        return f"{self.base.name if self.base else ''}[{' + '.join(terms)}]"


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

    def written(self, names: Mapping[Step, str]) -> str:
        """The step as a line of text.

        Args:
            names: what its operands are called; others go by what they are.
        """
        operands = [names.get(operand, operand.kind) for operand in self.operands]
        shown = [f"{key}={self.attributes[key]}" for key in _SHOWN if key in self.attributes]
        if "place" in self.attributes:
            shown.insert(0, str(self.place))
        dtype = str(self.dtype).removeprefix("torch.")
        return f"{dtype} {self.kind}({', '.join(operands + shown)})"

    def __str__(self) -> str:
        return self.written({})


_SHOWN = ("how", "value", "extent", "start", "stride", "stream")
