"""Where the elements of a tensor lie in its storage, and what views make of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sestina.fuser.ir.extents import Extent, contiguous_strides, product

__all__ = ["Layout"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Shape, strides and offset of a tensor, in elements.

    The methods are those views that need no copy; `reshaped` gives None where one is needed.
    """

    shape: tuple[Extent, ...]
    strides: tuple[Extent, ...]
    offset: Extent = 0

    @classmethod
    def contiguous(cls, shape: Sequence[Extent]) -> Layout:
        """That of a new tensor."""
        return cls(tuple(shape), contiguous_strides(shape))

    @property
    def is_dense(self) -> bool:
        """Whether the elements fill a stretch of memory, each place once, in any order."""
        pairs = sorted(
            (
                (stride, extent)
                for stride, extent in zip(self.strides, self.shape, strict=True)
                if extent != 1
            ),
            key=lambda pair: ((isinstance(pair[0], int) and pair[0]) or 1 << 62, str(pair[0])),
        )
        if 0 in self.shape:
            return True
        if all(isinstance(stride, int) for stride, _ in pairs):
            step: Extent = 1
            for stride, extent in pairs:
                if stride != step:
                    return False
                step = step * extent
            return True
        # With symbols strides have no order: any order that multiplies up will do.
        return _chain(pairs, 1)

    def permuted(self, order: Sequence[int]) -> Layout:
        """Dimensions in another order."""
        return Layout(
            tuple(self.shape[d] for d in order), tuple(self.strides[d] for d in order), self.offset
        )

    def expanded(self, shape: Sequence[Extent]) -> Layout:
        """Dimensions of extent 1 repeated; ranks are equal."""
        strides = tuple(
            stride if old == new else 0
            for old, new, stride in zip(self.shape, shape, self.strides, strict=True)
        )
        return Layout(tuple(shape), strides, self.offset)

    def sliced(self, dim: int, start: Extent, extent: Extent, step: int) -> Layout:
        """Every step-th element of a dimension, from a start on."""
        shape, strides = list(self.shape), list(self.strides)
        offset = self.offset + start * strides[dim]
        shape[dim], strides[dim] = extent, strides[dim] * step
        return Layout(tuple(shape), tuple(strides), offset)

    def reshaped(self, shape: Sequence[Extent]) -> Layout | None:
        """Another shape of the same elements in the same order."""
        if any(extent == 0 for extent in self.shape):
            return Layout(tuple(shape), contiguous_strides(shape), self.offset)
        strides: list[Extent] = [1] * len(shape)
        position = len(shape) - 1
        for extent, step in self._stretches():
            filled: Extent = 1
            while position >= 0 and (filled != extent or shape[position] == 1):
                if filled == extent and shape[position] != 1:
                    break
                strides[position] = step * filled
                filled = filled * shape[position]
                position -= 1
                if isinstance(filled, int) and isinstance(extent, int) and filled > extent:
                    return None
            if filled != extent:
                return None
        if product(shape[: position + 1]) != 1:
            return None
        return Layout(tuple(shape), tuple(strides), self.offset)

    def _stretches(self) -> list[tuple[Extent, Extent]]:
        """Runs of dimensions that follow one another in memory, last first: extent and step."""
        found: list[tuple[Extent, Extent]] = []
        for extent, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if extent == 1:
                continue
            if found and stride == found[-1][0] * found[-1][1]:
                found[-1] = (found[-1][0] * extent, found[-1][1])
            else:
                found.append((extent, stride))
        return found or [(1, 1)]


def _chain(pairs: list[tuple[Extent, Extent]], step: Extent) -> bool:
    for index, (stride, extent) in enumerate(pairs):
        if stride == step:
            return _chain(pairs[:index] + pairs[index + 1 :], step * extent)
    return not pairs
