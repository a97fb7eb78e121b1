"""The tangent kernel column by column, by products with unit vectors.

For sample x' and output p, J(x')ᵀ e_p is one pass backward, and J(x) of it one pass forward with
tangents, which gives the column (x', p) for every x at once. No Jacobian is ever held: beside the
result stand two copies of the parameters and what one chunk of samples needs on its way.

Cost: m o passes backward of one sample, n m o passes forward with tangents.

Axes: n, m samples; o, p outputs.
"""

from __future__ import annotations

from torch import Tensor

from sestina.core.progress import Progress, silent, tracked
from sestina.ntk.empirical.layout import Axes, Storage
from sestina.ntk.empirical.samplewise import SamplewiseFunction

__all__ = ["vector_product_kernel"]


def vector_product_kernel(
    function: SamplewiseFunction,
    x1: Tensor,
    x2: Tensor | None,
    *,
    axes: Axes,
    max_bytes: int,
    progress: Progress = silent,
) -> Tensor:
    """The tangent kernel; arguments and result as of `empirical_ntk`."""
    right = x1 if x2 is None else x2
    function.check_batches(x1, max_bytes=max_bytes)
    o = function.num_outputs
    storage = Storage(len(x1), len(right), o, axes, like=function.like)
    for column in tracked(range(len(right)), progress, "tangent kernel"):
        rows = slice(0, column + 1 if x2 is None else len(x1))
        for output in range(o):
            unit = function.like.new_zeros(1, o)
            unit[0, output] = 1
            sample = right[column : column + 1]
            tangents = function.pull_back(unit, sample, max_bytes=max_bytes)
            change_no = function.push_forward(tangents, x1[rows], max_bytes=max_bytes)
            if axes == "full":
                storage.tensor[rows, :, column, output] = change_no
            elif axes == "diagonal":
                storage.tensor[output, rows, column] = change_no[:, output]
            else:
                storage.tensor[rows, column] += change_no[:, output] / o
    if x2 is None:
        storage.mirror()
    return storage.result()
