"""How an empirical kernel lies in memory while it is computed, and which axes come back.

The storage has the outputs inside the samples, (n, o, m, o), so that the matrix of the flattened
outputs is a view of it and no method ever copies the whole.

Axes: n first samples, m second samples, o output.
"""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from sestina.core.errors import InvalidValueError, ShapeError

__all__ = ["Axes", "Storage", "check_axes", "kernel_matrix", "spans"]

Axes = Literal["full", "diagonal", "trace"]

_MIRROR_BYTES = 1 << 19  # two tiles of a mirrored pair lie in a core's cache


def kernel_matrix(theta: Tensor) -> Tensor:
    """The kernel (n, m, o, o) as a matrix (n⋅o, m⋅o), rows and columns as `outputs.flatten()`.

    No copy for what `empirical_ntk` returns.

    Raises:
        ShapeError: if it is not 4-D with two equal last axes.

    Example:
        >>> import torch
        >>> kernel_matrix(torch.eye(2).expand(1, 1, 2, 2))
        tensor([[1., 0.],
                [0., 1.]])
    """
    if theta.ndim != 4 or theta.shape[2] != theta.shape[3]:
        raise ShapeError(
            "theta",
            tuple(theta.shape),
            expected="a shape (n, m, o, o)",
            remedy='compute it with axes="full"',
        )
    n, m, o, _ = theta.shape
    return theta.permute(0, 2, 1, 3).reshape(n * o, m * o)


def check_axes(axes: str) -> None:
    """Passes if the name is one of `Axes`.

    Raises:
        InvalidValueError: if it is not.
    """
    if axes not in get_args(Axes):
        raise InvalidValueError(
            "axes",
            axes,
            expected=f"one of {', '.join(get_args(Axes))}",
            remedy='use "full" for every pair of outputs',
        )


class Storage:
    """The kernel under construction.

    Args:
        n: first samples.
        m: second samples.
        num_outputs: outputs.
        axes: which of them are kept.
        like: a tensor of the element type and device.
        zeros: whether it starts as zeros, or as whatever the memory holds.
    """

    def __init__(
        self, n: int, m: int, num_outputs: int, axes: Axes, *, like: Tensor, zeros: bool = True
    ) -> None:
        o = num_outputs
        self.axes = axes
        self.num_outputs = o
        shape = {"full": (n, o, m, o), "diagonal": (o, n, m), "trace": (n, m)}[axes]
        self.tensor = like.new_zeros(shape) if zeros else like.new_empty(shape)

    @property
    def matrix(self) -> Tensor:
        """The storage of "full" as (n⋅o, m⋅o), of "trace" as it is; a view."""
        if self.axes == "trace":
            return self.tensor
        n, o, m, _ = self.tensor.shape
        return self.tensor.view(n * o, m * o)

    def mirror(self) -> None:
        """Completes a symmetric kernel of which only m ≥ n, by samples, has been filled in."""
        planes = self.tensor.unbind() if self.axes == "diagonal" else (self.matrix,)
        for plane in planes:
            _mirror(plane, self.num_outputs if self.axes == "full" else 1)

    def result(self) -> Tensor:
        """The kernel as users see it: samples first, a view."""
        if self.axes == "full":
            return self.tensor.permute(0, 2, 1, 3)  # (n, m, o, o)
        return self.tensor.permute(1, 2, 0) if self.axes == "diagonal" else self.tensor


def spans(total: int, size: int, *, start: int = 0) -> list[slice]:
    """Consecutive slices of at most `size` that cover `start` to `total`.

    Example:
        >>> spans(5, 2)
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return [slice(i, min(i + size, total)) for i in range(start, total, size)]


def _mirror(matrix: Tensor, group: int) -> None:
    side = len(matrix)
    tile = max(1, int((_MIRROR_BYTES / matrix.element_size()) ** 0.5) // group) * group
    for rows in spans(side, tile):
        diagonal = matrix[rows, rows]
        # Whole groups of outputs are filled in, so below the diagonal everything may be replaced.
        diagonal.copy_(diagonal.triu() + diagonal.triu(1).T)
        for columns in spans(side, tile, start=rows.stop):
            matrix[columns, rows] = matrix[rows, columns].T
